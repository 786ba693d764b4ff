//! Timeout of a request body without progress.

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
    /// Start of the current wait.
    since: Option<Instant>,
    /// Created by the first wait and not reset by later ones, so it can fire early.
    timer: Option<Pin<Box<Sleep>>>,
    response: Option<Progress>,
}

/// Time of a response's last progress.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    start: Instant,
    /// In milliseconds since `start`.
    last: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }

    pub(super) fn record(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

impl IdleTimer {
    /// Creates a timer for which progress of `response` counts as progress of the request.
    pub(super) fn new(timeout: Duration, response: Option<Progress>) -> Self {
        Self { timeout, since: None, timer: None, response }
    }

    /// Ends the current wait.
    pub(super) fn reset(&mut self) {
        self.since = None;
    }

    /// Begins or continues a wait; ready at the timeout.
    pub(super) fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
