use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::certificate::{Certificate, Timestamp};

/// Chains that a trust set has accepted, for further connections with the same certificates.
///
/// Only accepted chains are kept, so a caller needs a trusted certificate, of which the key is not proved yet, to displace
/// others; they are then verified again. Bounded by two tables: when the current one is full, it replaces the previous one.
#[derive(Debug, Default)]
pub(super) struct AcceptedChains(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    current: HashMap<Key, Period>,
    previous: HashMap<Key, Period>,
}

/// SHA-256 over the certificates of a chain.
pub(super) type Key = [u8; 32];

/// From the time of the verdict to its end.
type Period = (Timestamp, Timestamp);

/// Maximum number of chains of a table.
const MAX_CHAINS: usize = 2_048;

impl AcceptedChains {
    /// The key of a certificate with the chain presented with it.
    pub(super) fn key(certificate: &Certificate) -> Key {
        let mut digest = Sha256::new();
        for der in [certificate.der()].into_iter().chain(certificate.chain()) {
            digest.update((der.len() as u64).to_be_bytes());
            digest.update(der);
        }
        digest.finalize().into()
    }

    /// The end of the acceptance that is valid at `now`.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Option<Timestamp> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = tables.current.contains_key(key);
        let (from, until) = *tables.current.get(key).or_else(|| tables.previous.get(key))?;
        if now < from || now > until {
            return None;
        }
        if !is_current {
            tables.put(*key, (from, until));
        }
        Some(until)
    }

    pub(super) fn put(&self, key: Key, now: Timestamp, until: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, (now, until));
    }
}

impl Tables {
    fn put(&mut self, key: Key, period: Period) {
        if self.current.len() >= MAX_CHAINS {
            self.previous = std::mem::take(&mut self.current);
        }
        self.current.insert(key, period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn acceptance_is_valid_from_its_verdict_to_its_end() {
        let chains = AcceptedChains::default();
        chains.put(key(1), NOW, NOW.plus(10));
        for (at, expected) in [(-1, None), (0, Some(NOW.plus(10))), (10, Some(NOW.plus(10))), (11, None)] {
            assert_eq!(chains.get(&key(1), NOW.plus(at)), expected, "at {at}");
        }
        assert_eq!(chains.get(&key(2), NOW), None, "another chain");
    }

    #[test]
    fn full_table_keeps_the_chains_in_use() {
        let chains = AcceptedChains::default();
        for number in 0..10 * MAX_CHAINS {
            chains.put(key(number), NOW, NOW.plus(10));
            assert!(chains.get(&key(0), NOW).is_some(), "in use, at {number}");
        }
        assert_eq!(chains.get(&key(1), NOW), None);
        let tables = chains.0.lock().unwrap();
        assert!(tables.current.len() + tables.previous.len() <= 2 * MAX_CHAINS);
    }
}
