//! One caller's connection.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower::{Service, ServiceExt, service_fn};
use tower_mtls::{MtlsStream, inbound::is_grpc, proxy::TunnelSlot};

use super::{
    activity::{Activity, InFlight, TimeoutKind, Timeouts},
    body::CallerBody,
    bounds::{ReadTimeout, TunnelPermit},
    delivery::DeliveredBody,
    early::Early,
    listener_control::{ConnectionSettings, ConnectionSignals},
    measure,
    snapshot::LARGEST_HEAD,
    strict_http1::Http1Validator,
    tunnel,
    watched_io::WatchedIo,
};

/// HTTP/2 streams at a time, as RFC 9113, section 6.5.2 recommends at least.
const STREAMS: u32 = 100;

/// The most of a response that is buffered for one HTTP/2 stream, in bytes.
const SEND_BUFFER: usize = 32 * 1024;

/// Interval of HTTP/2 keep-alive pings, and how long the caller has to acknowledge one.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of a request's body may be on its way: on one HTTP/2 stream, and on all of a connection together, so
/// that bodies that some upstreams do not read hold up no others, unless there are many of them.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

/// How long a connection without a request stays open once its listener drains: over HTTP/1.1 a request may be on
/// its way; over HTTP/2 the caller has to confirm that it was told to open no more streams.
const GRACE_HTTP1: Duration = Duration::from_millis(300);
const GRACE_HTTP2: Duration = Duration::from_secs(5);

/// Serves a connection until it ends, is idle for too long, or is drained.
pub(super) async fn serve<S, B>(
    stream: MtlsStream,
    service: S,
    activity: Arc<Activity>,
    mut told: ConnectionSignals,
) where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let remote = stream.remote_addr();
    let is_http2 = stream.is_http2();
    let (watched, slot) = (activity.clone(), TunnelSlot::new());
    let tunnel_slot = slot.clone();
    let service = stream.capture(service_fn(move |mut request: Request<Incoming>| {
        if request.headers().contains_key(header::UPGRADE) {
            request.extensions_mut().insert(tunnel_slot.clone());
        }
        // gRPC calls may last as long as they like, and share connections to their upstream.
        let begun = watched.begin(is_http2 && !is_grpc(&request));
        let (request, early) = Early::watch(request, is_http2);
        let (service, watched) = (service.clone(), watched.clone());
        async move {
            let in_flight = match begun {
                Some(in_flight) => in_flight,
                None => watched.begin_later().await,
            };
            answer(service, request, early, in_flight, is_http2).await
        }
    }));
    let validator = (!is_http2).then(Http1Validator::new);
    let io = TokioIo::new(WatchedIo::new(stream, MtlsStream::written, activity.clone(), validator));
    let http = builder(is_http2);
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http.serve_connection_with_upgrades(io, service));
    // Whether it was told that the listener drains, and that it is to end.
    let (mut is_drained, mut ending) = (false, false);
    loop {
        let ConnectionSettings { limits, draining } = *told.conditions.borrow_and_update();
        if draining && !is_drained {
            is_drained = true;
            activity.idle_from_now();
            if is_http2 {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        activity.limit_unread(limits.body_timeout);
        let idle = match (draining, is_http2) {
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
            Ok(()) = told.conditions.changed() => {}
            // After the connection, whose poll may begin a request.
            overdue = activity.overdue(timeouts) => {
                // A second idle timeout: the caller did not react to the graceful shutdown.
                if overdue != TimeoutKind::Idle || ending {
                    tracing::debug!(%remote, ?overdue, "connection closed");
                    measure::timed_out(overdue.as_str());
                    return;
                }
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    // The connection lives on in another protocol, and still counts as one.
    if let Some(switched) = slot.take() {
        tunnel::run(switched, remote).await;
    }
}

/// Answers one request. The last response of an HTTP/1.1 connection says so.
async fn answer<S, B>(
    service: S,
    request: Request<CallerBody>,
    early: Option<Early>,
    in_flight: InFlight,
    is_http2: bool,
) -> Result<Response<DeliveredBody<B>>, Infallible>
where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes> + Send + 'static,
{
    let mut response = service.oneshot(request).await?;
    let is_unread = early.is_some_and(Early::finish);
    let is_last = !is_http2 && (is_unread || in_flight.is_draining());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        in_flight.tunnel(response.extensions_mut().remove::<TunnelPermit>());
    } else if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let timeout = response.extensions_mut().remove::<ReadTimeout>();
    let timeout = timeout.map_or_else(|| in_flight.unread_limit(), |ReadTimeout(timeout)| timeout);
    Ok(response.map(|body| DeliveredBody::new(body, in_flight, timeout, is_http2)))
}

fn builder(is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads are timed by our own watch, which tells a head that is late from a connection that is idle.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD as u32)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
