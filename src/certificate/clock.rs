use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
};

use super::Timestamp;

/// Source of the current time. Tests inject a [`ManualClock`].
///
/// ```
/// use tower_mtls::certificate::{Clock, Timestamp};
///
/// #[derive(Debug)]
/// struct Fixed;
///
/// impl Clock for Fixed {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_unix(1_767_225_600)
///     }
/// }
///
/// assert_eq!(Fixed.now().to_string(), "2026-01-01T00:00:00Z");
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The system's wall clock.
///
/// On Linux it reads the coarse clock: a few nanoseconds per call, and at most some milliseconds late. Certificates have
/// a resolution of one second.
///
/// ```
/// use tower_mtls::certificate::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock.now() > Timestamp::from_unix(1_767_225_600));
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit struct, used as a value")]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Timestamp::from_unix(now.tv_sec)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's time")]
    fn now(&self) -> Timestamp {
        Timestamp::from(std::time::SystemTime::now())
    }
}

/// A clock that changes only when it is set or advanced.
///
/// ```
/// use tower_mtls::certificate::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_unix(1_000));
/// clock.advance(60);
/// assert_eq!(clock.now(), Timestamp::from_unix(1_060));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock at the time `now`.
    ///
    /// ```
    /// use tower_mtls::certificate::{Clock, ManualClock, Timestamp};
    ///
    /// let now = Timestamp::from_unix(1_767_225_600);
    /// assert_eq!(ManualClock::new(now).now(), now);
    /// ```
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_unix()))
    }

    /// Sets the time to `now`.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_unix(), Ordering::SeqCst);
    }

    /// Advances the clock by `seconds`; negative values move it back.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        C::now(self)
    }
}
