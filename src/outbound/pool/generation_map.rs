//! Map by generation.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::generation::Generation;

/// Map by generation. No caller chooses a generation, so that a simple hash suffices.
pub(super) type GenerationMap<V> = HashMap<Generation, V, BuildHasherDefault<GenerationHasher>>;

/// Hasher of one generation.
#[derive(Debug, Default)]
pub(super) struct GenerationHasher(u64);

impl Hasher for GenerationHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        /// 2^64 divided by the golden ratio, which spreads consecutive numbers.
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        self.0 = (self.0 ^ number).wrapping_mul(FACTOR);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
