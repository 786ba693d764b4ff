//! How long to wait for a caller's next octets.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug)]
pub(super) struct IdleTimer {
    timeout: Duration,
    /// None: nobody waits.
    since: Option<Instant>,
    /// Made by the first wait. It is not moved for each of them, so it may end early.
    timer: Option<Pin<Box<Sleep>>>,
    response: Option<Progress>,
}

/// When a response last made progress.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    begun: Instant,
    /// In milliseconds from `begun`.
    last: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), last: Arc::default() }
    }

    pub(super) fn made(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

impl IdleTimer {
    /// Progress of `response` counts as progress of the request.
    pub(super) fn new(timeout: Duration, response: Option<Progress>) -> Self {
        Self { timeout, since: None, timer: None, response }
    }

    pub(super) fn arrived(&mut self) {
        self.since = None;
    }

    /// Nothing is there yet; ready when it has been so for too long.
    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let response = &self.response;
        let due = || response.as_ref().map_or(since, |response| response.last().max(since)) + self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due())));
        loop {
            ready!(timer.as_mut().poll(cx));
            let due = due();
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}
