use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    certificate::{CacheWords, Certificate, Timestamp},
    generation::Generation,
};

/// Cache of verdicts about one certificate, by the generation of the policy or trust set that judged it. A view of the
/// certificate's words.
///
/// A verdict is one word (28 bits of generation, 4 bits of verdict, 32 bits for the last second of its validity), so
/// reads take no lock and cannot be torn. Four slots, selected by generation; a collision only costs an evaluation.
#[derive(Debug, Clone, Copy)]
pub(super) struct VerdictCache<'a>(&'a CacheWords);

/// Maximum age of a verdict in seconds, in case the clock is set back.
const MAX_AGE: i64 = 3_600;
const GENERATIONS: u64 = 1 << 28;

impl<'a> VerdictCache<'a> {
    /// The verdicts of policies about a certificate.
    #[inline]
    pub(super) fn of(certificate: &'a Certificate) -> Self {
        Self(certificate.verdicts())
    }

    /// The verdicts of trust sets about its chain.
    #[cfg(feature = "trust")]
    #[inline]
    pub(super) fn of_chain(certificate: &'a Certificate) -> Self {
        Self(certificate.chains())
    }

    /// The verdict of `generation`, if it is valid at `now`.
    #[inline]
    pub(super) fn get(self, generation: Generation, now: Timestamp) -> Option<u8> {
        let word = self.slot(generation).load(Ordering::Relaxed);
        let until = i64::from(word as u32);
        let is_valid =
            word >> 36 == generation.get() && now.as_unix() <= until && until - MAX_AGE <= now.as_unix();
        is_valid.then_some((word >> 32) as u8 & 0xf)
    }

    /// Caches `verdict` (0 to 15) up to and including the second `until`.
    pub(super) fn put(self, generation: Generation, verdict: u8, now: Timestamp, until: Timestamp) {
        let until = until.min(now.plus(MAX_AGE));
        let Ok(until_word) = u32::try_from(until.as_unix()) else {
            return;
        };
        if until < now || generation.get() >= GENERATIONS {
            return;
        }
        let word = generation.get() << 36 | u64::from(verdict & 0xf) << 32 | u64::from(until_word);
        self.slot(generation).store(word, Ordering::Relaxed);
    }

    #[inline]
    fn slot(self, generation: Generation) -> &'a AtomicU64 {
        &self.0.0[generation.get() as usize % 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn verdict_is_found_under_its_own_generation_only() {
        let words = CacheWords::default();
        let cache = VerdictCache(&words);
        let (mine, other) = (Generation::from_raw(7), Generation::from_raw(11));
        cache.put(mine, 3, NOW, NOW.plus(60));
        assert_eq!(cache.get(mine, NOW), Some(3));
        assert_eq!(cache.get(other, NOW), None, "same slot, another generation");
    }

    #[test]
    fn verdict_expires_after_its_last_second() {
        let words = CacheWords::default();
        let cache = VerdictCache(&words);
        let generation = Generation::from_raw(1);
        cache.put(generation, 1, NOW, NOW.plus(10));
        assert_eq!(cache.get(generation, NOW.plus(10)), Some(1));
        assert_eq!(cache.get(generation, NOW.plus(11)), None);
    }

    #[test]
    fn verdict_is_valid_for_an_hour_at_most_and_not_in_the_past() {
        let words = CacheWords::default();
        let cache = VerdictCache(&words);
        let generation = Generation::from_raw(1);
        cache.put(generation, 1, NOW, Timestamp::MAX);
        assert_eq!(cache.get(generation, NOW.plus(MAX_AGE)), Some(1));
        assert_eq!(cache.get(generation, NOW.plus(MAX_AGE + 1)), None);
        assert_eq!(cache.get(generation, NOW.plus(-1)), None, "before it was reached");
    }

    #[test]
    fn verdicts_that_do_not_fit_a_word_are_not_cached() {
        let words = CacheWords::default();
        let cache = VerdictCache(&words);
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
