//! Process-unique numbers of published values.

use std::sync::atomic::{AtomicU64, Ordering};

/// Process-unique number of one published policy, trust set, identity or upstream trust.
///
/// Verdicts and connections are kept under the generation of their value, so that a replaced value and its successor
/// are distinct even with equal contents.
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
