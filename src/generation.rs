//! Numbers that are never given twice in a process.

use std::sync::atomic::{AtomicU64, Ordering};

/// A process-unique number for one published policy, trust set, identity or upstream trust.
///
/// A verdict or a connection is kept under the generation it was made for, so whatever is replaced
/// can never be confused with what replaced it, even if both hold equal contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

impl Generation {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}
