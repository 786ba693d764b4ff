//! Request bodies of which the service waits for bytes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes at once that end a delay: fewer do not count as progress when connections are scarce.
pub(super) const PROGRESS: usize = 240;

/// Number of awaited bodies of a connection, and the time since which one is.
#[derive(Debug, Default)]
pub(super) struct OwedUploads {
    count: AtomicUsize,
    /// In milliseconds since the start of the connection, plus 1. 0: none is awaited.
    since: AtomicU64,
}

impl OwedUploads {
    /// A body is awaited. `now` is in milliseconds since the start of the connection.
    pub(super) fn begin(&self, now: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Fails if an earlier delay has not ended.
        let _ = self.since.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// This number of bytes of a body has arrived.
    pub(super) fn end(&self, bytes: usize) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        if bytes >= PROGRESS {
            self.since.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the number of awaited bodies, and the time since which they are.
    pub(super) fn state(&self) -> (usize, Option<u64>) {
        (self.count.load(Ordering::Relaxed), self.since.load(Ordering::Relaxed).checked_sub(1))
    }
}
