//! The deadline of a response body.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::settings::Permit;

/// State shared by the response body and its timer.
pub(super) struct DeadlineState<B> {
    /// None: the deadline has passed.
    pub(super) body: Option<B>,
    pub(super) waker: Option<Waker>,
    permit: Option<Permit>,
}

/// Drops a response body at its deadline, even if it is not polled: a caller that does not read must not keep an
/// upstream connection busy.
pub(super) struct Deadline<B> {
    state: Arc<Mutex<DeadlineState<B>>>,
    timer: AbortHandle,
}

impl<B: Send + 'static> Deadline<B> {
    /// Drops body and permit at `at`, or when this is dropped.
    pub(super) fn new(body: B, permit: Permit, at: Instant) -> Self {
        let state =
            Arc::new(Mutex::new(DeadlineState { body: Some(body), waker: None, permit: Some(permit) }));
        let timed = state.clone();
        let timer = tokio::spawn(async move {
            sleep_until(at).await;
            let (body, permit, waker) = {
                let mut state = lock(&timed);
                (state.body.take(), state.permit.take(), state.waker.take())
            };
            drop((body, permit));
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Self { state, timer: timer.abort_handle() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, DeadlineState<B>> {
        lock(&self.state)
    }
}

impl<B> Drop for Deadline<B> {
    fn drop(&mut self) {
        self.timer.abort();
        // The aborted timer task can outlive the response.
        let mut state = lock(&self.state);
        let ended = (state.body.take(), state.permit.take());
        drop(state);
        drop(ended);
    }
}

fn lock<B>(state: &Mutex<DeadlineState<B>>) -> MutexGuard<'_, DeadlineState<B>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
