//! Connections of callers.

use std::{
    convert::Infallible, error::Error, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::time::{Instant, sleep_until, timeout};
use tower::{ServiceExt, service_fn};
use tower_service::Service;

use super::{
    CallerBody, ProgressLimits, ReleasedOnClose, TimeoutKind,
    activity::{Activity, Expiry, InFlight, Timeouts},
    admission::CallerConnection,
    delivery::DeliveredBody,
    early_response::EarlyResponse,
    http_connection::HttpConnection,
    http2_frames::CallerFrames,
    observer::OpenConnection,
    served_body::ServedBody,
    settings::{ConnectionSettings, ConnectionSignals},
    strict_http1::Http1Validator,
    watched_io::WatchedIo,
};
use crate::{
    acceptor::{ConnectionState, MtlsStream},
    request::{grpc_error, is_grpc},
};

/// Time without a response after which a gRPC exchange counts as quiet.
const QUIET: Duration = Duration::from_secs(1);

/// Idle timeout of an HTTP/1.1 connection whose listener drains: a request can be in transit.
const GRACE_HTTP1: Duration = Duration::from_millis(300);

/// Idle timeout of an HTTP/2 connection whose listener drains: the caller must acknowledge the GOAWAY.
const GRACE_HTTP2: Duration = Duration::from_secs(5);

/// Idle timeout of an HTTP/2 connection after its last response.
const GRACE_LAST_RESPONSE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends, times out, or is drained.
pub(super) async fn serve<S, B>(
    stream: MtlsStream,
    service: S,
    activity: Arc<Activity>,
    mut signals: ConnectionSignals,
    open: OpenConnection,
) where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let remote = stream.remote_addr();
    let is_http2 = stream.is_http2();
    let state = stream.state().clone();
    let accepted = state.accepted();
    state.set_occupied(activity.clone());
    let presented = stream.presented().clone();
    let caller = Arc::new(CallerConnection { activity: activity.clone(), state: state.clone(), presented });
    let (request_activity, request_open) = (activity.clone(), open.clone());
    let limits = signals.settings.borrow().limits;
    let head_limits = limits.head;
    activity.set_stream_limits(limits.stream_limits());
    let service = stream.capture(service_fn(move |request: Request<Incoming>| {
        let part = request_activity.input.head_rejection();
        let rejection = part.or_else(|| head_limits.check(&request).err());
        let rejected = rejection.map(|rejection| {
            request_open.head_rejected(rejection);
            (rejection.response(&request), part.is_some())
        });
        let is_grpc = is_grpc(&request);
        let in_flight = request_activity.begin(is_http2 && rejected.is_none(), is_grpc);
        let limits = request_activity.stream_limits();
        let (mut request, early) = EarlyResponse::watch(request, is_http2, &request_activity, limits);
        request_activity.park_when_idle(!is_http2 && early.is_none());
        let (service, activity) = (service.clone(), request_activity.clone());
        let caller = caller.clone();
        async move {
            let mut in_flight = match in_flight {
                Some(in_flight) => in_flight,
                None => activity.begin_when_free(is_grpc).await,
            };
            let upload = early.as_ref().map(|early| early.upload().clone());
            in_flight.observe_admission(request.extensions_mut(), &caller, upload);
            let (response, closes) = match rejected {
                Some((response, closes)) => (response.map(|body| ServedBody::Server { body }), closes),
                None => {
                    let response = call(service, request, &in_flight).await?;
                    if in_flight.limit_unless_grpc(response.headers()) {
                        (response.map(|body| ServedBody::Service { body }), false)
                    } else {
                        let message = HeaderValue::from_static("too many concurrent requests");
                        let response = grpc_error(StatusCode::TOO_MANY_REQUESTS, message);
                        (response.map(|()| ServedBody::Server { body: Bytes::new() }), false)
                    }
                }
            };
            let last = LastResponse { closes, is_http2, state: &caller.state };
            Ok::<_, Infallible>(respond(response, last, early, in_flight, limits.progress))
        }
    }));
    let validator = (!is_http2).then(|| Http1Validator::new(head_limits));
    let frames = is_http2.then(|| CallerFrames::new(head_limits.max_size, Instant::now().into_std()));
    let io = WatchedIo::new(stream, MtlsStream::written, activity.clone(), validator, open.clone());
    let io = TokioIo::new(io.with_frames(frames));
    let service = TowerToHyperService::new(service);
    let mut connection = match is_http2 {
        true => HttpConnection::http2(io, service, head_limits),
        false => HttpConnection::http1(io, service, head_limits),
    };
    let (mut has_seen_end, mut is_shutting_down, mut is_aged) = (false, false, false);
    loop {
        let ConnectionSettings { limits, is_draining } = *signals.settings.borrow_and_update();
        let age_at = limits.max_connection_age.and_then(|age| accepted.checked_add(age));
        let end_at = age_at.filter(|_| is_aged).and_then(|at| at.checked_add(limits.drain_timeout));
        let is_ending = is_draining || is_aged || state.has_last_response();
        if is_ending && !has_seen_end {
            has_seen_end = true;
            activity.finish();
            activity.restart_idle_timeout();
            if is_http2 {
                is_shutting_down = true;
                connection.graceful_shutdown();
            }
        }
        let stream_limits = limits.stream_limits();
        activity.set_stream_limits(stream_limits);
        let idle = match (is_ending, is_http2) {
            (false, _) => limits.idle_timeout,
            (true, false) => limits.idle_timeout.min(GRACE_HTTP1),
            (true, true) if is_draining || is_aged => limits.idle_timeout.min(GRACE_HTTP2),
            (true, true) => limits.idle_timeout.min(GRACE_LAST_RESPONSE),
        };
        let timeouts = Timeouts { idle, head: limits.head_timeout, read: stream_limits.progress };
        tokio::select! {
            biased;
            ended = poll_fn(|cx| connection.poll(cx)) => {
                let error = ended.as_ref().err().map(|error| error as &(dyn Error + 'static));
                if activity.input.is_flooded() || error.is_some_and(is_flood) {
                    open.timed_out(TimeoutKind::Flood);
                }
                if let Some(error) = error {
                    tracing::debug!(%remote, error, "connection ended early");
                }
                break;
            }
            Ok(()) = signals.settings.changed() => {}
            // Polled after the connection, whose task the last response wakes.
            () = poll_fn(|_| {
                if !has_seen_end && state.has_last_response() { Poll::Ready(()) } else { Poll::Pending }
            }) => {}
            error = poll_fn(|cx| state.poll_closed(cx)) => {
                tracing::debug!(%remote, %error, "connection closed");
                return;
            }
            () = due(age_at), if !is_aged => {
                is_aged = true;
                open.timed_out(TimeoutKind::Age);
            }
            () = due(end_at), if is_aged => {
                tracing::debug!(%remote, "connection closed after its maximum age and the drain timeout");
                return;
            }
            // Polled after the connection, which can begin a request.
            expiry = activity.timed_out(timeouts) => {
                // At a second idle timeout the caller has not reacted to the graceful shutdown.
                match expiry {
                    Expiry::Close(timeout) if timeout != TimeoutKind::Idle || is_shutting_down => {
                        tracing::debug!(%remote, ?timeout, "connection timed out");
                        if !(is_aged && timeout == TimeoutKind::Idle) {
                            open.timed_out(timeout);
                        }
                        return;
                    }
                    Expiry::Park => {
                        if !(is_ending || is_shutting_down) && activity.is_between_requests() {
                            connection.park();
                        }
                    }
                    Expiry::Close(_) | Expiry::GoAway => {
                        is_shutting_down = true;
                        connection.graceful_shutdown();
                    }
                }
            }
        }
    }
}

/// Completes at this time. None: never.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Calls the service. A gRPC exchange without a response for some time counts as quiet.
async fn call<S, B>(
    service: S,
    request: Request<CallerBody>,
    in_flight: &InFlight,
) -> Result<Response<B>, Infallible>
where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>,
{
    let mut responding = pin!(service.oneshot(request));
    if in_flight.is_grpc() {
        if let Ok(response) = timeout(QUIET, responding.as_mut()).await {
            return response;
        }
        in_flight.response_is_quiet();
    }
    responding.await
}

/// Decides whether a response is the last one of its connection.
struct LastResponse<'a> {
    /// True if no further request of the connection can be read.
    closes: bool,
    is_http2: bool,
    state: &'a ConnectionState,
}

/// Prepares a response for delivery. The last response of an HTTP/1.1 connection contains `Connection: close`; that of an
/// HTTP/2 connection, whose service sets the same field, is followed by GOAWAY.
fn respond<B>(
    mut response: Response<B>,
    LastResponse { closes, is_http2, state }: LastResponse<'_>,
    early: Option<EarlyResponse>,
    in_flight: InFlight,
    read_limits: ProgressLimits,
) -> Response<DeliveredBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let upload = early.as_ref().map(|early| early.upload().clone());
    let is_unread = !closes && early.is_some_and(EarlyResponse::finish);
    let is_last = !is_http2 && (closes || is_unread || in_flight.is_draining());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        in_flight.switch_to_tunnel(response.extensions_mut().remove::<ReleasedOnClose>());
    } else if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if is_http2 && response.headers().get(header::CONNECTION).is_some_and(|value| value == "close") {
        response.headers_mut().remove(header::CONNECTION);
        state.set_last_response();
    }
    let read_limits = response.extensions_mut().remove().unwrap_or(read_limits);
    response.map(|body| DeliveredBody::new(body, in_flight, read_limits, is_http2, upload))
}

/// Returns true if hyper ended the connection by GOAWAY with `ENHANCE_YOUR_CALM`: by its limits of reset streams and of
/// small DATA frames.
fn is_flood(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let reason = causes.filter_map(|cause| cause.downcast_ref::<h2::Error>()).find_map(|error| {
        let is_own = error.is_go_away() && error.is_library();
        error.reason().filter(|_| is_own)
    });
    reason == Some(h2::Reason::ENHANCE_YOUR_CALM)
}
