//! Bounded table of the keys of a rate limit.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};

/// Keys under one lock: as few as are removed without a noticeable delay of other requests.
const KEYS_PER_SHARD: usize = 1_024;

/// States of a bounded number of keys, and one state that all further keys share.
///
/// The state of a key is its theoretical arrival time. From this time on the key has its whole burst, like a key without
/// a state: it is stale. Stale keys are removed when their shard is full.
pub(super) struct KeyTable {
    shards: Vec<Mutex<Shard>>,
    /// Maximum number of keys of one shard.
    max_keys: usize,
    /// State of the keys that do not fit.
    overflow: InMemoryState,
    /// Time in which one request is replenished.
    interval: Nanos,
}

#[derive(Default)]
struct Shard {
    /// Theoretical arrival times.
    keys: HashMap<u64, Nanos>,
    /// Lower bound of all times in `keys`.
    next_stale: Nanos,
}

impl KeyTable {
    /// Creates a table of at most `max_keys` keys. `interval` is the time in which one request is replenished.
    pub(super) fn new(max_keys: usize, interval: Duration) -> Self {
        let shards = max_keys.div_ceil(KEYS_PER_SHARD).max(1);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            max_keys: max_keys / shards,
            overflow: InMemoryState::default(),
            interval: interval.into(),
        }
    }

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Shard>> {
        // At most 1,024 shards.
        let index = usize::try_from(key % self.shards.len() as u64).ok()?;
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl StateStore for KeyTable {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if let Some(mut shard) = self.shard(*key) {
            if let Some(arrival) = shard.keys.get_mut(key) {
                let (allowed, next) = decide(Some(*arrival))?;
                *arrival = next;
                return Ok(allowed);
            }
            // A key without a state is allowed, and its next arrival is one interval from now.
            let (allowed, next) = decide(None)?;
            if shard.has_room(self.max_keys, next.saturating_sub(self.interval)) {
                shard.insert(*key, next);
                return Ok(allowed);
            }
        }
        self.overflow.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

impl Shard {
    /// Returns true if a key can be added, after stale keys were removed if necessary.
    fn has_room(&mut self, max_keys: usize, now: Nanos) -> bool {
        if self.keys.len() >= max_keys && self.next_stale <= now {
            self.keys.retain(|_, arrival| *arrival > now);
            self.next_stale = self.keys.values().min().copied().unwrap_or_default();
        }
        self.keys.len() < max_keys
    }

    fn insert(&mut self, key: u64, arrival: Nanos) {
        self.next_stale = if self.keys.is_empty() { arrival } else { self.next_stale.min(arrival) };
        self.keys.insert(key, arrival);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Records a request at this second; returns the state that it found.
    fn record(table: &KeyTable, key: u64, second: u64) -> Option<Nanos> {
        let now = Nanos::from(second * SECOND);
        let decide = |arrival: Option<Nanos>| {
            Ok::<_, Infallible>((arrival, arrival.unwrap_or(now).max(now) + Nanos::from(SECOND)))
        };
        table.measure_and_replace(&key, decide).unwrap()
    }

    fn keys(table: &KeyTable) -> usize {
        table.shards.iter().map(|shard| shard.lock().unwrap().keys.len()).sum()
    }

    #[test]
    fn table_never_exceeds_its_maximum() {
        for max_keys in [1, 2, 1_023, 1_024, 1_025, 3_000, 65_536] {
            let table = KeyTable::new(max_keys, Duration::from_secs(1));
            for key in 0..200_000 {
                record(&table, key, 1);
            }
            let count = keys(&table);
            assert!(count <= max_keys && count >= max_keys - max_keys / 100, "{max_keys}: {count}");
        }
    }

    #[test]
    fn stale_keys_make_room_and_others_keep_their_state() {
        let table = KeyTable::new(2, Duration::from_secs(1));
        assert_eq!(record(&table, 1, 1), None);
        for _ in 0..3 {
            record(&table, 2, 1);
        }
        assert_eq!(record(&table, 3, 1), None, "the overflow has no state yet");
        assert_eq!(record(&table, 4, 1), Some(Nanos::from(2 * SECOND)), "3 and 4 share the overflow");
        assert_eq!(record(&table, 5, 2), None, "1 was replenished at 2 s and made room");
        assert_eq!(record(&table, 2, 2), Some(Nanos::from(4 * SECOND)), "2 is replenished at 4 s");
        assert_eq!(record(&table, 5, 2), Some(Nanos::from(3 * SECOND)));
        assert_eq!(keys(&table), 2);
    }
}
