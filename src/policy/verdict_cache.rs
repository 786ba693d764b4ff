use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    certificate::{CacheWords, Certificate, Timestamp},
    generation::Generation,
};

/// Cache of verdicts about one certificate, by the generation of the policy or trust set that judged it. A view of the
/// certificate's words.
///
/// A verdict is one word (27 bits of generation, 5 bits of verdict, 32 bits for the last second of its validity), so
/// reads take no lock and cannot be torn. Four slots, selected by generation; of policies a collision only costs an
/// evaluation. A verdict about a chain takes any slot, and one that is displaced while it is valid is kept behind a lock: a
/// client must not cause a search for paths on every request by a route with many trust sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct VerdictCache<'a> {
    slots: &'a CacheWords,
    displaced: Option<&'a Mutex<Vec<u64>>>,
}

/// Maximum age of a verdict in seconds, in case the clock is set back.
const MAX_AGE: i64 = 3_600;
const GENERATIONS: u64 = 1 << 27;
/// Maximum number of displaced verdicts.
const MAX_DISPLACED: usize = 64;

impl<'a> VerdictCache<'a> {
    /// The verdicts of policies about a certificate.
    #[inline]
    pub(super) fn of(certificate: &'a Certificate) -> Self {
        Self { slots: certificate.verdicts(), displaced: None }
    }

    /// The verdicts of trust sets about its chain.
    #[cfg(feature = "trust")]
    #[inline]
    pub(super) fn of_chain(certificate: &'a Certificate) -> Self {
        Self { slots: certificate.chains(), displaced: Some(certificate.displaced_chains()) }
    }

    /// The verdict of `generation`, if it is valid at `now`.
    #[inline]
    pub(super) fn get(self, generation: Generation, now: Timestamp) -> Option<u8> {
        let word = self.slot(generation).load(Ordering::Relaxed);
        if is_of(word, generation) && is_valid(word, now) {
            return Some(verdict_of(word));
        }
        self.get_elsewhere(self.displaced?, generation, now)
    }

    /// The verdict in another slot than the first choice, or among those displaced.
    #[cold]
    fn get_elsewhere(
        self,
        displaced: &Mutex<Vec<u64>>,
        generation: Generation,
        now: Timestamp,
    ) -> Option<u8> {
        let is_match = |word: &u64| is_of(*word, generation) && is_valid(*word, now);
        let word = self.slots.0.iter().map(|slot| slot.load(Ordering::Relaxed)).find(is_match);
        let displaced =
            || displaced.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().find(is_match);
        word.or_else(displaced).map(verdict_of)
    }

    /// Caches `verdict` (0 to 31) up to and including the second `until`.
    pub(super) fn put(self, generation: Generation, verdict: u8, now: Timestamp, until: Timestamp) {
        let until = until.min(now.plus(MAX_AGE));
        let Ok(until_word) = u32::try_from(until.as_unix()) else {
            return;
        };
        if until < now || generation.get() >= GENERATIONS {
            return;
        }
        let word = generation.get() << 37 | u64::from(verdict & 0x1f) << 32 | u64::from(until_word);
        let first = self.slot(generation);
        let Some(displaced) = self.displaced else { return first.store(word, Ordering::Relaxed) };
        let is_free = |slot: &&AtomicU64| {
            let word = slot.load(Ordering::Relaxed);
            is_of(word, generation) || !is_valid(word, now)
        };
        let free = [first].into_iter().chain(&self.slots.0).find(is_free);
        let old = free.unwrap_or(first).swap(word, Ordering::Relaxed);
        if free.is_none() {
            let mut displaced = displaced.lock().unwrap_or_else(PoisonError::into_inner);
            displace(&mut displaced, old, now);
        }
    }

    #[inline]
    fn slot(self, generation: Generation) -> &'a AtomicU64 {
        &self.slots.0[generation.get() as usize % 4]
    }
}

