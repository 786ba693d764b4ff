//! The connections in use under one limit, by share, and the requests that wait for one.

use std::collections::{BTreeMap, VecDeque};

use super::{generation_map::GenerationMap, share_rule::ShareState};
use crate::generation::Generation;

/// Counters of one limit. `W` is a waiting request.
pub(super) struct InUse<W> {
    limit: usize,
    total: usize,
    /// Shares that use a connection, or wait for one.
    shares: GenerationMap<ShareUse<W>>,
    /// Shares with waiting requests, in the order of their turns.
    turns: VecDeque<Generation>,
    next_ticket: u64,
}

struct ShareUse<W> {
    connections: usize,
    /// By ticket, and so in order of arrival.
    waiting: BTreeMap<u64, W>,
}

impl<W> InUse<W> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, total: 0, shares: GenerationMap::default(), turns: VecDeque::new(), next_ticket: 0 }
    }

    /// Returns true if the share uses a connection.
    pub(super) fn is_used_by(&self, share: Generation) -> bool {
        self.connections(share) > 0
    }

    /// Counts a connection that was not in use. Returns false if the share may not use it.
    pub(super) fn take(&mut self, share: Generation, has_rivals: impl Fn() -> bool) -> bool {
        let may_use = self.state(share, has_rivals).may_use_another();
        if may_use {
            self.total += 1;
            self.share(share).connections += 1;
        }
        may_use
    }

    /// Counts a connection that other shares use. Returns false if the share may not use it.
    pub(super) fn join(&mut self, share: Generation, has_rivals: impl Fn() -> bool) -> bool {
        let may_join = self.state(share, has_rivals).may_join();
        if may_join {
            self.share(share).connections += 1;
        }
        may_join
    }

    /// Ends the use of a connection by a share. `is_last`: no other share uses it.
    pub(super) fn release(&mut self, share: Generation, is_last: bool) {
        self.total -= usize::from(is_last);
        if let Some(of_share) = self.shares.get_mut(&share) {
            of_share.connections -= 1;
        }
        self.forget(share);
    }

    /// Uncounts a connection that was taken, and turned out to be in use by other shares.
    pub(super) fn taken_is_joined(&mut self) {
        self.total -= 1;
    }

    /// Adds a waiting request. Returns its ticket.
    pub(super) fn wait(&mut self, share: Generation, waiter: W) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let waiting = &mut self.share(share).waiting;
        waiting.insert(ticket, waiter);
        if waiting.len() == 1 {
            self.turns.push_back(share);
        }
        ticket
    }

    /// Removes a waiting request, unless its turn has come.
    pub(super) fn cancel(&mut self, share: Generation, ticket: u64) {
        let Some(of_share) = self.shares.get_mut(&share) else { return };
        if of_share.waiting.remove(&ticket).is_some() && of_share.waiting.is_empty() {
            self.turns.retain(|turn| *turn != share);
        }
        self.forget(share);
    }

    /// Takes a connection for the next waiting request that may use one: shares in turn, and the requests of a share in
    /// order of arrival.
    pub(super) fn next_turn(&mut self, has_rivals: impl Fn() -> bool) -> Option<W> {
        for _ in 0..self.turns.len() {
            if self.total >= self.limit {
                return None;
            }
            let share = self.turns.pop_front()?;
            let is_taken = self.take(share, &has_rivals);
            let waiting = &mut self.share(share).waiting;
            let next = if is_taken { waiting.pop_first() } else { None };
            if !waiting.is_empty() {
                self.turns.push_back(share);
            }
            if let Some((_, waiter)) = next {
                return Some(waiter);
            }
        }
        None
    }

    fn state(&self, share: Generation, has_rivals: impl Fn() -> bool) -> ShareState {
        let own = self.connections(share);
        let is_only = ShareState { limit: self.limit, in_use: self.total, own, has_rivals: false };
        let among_rivals = ShareState { has_rivals: true, ..is_only };
        // Below the reserve rivals make no difference.
        let is_decided = among_rivals.may_use_another() && among_rivals.may_join();
        if is_decided || !has_rivals() { is_only } else { among_rivals }
    }

    fn connections(&self, share: Generation) -> usize {
        self.shares.get(&share).map_or(0, |share| share.connections)
    }

    fn share(&mut self, share: Generation) -> &mut ShareUse<W> {
        self.shares.entry(share).or_insert_with(|| ShareUse { connections: 0, waiting: BTreeMap::new() })
    }

    /// Removes the entry of a share that neither uses a connection nor waits for one.
    fn forget(&mut self, share: Generation) {
        let is_over = |of_share: &ShareUse<W>| of_share.connections == 0 && of_share.waiting.is_empty();
        if self.shares.get(&share).is_some_and(is_over) {
            self.shares.remove(&share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIVALS: fn() -> bool = || true;

    fn shares() -> [Generation; 3] {
        [(); 3].map(|()| Generation::next())
    }

    #[test]
    fn shares_take_turns_and_their_requests_keep_their_order() {
        let [a, b, c] = shares();
        let mut in_use = InUse::new(16);
        for _ in 0..16 {
            assert!(in_use.take(c, || false));
        }
        for (share, waiter) in [(a, "a1"), (a, "a2"), (a, "a3"), (b, "b1"), (b, "b2")] {
            assert!(!in_use.take(share, RIVALS));
            in_use.wait(share, waiter);
        }
        assert_eq!(in_use.next_turn(RIVALS), None);
        for _ in 0..16 {
            in_use.release(c, true);
        }
        let order: Vec<_> = std::iter::from_fn(|| in_use.next_turn(RIVALS)).collect();
        assert_eq!(order, ["a1", "b1", "a2", "b2", "a3"]);
        assert_eq!(in_use.total, 5);
    }

    #[test]
    fn turn_of_a_share_that_may_use_none_passes_to_the_next() {
        let [a, b, c] = shares();
        let mut in_use = InUse::new(8);
        while in_use.take(a, RIVALS) {}
        assert_eq!(in_use.total, 7);
        assert!(in_use.take(c, RIVALS));
        in_use.wait(a, "a");
        in_use.wait(b, "b");
        in_use.release(c, true);
        assert_eq!(in_use.next_turn(RIVALS), Some("b"));
        in_use.release(b, true);
        assert_eq!(in_use.next_turn(RIVALS), None, "the last one is reserved");
        in_use.release(a, true);
        assert_eq!(in_use.next_turn(RIVALS), Some("a"));
    }

    #[test]
    fn cancelled_requests_leave_nothing_behind() {
        let [a, b, _] = shares();
        let mut in_use = InUse::new(1);
        assert!(in_use.take(a, RIVALS));
        let tickets = [in_use.wait(b, "b1"), in_use.wait(b, "b2")];
        in_use.cancel(b, tickets[0]);
        in_use.release(a, true);
        assert_eq!(in_use.next_turn(RIVALS), Some("b2"));
        let ticket = in_use.wait(b, "b3");
        in_use.cancel(b, ticket);
        in_use.release(b, true);
        assert_eq!(in_use.next_turn(RIVALS), None);
        assert!(in_use.shares.is_empty() && in_use.turns.is_empty() && in_use.total == 0);
    }

    #[test]
    fn joined_connection_counts_once() {
        let [a, b, _] = shares();
        let mut in_use = InUse::<()>::new(2);
        assert!(in_use.take(a, RIVALS) && in_use.join(b, RIVALS));
        assert_eq!(in_use.total, 1);
        assert!(in_use.is_used_by(a) && in_use.is_used_by(b));
        in_use.release(a, false);
        assert_eq!((in_use.total, in_use.is_used_by(a)), (1, false));
        in_use.release(b, true);
        assert_eq!(in_use.total, 0);
    }
}
