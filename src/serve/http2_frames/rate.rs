//! Rates of frames.

use std::time::Instant;

/// Maximum rate of frames of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Number of frames at once.
    pub(super) burst: u32,
    /// Number of further frames per second.
    pub(super) per_second: u32,
    /// Number of bytes sent to the caller, acknowledgements apart, that permit one further frame. None: no number.
    pub(super) bytes_per_frame: Option<u32>,
}

/// Token bucket of a [`Rate`], refilled only when it is empty.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Number of frames until the bucket is empty.
    tokens: u32,
    /// Time of the last refill.
    refilled: Instant,
    /// Bytes sent up to the last refill.
    sent: u64,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst, refilled: now, sent: 0 }
    }

    /// Takes the token of one frame. Returns false if there is none: the rate is exceeded.
    ///
    /// `sent` is the number of bytes sent to the caller so far, acknowledgements apart.
    pub(super) fn take(&mut self, sent: u64, now: impl Fn() -> Instant) -> bool {
        if self.tokens == 0 {
            self.refill(sent, now());
        }
        match self.tokens.checked_sub(1) {
            Some(tokens) => self.tokens = tokens,
            None => return false,
        }
        true
    }

    #[cold]
    fn refill(&mut self, sent: u64, now: Instant) {
        let Rate { burst, per_second, bytes_per_frame } = self.rate;
        let elapsed = now.saturating_duration_since(self.refilled).as_millis();
        let by_time = elapsed.saturating_mul(u128::from(per_second)) / 1_000;
        let by_bytes = sent.saturating_sub(self.sent).checked_div(bytes_per_frame.unwrap_or(0).into());
        let gained = by_time.saturating_add(by_bytes.unwrap_or(0).into());
        self.tokens = u32::try_from(gained).unwrap_or(burst).min(burst);
        if self.tokens > 0 {
            self.refilled = now;
            self.sent = sent;
        }
    }
}
