//! HTTP/1.1 connections without a request.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Http1;

/// Number of connections among which one of the request's worker is preferred.
const SEARCHED: usize = 64;

/// Idle connections, the most recently used last.
pub(super) struct IdleConnections<B>(Vec<Idle<B>>);

struct Idle<B> {
    connection: Http1<B>,
    /// The sweep that first found it idle. Only sweeps read the clock.
    since: Option<Instant>,
}

impl<B> IdleConnections<B> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, connection: Http1<B>) {
        self.0.push(Idle { connection, since: None });
    }

    /// Returns the place of the connection that a request on this worker uses: the most recently used one of the worker,
    /// or of any. Removes those that cannot be used.
    pub(super) fn find(&mut self, worker: usize) -> Option<usize>
    where
        B: 'static,
    {
        loop {
            let last = self.0.len().checked_sub(1)?;
            let searched = self.0.iter().enumerate().rev().take(SEARCHED);
            let own = searched.filter(|(_, it)| it.connection.worker == worker).map(|(at, _)| at).next();
            let at = own.unwrap_or(last);
            if self.0[at].connection.is_ready() {
                return Some(at);
            }
            self.0.remove(at);
        }
    }

    /// Takes the connection at a place that was found.
    pub(super) fn take(&mut self, at: usize) -> Http1<B> {
        self.0.remove(at).connection
    }

    /// Closes the connection that has been idle for the longest time. Returns false if there is none.
    pub(super) fn close_oldest(&mut self) -> bool {
        let is_any = !self.0.is_empty();
        if is_any {
            self.0.remove(0);
        }
        is_any
    }

    /// Closes connections that have been idle for `idle`.
    pub(super) fn sweep(&mut self, idle: Duration, now: Instant) {
        self.0.retain_mut(|it| !it.connection.is_closed() && now - *it.since.get_or_insert(now) < idle);
    }

    /// Closes all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
