//! Return of freed memory to the operating system.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Time after which mimalloc returns freed memory: a second, and some for its coarse clock.
const DELAY: Duration = Duration::from_secs(2);

/// A size in bytes that mimalloc allocates and frees as a whole.
const LARGE: usize = 16 * 1024 * 1024;

/// Memory that a load has freed, such as the contents of CRLs. mimalloc returns it only when a large block is freed later,
/// and the gateway frees none between two loads.
#[derive(Debug)]
pub(super) struct FreedMemory {
    /// None: returned.
    due: Option<Instant>,
}

impl FreedMemory {
    /// Memory that was freed at this time.
    pub(super) fn at(now: Instant) -> Self {
        Self { due: Some(now + DELAY) }
    }

    pub(super) fn return_if_due(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            // Not written to, so that it takes no memory.
            drop(black_box(Vec::<u8>::with_capacity(LARGE)));
        }
    }
}
