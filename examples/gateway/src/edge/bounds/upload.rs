//! Request bodies that report their end, and fail if the caller stalls.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{sync::oneshot, time::Instant};
use tower_mtls::serve::{Lapse, ProgressClock, ProgressLimits};

use super::{exchange_activity::ExchangeActivity, lazy_timer::LazyTimer};

/// Time after which a silent request ends an exchange whose response has begun: later than the response, which reports
/// the reason.
const SLACK: Duration = Duration::from_secs(1);

type Error = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// Request body that closes its channel when it ends or is dropped: upstreams need not read all of it.
    #[derive(Debug, Default)]
    pub(crate) struct Upload<B> {
        #[pin]
        body: B,
        end_tx: Option<oneshot::Sender<UploadTimeout>>,
        clock: Option<UploadClock>,
    }
}

/// Timeout of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadTimeout {
    /// The caller sent nothing while the upstream waited for more of the body.
    Stall,
    /// The caller sent less than the minimum rate meanwhile.
    Rate,
    /// Neither side sent anything.
    Idle,
}

impl UploadTimeout {
    /// Returns the text of the error, with the key of its limit.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Stall => "request body timed out (body_timeout)",
            Self::Rate => "request body too slow (min_data_rate)",
            Self::Idle => "exchange without bytes timed out (stream_idle_timeout)",
        }
    }
}

/// End of a request's body.
#[derive(Debug)]
pub(super) enum UploadEnd {
    Reached,
    /// Reached when the channel closes, or receives a timeout.
    Pending(oneshot::Receiver<UploadTimeout>),
}

impl UploadEnd {
    /// Returns the timeout that ended the upload.
    pub(super) fn timeout(&mut self) -> Option<UploadTimeout> {
        match self {
            Self::Pending(end) => end.try_recv().ok(),
            Self::Reached => None,
        }
    }
}

/// Deadlines of a request body.
#[derive(Debug)]
pub(super) struct UploadClock {
    clock: ProgressClock,
    activity: ExchangeActivity,
    stream_idle_timeout: Option<Duration>,
    timer: LazyTimer,
}

impl UploadClock {
    pub(super) fn new(
        limits: ProgressLimits,
        stream_idle_timeout: Option<Duration>,
        activity: ExchangeActivity,
    ) -> Self {
        let (clock, timer) = (ProgressClock::new(limits), LazyTimer::default());
        Self { clock, activity, stream_idle_timeout, timer }
    }

    /// Records bytes of the caller, which then owes nothing until the upstream waits again.
    fn record(&mut self, bytes: usize) {
        // An empty data frame is not progress.
        if bytes > 0 {
            let now = Instant::now();
            self.clock.record(bytes, now);
            self.clock.stop(now);
            self.activity.record(now);
        }
    }

    fn deadline(&mut self, now: Instant) -> Option<(Instant, UploadTimeout)> {
        if self.activity.is_open_ended() {
            let slack = if self.activity.has_response() { SLACK } else { Duration::ZERO };
            let timeout = self.stream_idle_timeout?.checked_add(slack)?;
            return Some((self.activity.last().checked_add(timeout)?, UploadTimeout::Idle));
        }
        self.clock.start(now);
        let (at, lapse) = self.clock.deadline()?;
        let timeout = match lapse {
            Lapse::Rate => UploadTimeout::Rate,
            _ => UploadTimeout::Stall,
        };
        Some((at, timeout))
    }

    /// The upstream waits for bytes; ready at a deadline.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<UploadTimeout> {
        loop {
            let now = Instant::now();
            let Some((deadline, timeout)) = self.deadline(now) else { return Poll::Pending };
            if deadline <= now {
                return Poll::Ready(timeout);
            }
            ready!(self.timer.poll_until(deadline, cx));
        }
    }
}

impl<B: Body> Upload<B> {
    /// Wraps a body. The end is reported if `is_watched`, or if there is a `clock`.
    pub(super) fn new(body: B, is_watched: bool, clock: Option<UploadClock>) -> (Self, UploadEnd) {
        if body.is_end_stream() || (!is_watched && clock.is_none()) {
            return (Self { body, end_tx: None, clock: None }, UploadEnd::Reached);
        }
        let (end_tx, end) = oneshot::channel();
        (Self { body, end_tx: Some(end_tx), clock }, UploadEnd::Pending(end))
    }
}

impl<B> Body for Upload<B>
where
    B: Body,
    B::Error: Into<Error>,
{
    type Data = B::Data;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Error>>> {
        let this = self.project();
        match (this.body.poll_frame(cx), this.clock) {
            (Poll::Ready(frame), clock) => {
                match (&frame, clock) {
                    (Some(Ok(frame)), Some(clock)) => {
                        clock.record(frame.data_ref().map_or(1, Buf::remaining));
                    }
                    (Some(Ok(_)), None) => {}
                    _ => *this.end_tx = None,
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            (Poll::Pending, Some(clock)) => clock.poll_timeout(cx).map(|timeout| {
                if let Some(end_tx) = this.end_tx.take() {
                    // An error means that the receiver has been dropped.
                    let _ = end_tx.send(timeout);
                }
                Some(Err(io::Error::new(io::ErrorKind::TimedOut, timeout.message()).into()))
            }),
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