fn displace(displaced: &mut Vec<u64>, word: u64, now: Timestamp) {
    displaced.retain(|other| is_valid(*other, now) && other >> 37 != word >> 37);
    if displaced.len() == MAX_DISPLACED {
        displaced.remove(0);
    }
    displaced.push(word);
}

#[inline]
fn is_of(word: u64, generation: Generation) -> bool {
    word >> 37 == generation.get()
}

#[inline]
fn is_valid(word: u64, now: Timestamp) -> bool {
    let until = i64::from(word as u32);
    now.as_unix() <= until && until - MAX_AGE <= now.as_unix()
}

#[inline]
fn verdict_of(word: u64) -> u8 {
    (word >> 32) as u8 & 0x1f
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn verdict_is_found_under_its_own_generation_only() {
        let words = CacheWords::default();
        let cache = VerdictCache { slots: &words, displaced: None };
        let (mine, other) = (Generation::from_raw(7), Generation::from_raw(11));
        cache.put(mine, 3, NOW, NOW.plus(60));
        assert_eq!(cache.get(mine, NOW), Some(3));
        assert_eq!(cache.get(other, NOW), None, "same slot, another generation");
    }

    #[test]
    fn verdicts_that_share_a_slot_are_all_found() {
        let words = CacheWords::default();
        let displaced = Mutex::default();
        let cache = VerdictCache { slots: &words, displaced: Some(&displaced) };
        let generations: Vec<_> = (0..20).map(|index| Generation::from_raw(3 + 4 * index)).collect();
        for (index, generation) in generations.iter().enumerate() {
            cache.put(*generation, index as u8, NOW, NOW.plus(60));
        }
        for (index, generation) in generations.iter().enumerate() {
            assert_eq!(cache.get(*generation, NOW.plus(60)), Some(index as u8), "{index}");
            assert_eq!(cache.get(*generation, NOW.plus(61)), None, "{index}, expired");
        }
        let displaced = || displaced.lock().unwrap().len();
        assert_eq!(displaced(), 16);
        cache.put(Generation::from_raw(99), 1, NOW.plus(61), NOW.plus(70));
        assert_eq!(displaced(), 16, "expired words give way");
        for generation in 100..300 {
            cache.put(Generation::from_raw(generation), 1, NOW.plus(61), NOW.plus(70));
        }
        assert_eq!(displaced(), MAX_DISPLACED);
    }

    #[test]
    fn verdict_expires_after_its_last_second() {
        let words = CacheWords::default();
        let cache = VerdictCache { slots: &words, displaced: None };
        let generation = Generation::from_raw(1);
        cache.put(generation, 1, NOW, NOW.plus(10));
        assert_eq!(cache.get(generation, NOW.plus(10)), Some(1));
        assert_eq!(cache.get(generation, NOW.plus(11)), None);
    }

    #[test]
    fn verdict_is_valid_for_an_hour_at_most_and_not_in_the_past() {
        let words = CacheWords::default();
        let cache = VerdictCache { slots: &words, displaced: None };
        let generation = Generation::from_raw(1);
        cache.put(generation, 1, NOW, Timestamp::MAX);
        assert_eq!(cache.get(generation, NOW.plus(MAX_AGE)), Some(1));
        assert_eq!(cache.get(generation, NOW.plus(MAX_AGE + 1)), None);
        assert_eq!(cache.get(generation, NOW.plus(-1)), None, "before it was reached");
    }

    #[test]
    fn verdicts_that_do_not_fit_a_word_are_not_cached() {
        let words = CacheWords::default();
        let cache = VerdictCache { slots: &words, displaced: None };
        for (generation, now, until) in [
            (GENERATIONS, NOW, NOW.plus(60)),
            (1, NOW, NOW.plus(-1)),
            (1, Timestamp::from_unix(-100), Timestamp::from_unix(-50)),
            (1, NOW, Timestamp::MIN),
        ] {
            let generation = Generation::from_raw(generation);
            cache.put(generation, 1, now, until);
            assert_eq!(cache.get(generation, now), None);
        }
    }
}
