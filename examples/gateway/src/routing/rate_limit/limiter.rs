//! One rate limit with its counts.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use governor::{
    Quota,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
};

use super::table::{Key, KeyTable};
use crate::config::{RateLimit, RateLimitKey};

/// Bits of an IPv6 address that one caller controls: the interface identifier of its /64 network.
const INTERFACE_BITS: u128 = u64::MAX as u128;

/// Bits of an IPv6 address that one site controls: 65,536 networks, as many as a table counts by default.
const SITE_BITS: u128 = (1 << 80) - 1;

/// A rate limit with the counts of its keys, which routes and configurations share.
pub(crate) struct RateLimiter<C: Clock = MonotonicClock> {
    pub(super) by: RateLimitKey,
    /// Keys are stored as keyed hashes, so that entries are small and callers cannot choose where they are stored.
    hasher: RandomState,
    limiter: governor::RateLimiter<Key, KeyTable, C, NoOpMiddleware<C::Instant>>,
}

impl RateLimiter {
    /// Creates the limiter without counts.
    pub(crate) fn new(limit: &RateLimit) -> Self {
        Self::with_clock(limit, MonotonicClock)
    }
}

impl<C: Clock> RateLimiter<C> {
    pub(super) fn with_clock(limit: &RateLimit, clock: C) -> Self {
        let interval = (limit.per / limit.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(limit.requests));
        let table = KeyTable::new(limit.max_keys, interval);
        let limiter = governor::RateLimiter::new(quota.allow_burst(limit.requests), table, clock);
        Self { by: limit.by, hasher: RandomState::new(), limiter }
    }

    /// Counts a request of the caller at this address. If the table is full, the /48 network of an IPv6 address has one
    /// count.
    ///
    /// # Errors
    ///
    /// The time until its next request is allowed, if this one is over the rate.
    pub(super) fn check_address(&self, address: IpAddr) -> Result<(), Duration> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.check(address),
            IpAddr::V6(address) => {
                let network = |host_bits: u128| Ipv6Addr::from_bits(address.to_bits() & !host_bits);
                let own = self.hasher.hash_one(network(INTERFACE_BITS));
                self.check_key(Key { own, group: self.hasher.hash_one(network(SITE_BITS)) })
            }
        }
    }

    /// Counts a request with this key: a thumbprint or the name of a route.
    ///
    /// # Errors
    ///
    /// The time until the next request with the key is allowed, if this one is over the rate.
    pub(super) fn check(&self, key: impl Hash) -> Result<(), Duration> {
        let own = self.hasher.hash_one(key);
        self.check_key(Key { own, group: own })
    }

    fn check_key(&self, key: Key) -> Result<(), Duration> {
        self.limiter.check_key(&key).map_err(|not_until| not_until.wait_time_from(self.limiter.clock().now()))
    }
}

impl<C: Clock> fmt::Debug for RateLimiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("by", &self.by).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limiter(
        requests: u32,
        per: u64,
        max_keys: usize,
    ) -> (RateLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let requests = requests.try_into().unwrap();
        let limit =
            RateLimit { requests, per: Duration::from_secs(per), by: RateLimitKey::Address, max_keys };
        (RateLimiter::with_clock(&limit, clock.clone()), clock)
    }

    #[test]
    fn burst_is_the_number_of_requests_and_time_allows_one_after_the_other() {
        let (limiter, clock) = limiter(3, 60, 10);
        for _ in 0..3 {
            assert_eq!(limiter.check("a"), Ok(()));
        }
        assert_eq!(limiter.check("a"), Err(Duration::from_secs(20)));
        assert_eq!(limiter.check("b"), Ok(()), "another key has its own count");
        clock.advance(Duration::from_secs(19));
        assert_eq!(limiter.check("a"), Err(Duration::from_secs(1)), "a rejected request is not counted");
        clock.advance(Duration::from_secs(1));
        assert_eq!(limiter.check("a"), Ok(()));
        assert!(limiter.check("a").is_err());
        clock.advance(Duration::from_secs(3_600));
        let allowed = (0..10).filter(|_| limiter.check("a").is_ok()).count();
        assert_eq!(allowed, 3, "unused requests do not accumulate beyond the burst");
    }

    #[test]
    fn addresses_of_one_network_share_a_count() {
        let cases = [
            ("the same IPv4 address", "10.0.0.1", "10.0.0.1", true),
            ("another IPv4 address", "10.0.0.1", "10.0.0.2", false),
            ("an IPv4-mapped IPv6 address", "10.0.0.1", "::ffff:10.0.0.1", true),
            ("another mapped address", "10.0.0.1", "::ffff:10.0.0.2", false),
            ("the same /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
            ("another /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ];
        for (name, first, second, is_shared) in cases {
            let (limiter, _clock) = limiter(1, 60, 10);
            assert_eq!(limiter.check_address(first.parse().unwrap()), Ok(()), "{name}");
            let second = limiter.check_address(second.parse().unwrap());
            assert_eq!(second.is_err(), is_shared, "{name}");
        }
    }

    #[test]
    fn keys_beyond_the_maximum_share_a_count_until_others_are_stale() {
        let (limiter, clock) = limiter(2, 60, 3);
        for key in ["a", "b", "c"] {
            assert_eq!((limiter.check(key), limiter.check(key)), (Ok(()), Ok(())), "{key}");
        }
        assert_eq!((limiter.check("d"), limiter.check("e")), (Ok(()), Ok(())));
        assert!(limiter.check("f").is_err(), "d, e and f share one count");
        assert!(limiter.check("a").is_err(), "the keys of the table keep theirs");
        clock.advance(Duration::from_secs(59));
        assert_eq!(limiter.check("f"), Ok(()));
        assert!(limiter.check("g").is_err(), "a, b and c are not replenished yet");
        clock.advance(Duration::from_secs(1));
        for key in ["f", "g"] {
            assert_eq!((limiter.check(key), limiter.check(key)), (Ok(()), Ok(())), "{key} has its own count");
        }
        assert!(limiter.check("f").is_err());
    }

    #[test]
    fn site_with_more_networks_than_the_table_delays_no_other() {
        let (limiter, _clock) = limiter(1, 60, 16);
        let check = |address: String| limiter.check_address(address.parse().unwrap()).is_ok();
        let allowed = (0..1_000).filter(|network| check(format!("2001:db8:0:{network:x}::1"))).count();
        assert_eq!(allowed, 14 + 1, "the networks of the table, and one request of the site");
        assert!(check("2001:db8:1::1".to_owned()), "another site");
        assert!(!check("2001:db8:1:1::1".to_owned()), "has one count");
    }

    #[test]
    fn smallest_and_largest_rates_are_exact() {
        let (limiter, clock) = limiter(1, 24 * 60 * 60, 10);
        assert_eq!(limiter.check("a"), Ok(()));
        assert_eq!(limiter.check("a"), Err(Duration::from_secs(24 * 60 * 60)));
        clock.advance(Duration::from_secs(24 * 60 * 60));
        assert_eq!(limiter.check("a"), Ok(()));

        let limit = RateLimit {
            requests: 1_000_000.try_into().unwrap(),
            per: Duration::from_millis(1),
            by: RateLimitKey::Route,
            max_keys: 1,
        };
        let limiter = RateLimiter::with_clock(&limit, FakeRelativeClock::default());
        assert!((0..1_000_000).all(|_| limiter.check("a").is_ok()));
        assert_eq!(limiter.check("a"), Err(Duration::from_nanos(1)));
    }
}
