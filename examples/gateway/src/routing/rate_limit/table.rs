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

/// The part of a table for groups of keys: an eighth.
const GROUPS: usize = 8;

/// A counted key, and the group in which it is counted if the table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) own: u64,
    pub(super) group: u64,
}

/// States of a bounded number of keys, of groups of further keys, and one state that all keys beyond share.
///
/// The state of a key is its theoretical arrival time. From this time on the key has its whole burst, like a key without
/// a state: it is stale. Stale keys are removed when their shard is full.
pub(super) struct KeyTable {
    keys: Shards,
    groups: Shards,
    /// State of the keys whose group does not fit.
    overflow: InMemoryState,
}

struct Shards {
    shards: Vec<Mutex<Shard>>,
    /// Maximum number of keys of one shard.
    max_keys: usize,
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
    /// Creates a table of at most `max_keys` keys and groups. `interval` is the time in which one request is replenished.
    pub(super) fn new(max_keys: usize, interval: Duration) -> Self {
        let groups = max_keys / GROUPS;
        Self {
            keys: Shards::new(max_keys - groups, interval.into()),
            groups: Shards::new(groups, interval.into()),
            overflow: InMemoryState::default(),
        }
    }
}

impl StateStore for KeyTable {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let measured = self.keys.measure_and_replace(key.own, &decide);
        measured
            .or_else(|| self.groups.measure_and_replace(key.group, &decide))
            .unwrap_or_else(|| self.overflow.measure_and_replace(&NotKeyed::NonKey, decide))
    }
}

impl Shards {
    fn new(max_keys: usize, interval: Nanos) -> Self {
        let shards = max_keys.div_ceil(KEYS_PER_SHARD).max(1);
        let empty = (0..shards).map(|_| Mutex::default()).collect();
        Self { shards: empty, max_keys: max_keys / shards, interval }
    }

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Shard>> {
        // At most 1,024 shards.
        let index = usize::try_from(key % self.shards.len() as u64).ok()?;
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the state of a key. None: the state is new, and the table is full.
    fn measure_and_replace<T, F, E>(&self, key: u64, decide: F) -> Option<Result<T, E>>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(key)?;
        if let Some(arrival) = shard.keys.get_mut(&key) {
            return Some(decide(Some(*arrival)).map(|(allowed, next)| {
                *arrival = next;
                allowed
            }));
        }
        // A key without a state is allowed, and its next arrival is one interval from now.
        let (allowed, next) = match decide(None) {
            Ok(decided) => decided,
            Err(error) => return Some(Err(error)),
        };
        let has_room = shard.has_room(self.max_keys, next.saturating_sub(self.interval));
        has_room.then(|| {
            shard.insert(key, next);
            Ok(allowed)
        })
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

    /// Records a request with a key of its own group at this second; returns the state that it found.
    fn record(table: &KeyTable, key: u64, second: u64) -> Option<Nanos> {
        record_of_group(table, key, key, second)
    }

    fn record_of_group(table: &KeyTable, own: u64, group: u64, second: u64) -> Option<Nanos> {
        let now = Nanos::from(second * SECOND);
        let decide = |arrival: Option<Nanos>| {
            Ok::<_, Infallible>((arrival, arrival.unwrap_or(now).max(now) + Nanos::from(SECOND)))
        };
        table.measure_and_replace(&Key { own, group }, decide).unwrap()
    }

    fn keys(table: &KeyTable) -> usize {
        let shards = table.keys.shards.iter().chain(&table.groups.shards);
        shards.map(|shard| shard.lock().unwrap().keys.len()).sum()
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
    fn keys_beyond_the_maximum_share_the_state_of_their_group() {
        let table = KeyTable::new(16, Duration::from_secs(1));
        for key in 0..14 {
            assert_eq!(record_of_group(&table, key, 100, 1), None, "{key}");
        }
        assert_eq!(record_of_group(&table, 14, 100, 1), None, "the group has no state yet");
        assert_eq!(record_of_group(&table, 15, 100, 1), Some(Nanos::from(2 * SECOND)), "14 and 15 share it");
        assert_eq!(record_of_group(&table, 16, 200, 1), None, "another group");
        assert_eq!(record_of_group(&table, 17, 300, 1), None, "a group that does not fit");
        assert_eq!(record_of_group(&table, 18, 400, 1), Some(Nanos::from(2 * SECOND)), "the overflow");
        assert_eq!(record_of_group(&table, 16, 200, 1), Some(Nanos::from(2 * SECOND)), "the state of 200");
        assert_eq!(keys(&table), 16);
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
