//! Keys of pools.

use std::hash::{Hash, Hasher};

use http::uri::Authority;

use crate::generation::Generation;

/// Key of a pool. A connection belongs to exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::outbound) struct Key {
    /// None: no certificate is presented.
    pub(in crate::outbound) identity: Option<Generation>,
    /// None: the connection is not protected (`http`).
    pub(in crate::outbound) trust: Option<Generation>,
    pub(in crate::outbound) http1_only: bool,
    pub(in crate::outbound) authority: Authority,
}

/// Bit of a letter's case, in each byte.
const CASE: u64 = 0x2020_2020_2020_2020;

impl Hash for Key {
    /// Hashes eight bytes of the authority at a time. Its letters are equal regardless of their case.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let generation = |of: Option<Generation>| of.map_or(0, Generation::get);
        state.write_u64(generation(self.identity));
        state.write_u64(generation(self.trust) << 1 | u64::from(self.http1_only));
        for part in self.authority.as_str().as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            state.write_u64(u64::from_le_bytes(word) | CASE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn equal_keys_have_equal_hashes_and_others_differ() {
        let [one, two] = [Generation::next(), Generation::next()];
        let key = |identity, trust, http1_only, authority: &'static str| Key {
            identity,
            trust,
            http1_only,
            authority: Authority::from_static(authority),
        };
        let first = key(Some(one), Some(two), false, "orders.internal:8443");
        let hashes = RandomState::new();
        for (other, is_equal) in [
            (key(Some(one), Some(two), false, "Orders.INTERNAL:8443"), true),
            (key(Some(two), Some(one), false, "orders.internal:8443"), false),
            (key(None, Some(two), false, "orders.internal:8443"), false),
            (key(Some(one), None, false, "orders.internal:8443"), false),
            (key(Some(one), Some(two), true, "orders.internal:8443"), false),
            (key(Some(one), Some(two), false, "orders.internal:8444"), false),
            (key(Some(one), Some(two), false, "orders.internal"), false),
        ] {
            assert_eq!(first == other, is_equal, "{other:?}");
            assert_eq!(hashes.hash_one(&first) == hashes.hash_one(&other), is_equal, "{other:?}");
        }
    }
}
