//! Connections of callers.

use std::{convert::Infallible, future::poll_fn, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower::{ServiceExt, service_fn};
use tower_service::Service;

use super::{
    CallerBody, ReadTimeout, ReleasedOnClose, TimeoutKind,
    activity::{Activity, InFlight, Timeouts},
    delivery::DeliveredBody,
    early_response::EarlyResponse,
    observer::OpenConnection,
    settings::{ConnectionSettings, ConnectionSignals},
    strict_http1::Http1Validator,
    watched_io::WatchedIo,
};
use crate::{acceptor::MtlsStream, request::is_grpc};

/// Maximum size of a request's head (target and fields), in bytes.
///
/// A much larger head can fail other requests too: HTTP/2 upstreams close the whole connection.
const MAX_HEAD: usize = 32 * 1024;

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
    state.set_occupied(activity.clone());
    let (request_activity, request_state) = (activity.clone(), state.clone());
    let service = stream.capture(service_fn(move |request: Request<Incoming>| {
        // gRPC calls are not limited: they can be long, and share connections to their upstream.
        let in_flight = request_activity.begin(is_http2 && !is_grpc(&request));
        let (mut request, early) = EarlyResponse::watch(request, is_http2);
        let (service, activity) = (service.clone(), request_activity.clone());
        let state = request_state.clone();
        async move {
            let mut in_flight = match in_flight {
                Some(in_flight) => in_flight,
                None => activity.begin_when_free().await,
            };
            in_flight.observe_admission(request.extensions_mut(), &state);
            respond(service, request, early, in_flight, is_http2).await
        }
    }));
    let validator = (!is_http2).then(Http1Validator::new);
    let io =
        TokioIo::new(WatchedIo::new(stream, MtlsStream::written, activity.clone(), validator, open.clone()));
    let http = builder(is_http2);
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
        let head = (!is_http2).then_some(limits.head_timeout);
        let timeouts = Timeouts { idle, head, body: limits.body_timeout };
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
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

/// Responds to one request. The last response of an HTTP/1.1 connection contains `Connection: close`.
async fn respond<S, B>(
    service: S,
    request: Request<CallerBody>,
    early: Option<EarlyResponse>,
    in_flight: InFlight,
    is_http2: bool,
) -> Result<Response<DeliveredBody<B>>, Infallible>
where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes> + Send + 'static,
{
    let mut response = service.oneshot(request).await?;
    let is_unread = early.is_some_and(EarlyResponse::finish);
    let is_last = !is_http2 && (is_unread || in_flight.is_draining());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        in_flight.switch_to_tunnel(response.extensions_mut().remove::<ReleasedOnClose>());
    } else if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let timeout = response.extensions_mut().remove::<ReadTimeout>();
    let timeout = timeout.map_or_else(|| in_flight.unread_limit(), |ReadTimeout(timeout)| timeout);
    Ok(response.map(|body| DeliveredBody::new(body, in_flight, timeout, is_http2)))
}

fn builder(is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // `Activity` times heads, and distinguishes a late head from an idle connection.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD as u32)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
