//! The deadline of a response body.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::Permit;

/// State shared by a response body and its timer.
pub(super) struct DeadlineState<B> {
    /// None: the deadline has passed.
    pub(super) body: Option<B>,
    pub(super) waker: Option<Waker>,
    place: Option<Permit>,
}

/// Drops a response body at its deadline, even if it is not polled: a caller that does not read must not hold a
/// connection to an upstream for longer.
pub(super) struct Deadline<B> {
    held: Arc<Mutex<DeadlineState<B>>>,
    timer: AbortHandle,
}

impl<B: Send + 'static> Deadline<B> {
    /// Drops the body and its place at `at`, unless this is dropped before.
    pub(super) fn new(body: B, place: Permit, at: Instant) -> Self {
        let held = Arc::new(Mutex::new(DeadlineState { body: Some(body), waker: None, place: Some(place) }));
        let timed = held.clone();
        let timer = tokio::spawn(async move {
            sleep_until(at).await;
            let (body, place, waker) = {
                let mut held = lock(&timed);
                (held.body.take(), held.place.take(), held.waker.take())
            };
            drop((body, place));
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Self { held, timer: timer.abort_handle() }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, DeadlineState<B>> {
        lock(&self.held)
    }
}

impl<B> Drop for Deadline<B> {
    fn drop(&mut self) {
        self.timer.abort();
        // The timer's task may outlive the response for a moment.
        let mut held = lock(&self.held);
        let ended = (held.body.take(), held.place.take());
        drop(held);
        drop(ended);
    }
}

fn lock<B>(held: &Mutex<DeadlineState<B>>) -> MutexGuard<'_, DeadlineState<B>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
