use std::sync::atomic::{AtomicU64, Ordering};

use super::Timestamp;
use crate::generation::Generation;

/// Verdicts that were already reached about one certificate, each under the generation of what judged it.
///
/// A verdict is one word (28 bits of generation, 4 bits of verdict, 32 bits for the last second in which it
/// stands), so reading one takes no lock and a torn read is impossible. Four slots: two layers never share a
/// verdict, because a slot holds its generation, and a collision only costs an evaluation.
#[derive(Debug, Default)]
pub(crate) struct VerdictCache([AtomicU64; 4]);

/// No verdict outlives this many seconds, so a clock that steps back cannot revive an old one for long.
const LONGEST: i64 = 3_600;
const GENERATIONS: u64 = 1 << 28;

impl VerdictCache {
    /// The verdict under `generation` if there is one that stands at `now`.
    #[inline]
    pub(crate) fn get(&self, generation: Generation, now: Timestamp) -> Option<u8> {
        let word = self.slot(generation).load(Ordering::Relaxed);
        let until = i64::from(word as u32);
        let stands =
            word >> 36 == generation.get() && now.as_unix() <= until && until - LONGEST <= now.as_unix();
        stands.then_some((word >> 32) as u8 & 0xf)
    }

    /// Remembers `verdict` (0 to 15) until the last second in which it stands.
    pub(crate) fn put(&self, generation: Generation, verdict: u8, now: Timestamp, until: Timestamp) {
        let until = until.min(now.plus(LONGEST));
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
    fn slot(&self, generation: Generation) -> &AtomicU64 {
        &self.0[generation.get() as usize % 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_verdict_is_found_under_its_own_generation_only() {
        let remembered = VerdictCache::default();
        let (mine, other) = (Generation::from_raw(7), Generation::from_raw(11));
        remembered.put(mine, 3, NOW, NOW.plus(60));
        assert_eq!(remembered.get(mine, NOW), Some(3));
        assert_eq!(remembered.get(other, NOW), None, "same slot, another generation");
    }

    #[test]
    fn a_verdict_ends_with_its_last_second() {
        let remembered = VerdictCache::default();
        let generation = Generation::from_raw(1);
        remembered.put(generation, 1, NOW, NOW.plus(10));
        assert_eq!(remembered.get(generation, NOW.plus(10)), Some(1));
        assert_eq!(remembered.get(generation, NOW.plus(11)), None);
    }

    #[test]
    fn a_verdict_lives_for_an_hour_at_most_and_not_in_the_past() {
        let remembered = VerdictCache::default();
        let generation = Generation::from_raw(1);
        remembered.put(generation, 1, NOW, Timestamp::MAX);
        assert_eq!(remembered.get(generation, NOW.plus(LONGEST)), Some(1));
        assert_eq!(remembered.get(generation, NOW.plus(LONGEST + 1)), None);
        assert_eq!(remembered.get(generation, NOW.plus(-1)), None, "before it was reached");
    }

    #[test]
    fn what_cannot_be_packed_is_not_remembered() {
        let remembered = VerdictCache::default();
        for (generation, now, until) in [
            (GENERATIONS, NOW, NOW.plus(60)),
            (1, NOW, NOW.plus(-1)),
            (1, Timestamp::from_unix(-100), Timestamp::from_unix(-50)),
            (1, NOW, Timestamp::MIN),
        ] {
            let generation = Generation::from_raw(generation);
            remembered.put(generation, 1, now, until);
            assert_eq!(remembered.get(generation, now), None);
        }
    }
}
