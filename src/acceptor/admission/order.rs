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

/// A connection that can be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) class: Class,
    /// The address that counts. None: it is exempt.
    pub(super) address: Option<IpAddr>,
    /// Time for which the connection has been in its class; of [`Class::Open`], the time since it was accepted.
    pub(super) waiting: Duration,
    /// Bytes per second; of [`Class::Open`] only.
    pub(super) rate: u64,
}

/// Returns the numbers of the first `most` connections to close, in order.
///
/// 1. By class.
/// 2. Except for [`Class::Idle`]: a connection of the address that holds most connections, counted again after each.
/// 3. The slowest.
/// 4. The one that has been waiting longest.
pub(super) fn closing_order(
    mut candidates: Vec<Candidate>,
    held: &HashMap<IpAddr, usize>,
    most: usize,
) -> Vec<u64> {
    candidates.sort_by_key(|it| (it.class, it.rate, Reverse(it.waiting)));
    let mut taken: HashMap<IpAddr, usize> = HashMap::new();
    let mut ranked: Vec<_> = candidates
        .into_iter()
        .map(|it| {
            let held = it.address.filter(|_| it.class != Class::Idle).map_or(0, |address| {
                let taken = taken.entry(address).or_default();
                *taken += 1;
                held.get(&address).copied().unwrap_or(1).saturating_sub(*taken - 1)
            });
            (it.class, Reverse(held), it.number)
        })
        .collect();
    // Stable: keeps the order within an address.
    ranked.sort_by_key(|(class, held, _)| (*class, *held));
    ranked.into_iter().take(most).map(|(_, _, number)| number).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn candidate(number: u64, class: Class, address: u8, seconds: u64, rate: u64) -> Candidate {
        let address = (address > 0).then(|| Ipv4Addr::new(192, 0, 2, address).into());
        Candidate { number, class, address, waiting: Duration::from_secs(seconds), rate }
    }

    fn order(candidates: &[Candidate]) -> Vec<u64> {
        let mut held = HashMap::new();
        for address in candidates.iter().filter_map(|it| it.address) {
            *held.entry(address).or_default() += 1;
        }
        closing_order(candidates.to_vec(), &held, usize::MAX)
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
        assert_eq!(closing_order(candidates.to_vec(), &HashMap::new(), 2), [4, 3]);
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
