//! Order in which connections are closed to make room for others.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr, time::Duration};

/// Class of a connection, in the order of closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// No request in flight, and none was ever admitted.
    NeverAdmitted,
    /// Requests in flight, none of which makes progress.
    Stalled,
    /// No request in flight, but one was admitted before.
    Idle,
    /// Requests in flight, none of which needed a certificate.
    Open,
}

/// Age below which a connection without admitted request can be in its handshake.
pub(super) const YOUNG: Duration = Duration::from_millis(500);

/// Age below which such a connection is not closed: a local caller's handshake ends within it.
const MIN_AGE: Duration = Duration::from_millis(50);

/// A connection that can be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) class: Class,
    /// The address that counts. None: it is exempt.
    pub(super) address: Option<IpAddr>,
    pub(super) age: Duration,
    /// Time for which the connection has been in its class.
    pub(super) waiting: Duration,
    /// Bytes per second; of [`Class::Open`] only.
    pub(super) rate: u64,
}

impl Candidate {
    fn is_young(&self) -> bool {
        self.class == Class::NeverAdmitted && self.age < YOUNG
    }
}

/// Returns the numbers of the first `most` connections to close, in order. All are of one class: connections of the
/// earlier classes that arrive later go first.
///
/// 1. By class, [young](YOUNG) connections last in theirs.
/// 2. Except for [`Class::Idle`]: a connection of the address that holds most connections, counted again after each.
/// 3. The slowest.
/// 4. The one that has been waiting longest.
///
/// So that a burst of callers is served, the last `protected` young connections are not closed. More of them are churn:
/// then idle and open connections are not closed for them.
pub(super) fn closing_order(
    mut candidates: Vec<Candidate>,
    held: &HashMap<IpAddr, usize>,
    protected: usize,
    most: usize,
) -> Vec<u64> {
    candidates.sort_by_key(|it| (it.class, it.is_young(), it.rate, Reverse(it.waiting)));
    let mut taken: HashMap<IpAddr, usize> = HashMap::new();
    let mut ranked: Vec<_> = candidates
        .into_iter()
        .map(|it| {
            let held = it.address.filter(|_| it.class != Class::Idle).map_or(0, |address| {
                let taken = taken.entry(address).or_default();
                *taken += 1;
                held.get(&address).copied().unwrap_or(1).saturating_sub(*taken - 1)
            });
            (held, it)
        })
        .collect();
    // Stable: keeps the order within an address.
    ranked.sort_by_key(|(held, it)| (it.class, it.is_young(), Reverse(*held)));
    let mut young = ranked.iter().filter(|(_, it)| it.is_young()).count();
    let is_churn = young > protected;
    let closable = ranked.into_iter().map(|(_, it)| it).filter(|it| {
        if it.is_young() {
            young -= 1;
            return young >= protected && it.age >= MIN_AGE;
        }
        !is_churn || matches!(it.class, Class::NeverAdmitted | Class::Stalled)
    });
    let mut closable = closable.peekable();
    let first = closable.peek().map(|it| it.class);
    let same = closable.take_while(|it| Some(it.class) == first);
    same.take(most).map(|it| it.number).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn candidate(number: u64, class: Class, address: u8, seconds: u64, rate: u64) -> Candidate {
        let address = (address > 0).then(|| Ipv4Addr::new(192, 0, 2, address).into());
        let waiting = Duration::from_secs(seconds);
        Candidate { number, class, address, age: waiting, waiting, rate }
    }

    /// The order of all classes, each computed once the former one is closed.
    fn order(candidates: &[Candidate]) -> Vec<u64> {
        let (mut left, mut all) = (candidates.to_vec(), Vec::new());
        while !left.is_empty() {
            let mut held = HashMap::new();
            for address in left.iter().filter_map(|it| it.address) {
                *held.entry(address).or_default() += 1;
            }
            all.extend(closing_order(left.clone(), &held, 0, usize::MAX));
            left.retain(|it| !all.contains(&it.number));
        }
        all
    }

    #[test]
    fn connections_are_closed_by_class() {
        let candidates = [
            candidate(1, Class::Open, 1, 9, 5),
            candidate(2, Class::Idle, 2, 9, 0),
            candidate(3, Class::Stalled, 3, 1, 0),
            candidate(4, Class::NeverAdmitted, 4, 1, 0),
        ];
        assert_eq!(order(&candidates), [4, 3, 2, 1]);
        assert_eq!(closing_order(candidates.to_vec(), &HashMap::new(), 0, 2), [4]);
    }

    #[test]
    fn address_that_holds_most_loses_first_until_it_holds_as_many_as_others() {
        let candidates = [
            candidate(1, Class::NeverAdmitted, 1, 9, 0),
            candidate(2, Class::NeverAdmitted, 2, 1, 0),
            candidate(3, Class::NeverAdmitted, 2, 2, 0),
            candidate(4, Class::NeverAdmitted, 2, 3, 0),
            candidate(5, Class::NeverAdmitted, 3, 4, 0),
            candidate(6, Class::NeverAdmitted, 3, 5, 0),
        ];
        // Three, then two and two, then one each: the longest wait decides.
        assert_eq!(order(&candidates), [4, 6, 3, 1, 5, 2]);
    }

    /// Young connections 1 to 4 of addresses 1 to 4, the first 400 ms old; an idle one, 5, and a stalled one, 6.
    fn burst() -> [Candidate; 6] {
        let young = |number: u64| Candidate {
            age: Duration::from_millis(500 - 100 * number),
            waiting: Duration::from_millis(500 - 100 * number),
            ..candidate(number, Class::NeverAdmitted, number as u8, 0, 0)
        };
        let (idle, stalled) = (candidate(5, Class::Idle, 5, 9, 0), candidate(6, Class::Stalled, 6, 9, 0));
        [young(1), young(2), young(3), young(4), idle, stalled]
    }

    #[test]
    fn burst_of_callers_is_not_closed_but_idle_connections_are() {
        let order = |candidates: &[Candidate], protected| {
            closing_order(candidates.to_vec(), &HashMap::new(), protected, usize::MAX)
        };
        assert_eq!(order(&burst(), 4), [6]);
        assert_eq!(order(&burst()[..5], 4), [5]);
    }

    #[test]
    fn churn_closes_its_oldest_connections_and_no_idle_ones() {
        let order = |candidates: &[Candidate], protected| {
            closing_order(candidates.to_vec(), &HashMap::new(), protected, usize::MAX)
        };
        assert_eq!(order(&burst(), 2), [1, 2]);
        let mut newest = burst();
        for young in &mut newest[..4] {
            young.age = MIN_AGE / 2;
        }
        assert_eq!(order(&newest, 2), [6]);
        assert!(order(&newest[..5], 2).is_empty());
    }

    #[test]
    fn exempt_address_is_not_counted() {
        let candidates = [
            candidate(1, Class::Stalled, 0, 9, 0),
            candidate(2, Class::Stalled, 0, 8, 0),
            candidate(3, Class::Stalled, 0, 7, 0),
            candidate(4, Class::Stalled, 1, 1, 0),
        ];
        assert_eq!(order(&candidates), [4, 1, 2, 3]);
    }

    #[test]
    fn longest_idle_connection_is_closed_first_whatever_its_address() {
        let candidates = [
            candidate(1, Class::Idle, 1, 5, 0),
            candidate(2, Class::Idle, 1, 6, 0),
            candidate(3, Class::Idle, 2, 7, 0),
        ];
        assert_eq!(order(&candidates), [3, 2, 1]);
    }

    #[test]
    fn slowest_open_request_of_an_address_is_closed_first() {
        let candidates = [
            candidate(1, Class::Open, 1, 5, 900),
            candidate(2, Class::Open, 1, 1, 10),
            candidate(3, Class::Open, 1, 9, 500),
        ];
        assert_eq!(order(&candidates), [2, 3, 1]);
    }
}
