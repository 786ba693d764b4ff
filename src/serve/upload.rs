//! Uploads: the deadlines of request bodies, and their end.

use std::{
    error, fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{Lapse, ProgressClock, StreamLimits};

/// Time after the idle timeout at which a silent request ends an exchange whose response has begun: later than the
/// response, which reports the reason.
const SLACK: Duration = Duration::from_secs(1);

/// Handle of a request body, obtained from [`CallerBody::upload`](super::CallerBody::upload), for services that have
/// limits of their own or act on the end of the body.
///
/// The caller must make progress while the service waits for bytes. Over gRPC, and once the response has begun, the body
/// can be silent until the idle timeout of both directions: a caller that claims gRPC thus needs only one byte within
/// each idle timeout.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::future::poll_fn;
/// use http::Request;
/// use tower_mtls::serve::{CallerBody, StreamLimits};
///
/// let request = Request::new(String::from("an order"));
/// let request = CallerBody::bound(request, StreamLimits::default());
/// let upload = request.body().upload().cloned().expect("the body is not empty");
/// assert!(!upload.is_awaited());
/// drop(request);
/// assert_eq!(poll_fn(|cx| upload.poll_end(cx)).await, Ok(()));
/// # }
/// ```
#[derive(Clone)]
pub struct Upload(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limits: StreamLimits,
    /// Runs while the service waits for bytes.
    clock: ProgressClock,
    is_grpc: bool,
    has_response: bool,
    is_awaited: bool,
    /// Time of the last byte of either direction, or else of the start.
    last: Instant,
    end: Option<Result<(), UploadError>>,
    /// Task that waits for the end.
    waker: Option<Waker>,
    is_cut: bool,
    /// Task that reads the body, which can outlive the request's.
    reader: Option<Waker>,
}

/// Failure of a request body.
///
/// ```
/// use tower_mtls::serve::UploadError;
///
/// assert_eq!(UploadError::TooSlow.to_string(), "request body too slow (min_data_rate)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadError {
    /// The caller sent nothing while the service waited for more of the body.
    Stalled,
    /// The caller sent less than the minimum rate meanwhile.
    TooSlow,
    /// No byte moved in either direction.
    Idle,
    /// The caller disconnected or reset the stream.
    Disconnected,
    /// The body is not strict HTTP/1.
    Malformed,
    /// The caller is not admitted any more.
    NotAdmitted,
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stalled => "request body timed out (body_timeout)",
            Self::TooSlow => "request body too slow (min_data_rate)",
            Self::Idle => "exchange without bytes timed out (stream_idle_timeout)",
            Self::Disconnected => "caller disconnected before the end of its request body",
            Self::Malformed => "malformed request body: not strict HTTP/1",
            Self::NotAdmitted => "request cut: its caller is not admitted any more",
        })
    }
}

impl error::Error for UploadError {}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("is_awaited", &self.is_awaited()).finish_non_exhaustive()
    }
}

impl Upload {
    pub(super) fn new(limits: StreamLimits, is_grpc: bool) -> Self {
        let state = State {
            limits,
            clock: ProgressClock::new(limits.progress),
            is_grpc,
            has_response: false,
            is_awaited: false,
            last: Instant::now(),
            end: None,
            waker: None,
            is_cut: false,
            reader: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Replaces the limits of the server, before the body is read.
    pub fn set_limits(&self, limits: StreamLimits) {
        let mut state = self.state();
        state.limits = limits;
        state.clock.set_limits(limits.progress, Instant::now());
    }

    /// Returns true while the service waits for bytes of the caller.
    pub fn is_awaited(&self) -> bool {
        self.state().is_awaited
    }

    /// Returns the time of the last byte of either direction, or else of the request's head.
    pub fn last_byte(&self) -> Instant {
        self.state().last
    }

    /// Returns the time at which the idle timeout ends a request that has no response, unless the service reads more of
    /// the body before. None: unlimited.
    pub fn unread_deadline(&self) -> Option<Instant> {
        let state = self.state();
        let since = if state.is_awaited { Instant::now() } else { state.last };
        since.checked_add(state.limits.idle?)
    }

    /// Ready once the body has been read to its end, has been dropped, or has failed.
    ///
    /// # Errors
    ///
    /// 1. The caller exceeded a limit.
    /// 2. The caller disconnected, or its body is malformed.
    /// 3. The caller is not admitted any more.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let mut state = self.state();
        if let Some(end) = state.end {
            return Poll::Ready(end);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Records the head or bytes of the response. The server does so for each response that it delivers.
    pub fn record_response(&self) {
        let mut state = self.state();
        state.has_response = true;
        state.last = Instant::now();
    }

    /// Fails the body.
    pub(super) fn cut(&self) {
        let mut state = self.state();
        state.is_cut = true;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Ready once the body is cut.
    pub(super) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_cut {
            return Poll::Ready(());
        }
        if !state.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            state.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The service waits for bytes. Returns true if it did not before.
    pub(super) fn begin_wait(&self) -> bool {
        let mut state = self.state();
        let is_new = !std::mem::replace(&mut state.is_awaited, true);
        if is_new {
            state.clock.start(Instant::now());
        }
        is_new
    }

    /// Returns the deadline of the bytes that the service waits for.
    pub(super) fn deadline(&self) -> Option<(Instant, UploadError)> {
        let state = self.state();
        if state.is_grpc || state.has_response {
            let slack = if state.has_response { SLACK } else { Duration::ZERO };
            let timeout = state.limits.idle?.checked_add(slack)?;
            return Some((state.last.checked_add(timeout)?, UploadError::Idle));
        }
        let (at, lapse) = state.clock.deadline()?;
        let error = match lapse {
            Lapse::Stall => UploadError::Stalled,
            Lapse::Rate => UploadError::TooSlow,
        };
        Some((at, error))
    }

    /// Records bytes of the caller, which then owes nothing until the service waits again. Returns true if it waited.
    pub(super) fn record(&self, bytes: usize) -> bool {
        // An empty data frame is not progress.
        if bytes == 0 {
            return false;
        }
        let now = Instant::now();
        let mut state = self.state();
        state.last = now;
        state.clock.record(bytes, now);
        state.clock.stop(now);
        std::mem::take(&mut state.is_awaited)
    }

    /// Records the end of the body, unless it has ended before. Returns true if the service waited.
    pub(super) fn end(&self, end: Result<(), UploadError>) -> bool {
        let mut state = self.state();
        state.end.get_or_insert(end);
        let waker = state.waker.take();
        let is_awaited = std::mem::take(&mut state.is_awaited);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        is_awaited
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
