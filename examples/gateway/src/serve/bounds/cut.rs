//! An exchange that ends at its time, whether or not anybody reads on.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};

/// What is held until the exchange ends, and who waits for more.
pub(super) struct Held<B> {
    /// None: cut.
    pub(super) body: Option<B>,
    pub(super) waker: Option<Waker>,
    /// Since when nobody has asked for more of it.
    pub(super) unread: Option<Instant>,
    guards: Vec<Box<dyn Any + Send>>,
}

/// Shared by an answer's body and its deadline, which takes effect even on a body that nobody polls: a caller that
/// does not read must not hold a back end's connection for longer.
pub(super) struct Deadline<B> {
    held: Arc<Mutex<Held<B>>>,
    at: Option<Instant>,
    /// How long a body of which there is more may be left unread.
    patience: Option<Duration>,
    /// Not before there is something to wait for.
    timer: Option<AbortHandle>,
}

impl<B: Send + 'static> Deadline<B> {
    /// Drops the body and the guard at `at`, or when it was left unread for too long, unless this is dropped before.
    pub(super) fn new(
        body: B,
        guard: impl Send + 'static,
        at: Option<Instant>,
        patience: Option<Duration>,
    ) -> Self {
        let guards: Vec<Box<dyn Any + Send>> = vec![Box::new(guard)];
        let held = Held { body: Some(body), waker: None, unread: None, guards };
        let mut deadline = Self { held: Arc::new(Mutex::new(held)), at, patience, timer: None };
        if at.is_some() {
            deadline.start();
        }
        deadline
    }

    /// There is more of the body than what has just been taken.
    pub(super) fn left_unread(&mut self) {
        if self.patience.is_some() {
            lock(&self.held).unread = Some(Instant::now());
            if self.timer.is_none() {
                self.start();
            }
        }
    }

    fn start(&mut self) {
        let (held, at, patience) = (self.held.clone(), self.at, self.patience);
        let timer = tokio::spawn(async move {
            loop {
                let now = Instant::now();
                let late = patience.map(|patience| lock(&held).unread.unwrap_or(now) + patience);
                let Some(due) = at.into_iter().chain(late).min() else { return };
                if due <= now {
                    break;
                }
                sleep_until(due).await;
            }
            let (body, guards, waker) = {
                let mut held = lock(&held);
                (held.body.take(), std::mem::take(&mut held.guards), held.waker.take())
            };
            drop((body, guards));
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        self.timer = Some(timer.abort_handle());
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held<B>> {
        lock(&self.held)
    }

    /// What others can put under the same deadline.
    pub(super) fn cut(&self) -> Cut {
        Cut(self.held.clone())
    }
}

impl<B> Drop for Deadline<B> {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
        // Whoever has a handle must not keep alive what ended here.
        let mut held = lock(&self.held);
        let ended = (held.body.take(), std::mem::take(&mut held.guards));
        drop(held);
        drop(ended);
    }
}

fn lock<B>(held: &Mutex<Held<B>>) -> MutexGuard<'_, Held<B>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stands in the extensions of an answer that has a deadline.
#[derive(Clone)]
pub(crate) struct Cut(Arc<dyn Hold>);

impl Cut {
    /// Drops the guard at the deadline, or when the exchange ends before.
    pub(crate) fn hold(&self, guard: impl Send + 'static) {
        self.0.hold(Box::new(guard));
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cut")
    }
}

trait Hold: Send + Sync {
    fn hold(&self, guard: Box<dyn Any + Send>);
}

impl<B: Send> Hold for Mutex<Held<B>> {
    fn hold(&self, guard: Box<dyn Any + Send>) {
        let mut held = lock(self);
        // Afterwards there is nothing left to wait for.
        if held.body.is_some() {
            held.guards.push(guard);
        }
    }
}
