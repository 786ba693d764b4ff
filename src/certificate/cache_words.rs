use std::sync::{Mutex, atomic::AtomicU64};

/// Words kept with a certificate, for the code that judges it: four that are read without a lock, zero at first, and those
/// that they have no room for. Their content is opaque here.
#[derive(Debug, Default)]
pub(crate) struct CacheWords {
    pub(crate) words: [AtomicU64; 4],
    pub(crate) displaced: Mutex<Vec<u64>>,
}
