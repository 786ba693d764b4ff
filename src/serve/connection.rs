//! Connections of callers.

use std::{convert::Infallible, error::Error, future::poll_fn, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};
use tower_service::Service;

use super::{
    CallerBody, HeadLimits, ReadTimeout, ReleasedOnClose, TimeoutKind,
    activity::{Activity, InFlight, Timeouts},
    delivery::DeliveredBody,
    early_response::EarlyResponse,
    http2_frames::CallerFrames,
    observer::OpenConnection,
    served_body::ServedBody,
    settings::{ConnectionSettings, ConnectionSignals},
    strict_http1::Http1Validator,
    watched_io::WatchedIo,
};
use crate::{acceptor::MtlsStream, request::is_grpc};

/// Minimum size of hyper's buffer.
const MIN_BUFFER: usize = 8 * 1024;

/// Number of bytes by which the part of a head that exceeds its limits is completed, at most.
const MAX_COMPLETION: usize = 64;

/// Maximum number of concurrent HTTP/2 streams: the minimum that RFC 9113, section 6.5.2 recommends.
const MAX_STREAMS: u32 = 100;

/// Response buffer of one HTTP/2 stream, in bytes.
const SEND_BUFFER: usize = 32 * 1024;

/// Interval of HTTP/2 keep-alive pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Time within which the caller must acknowledge a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// HTTP/2 receive window of a stream, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;

/// HTTP/2 receive window of a connection, in bytes. It exceeds a stream's, so that a few bodies that upstreams do not
/// read do not block the others.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

/// Idle timeout of an HTTP/1.1 connection whose listener drains: a request can be in transit.
const GRACE_HTTP1: Duration = Duration::from_millis(300);

/// Idle timeout of an HTTP/2 connection whose listener drains: the caller must acknowledge the GOAWAY.
const GRACE_HTTP2: Duration = Duration::from_secs(5);

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
    let (request_activity, request_open) = (activity.clone(), open.clone());
    let head_limits = signals.settings.borrow().limits.head;
    let service = stream.capture(service_fn(move |request: Request<Incoming>| {
        let part = request_activity.input.head_rejection();
        let rejection = part.or_else(|| head_limits.check(&request).err());
        let rejected = rejection.map(|rejection| {
            request_open.head_rejected(rejection);
            (rejection.response(&request), part.is_some())
        });
        // gRPC calls are not limited: they can be long, and share connections to their upstream.
        let is_limited = is_http2 && rejected.is_none() && !is_grpc(&request);
        let in_flight = request_activity.begin(is_limited);
        let (request, early) = EarlyResponse::watch(request, is_http2);
        let (service, activity) = (service.clone(), request_activity.clone());
        async move {
            let in_flight = match in_flight {
                Some(in_flight) => in_flight,
                None => activity.begin_when_free().await,
            };
            let (response, closes) = match rejected {
                Some((response, closes)) => (response.map(|body| ServedBody::Server { body }), closes),
                None => (service.oneshot(request).await?.map(|body| ServedBody::Service { body }), false),
            };
            Ok::<_, Infallible>(respond(response, closes, early, in_flight, is_http2))
        }
    }));
    let validator = (!is_http2).then(|| Http1Validator::new(head_limits));
    let frames = is_http2.then(|| CallerFrames::new(head_limits.max_size, Instant::now().into_std()));
    let io = WatchedIo::new(stream, MtlsStream::written, activity.clone(), validator, open.clone());
    let io = TokioIo::new(io.with_frames(frames));
    let http = builder(is_http2, head_limits);
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http.serve_connection_with_upgrades(io, service));
    let (mut has_seen_drain, mut is_shutting_down) = (false, false);
    loop {
        let ConnectionSettings { limits, is_draining } = *signals.settings.borrow_and_update();
        if is_draining && !has_seen_drain {
            has_seen_drain = true;
            activity.restart_idle_timeout();
            if is_http2 {
                is_shutting_down = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        activity.limit_unread(limits.body_timeout);
        let idle = match (is_draining, is_http2) {
            (false, _) => limits.idle_timeout,
            (true, false) => limits.idle_timeout.min(GRACE_HTTP1),
            (true, true) => limits.idle_timeout.min(GRACE_HTTP2),
        };
        let timeouts = Timeouts { idle, head: limits.head_timeout, body: limits.body_timeout };
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if activity.input.is_flooded() || ended.as_ref().is_err_and(|error| is_flood(&**error)) {
                    open.timed_out(TimeoutKind::Flood);
                }
                if let Err(error) = ended {
                    tracing::debug!(%remote, error, "connection ended early");
                }
                break;
            }
            Ok(()) = signals.settings.changed() => {}
            error = poll_fn(|cx| state.poll_closed(cx)) => {
                tracing::debug!(%remote, %error, "connection closed");
                return;
            }
            // Polled after the connection, which can begin a request.
            timeout = activity.timed_out(timeouts) => {
                // At a second idle timeout the caller has not reacted to the graceful shutdown.
                if timeout != TimeoutKind::Idle || is_shutting_down {
                    tracing::debug!(%remote, ?timeout, "connection timed out");
                    open.timed_out(timeout);
                    return;
                }
                is_shutting_down = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Prepares a response for delivery. The last response of an HTTP/1.1 connection contains `Connection: close`.
fn respond<B>(
    mut response: Response<B>,
    closes: bool,
    early: Option<EarlyResponse>,
    in_flight: InFlight,
    is_http2: bool,
) -> Response<DeliveredBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let is_unread = !closes && early.is_some_and(EarlyResponse::finish);
    let is_last = !is_http2 && (closes || is_unread || in_flight.is_draining());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        in_flight.switch_to_tunnel(response.extensions_mut().remove::<ReleasedOnClose>());
    } else if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let timeout = response.extensions_mut().remove::<ReadTimeout>();
    let timeout = timeout.map_or_else(|| in_flight.unread_limit(), |ReadTimeout(timeout)| timeout);
    response.map(|body| DeliveredBody::new(body, in_flight, timeout, is_http2))
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

fn builder(is_http2: bool, limits: HeadLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // `Activity` times heads, and distinguishes a late head from an idle connection.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits.max_fields)
        .max_buf_size((limits.max_size + MAX_COMPLETION).max(MIN_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        // Larger ones get an empty 431 of hyper, much larger ones end the connection.
        .max_header_list_size(u32::try_from(limits.max_size * 2).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
