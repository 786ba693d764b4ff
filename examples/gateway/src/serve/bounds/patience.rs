//! How long to wait for a caller's next octets.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug)]
pub(super) struct Patience {
    timeout: Duration,
    /// None: nobody waits.
    since: Option<Instant>,
    /// Made by the first wait. It is not moved for each of them, so it may end early.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, since: None, timer: None }
    }

    pub(super) fn arrived(&mut self) {
        self.since = None;
    }

    /// Nothing is there yet; ready when it has been so for too long.
    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = *self.since.get_or_insert_with(Instant::now) + self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}
