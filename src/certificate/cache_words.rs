use std::sync::atomic::AtomicU64;

/// Four words kept with a certificate, for the code that judges it. Zero at first; their content is opaque here.
#[derive(Debug, Default)]
pub(crate) struct CacheWords(pub(crate) [AtomicU64; 4]);
