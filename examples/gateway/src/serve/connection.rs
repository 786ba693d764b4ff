//! One caller's connection.

use std::{convert::Infallible, pin::pin, sync::Arc};

use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::sync::watch;
use tower::service_fn as tower_service_fn;
use tower_mtls::MtlsStream;

use super::{
    Site,
    activity::{Activity, Overdue},
    body::CountedBody,
    site::LARGEST_HEAD,
    strict_http1::Guard,
    watched_io::WatchedIo,
};
use crate::config::Limits;

/// HTTP/2 streams at a time.
const STREAMS: u32 = 250;

/// Serves a connection until it ends, is idle for too long, or is drained.
pub(super) async fn serve(
    stream: MtlsStream,
    site: Arc<Site>,
    limits: Limits,
    mut drain: watch::Receiver<bool>,
) {
    let activity = Activity::new();
    let remote = stream.remote_addr();
    let is_http2 = stream.is_http2();
    let counted = activity.clone();
    let service = stream.capture(tower_service_fn(move |request: Request<Incoming>| {
        let (site, in_flight) = (site.clone(), counted.begin());
        async move {
            let response = site.answer(request, remote).await;
            Ok::<_, Infallible>(response.map(|body| CountedBody::new(body, in_flight)))
        }
    }));
    let guard = (!is_http2).then(Guard::new);
    let io = TokioIo::new(WatchedIo::new(stream, activity.clone(), guard));
    let http = builder(is_http2);
    let mut connection = pin!(http.serve_connection(io, TowerToHyperService::new(service)));
    let head = (!is_http2).then_some(limits.head_timeout);
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%remote, error, "connection ended early");
                }
                return;
            }
            // A sender that is gone means that the server is: drain as well.
            _ = drain.wait_for(|draining| *draining), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            overdue = activity.overdue(limits.idle_timeout, head) => {
                // A second time: it was told to end and did not.
                if overdue == Overdue::Head || ending {
                    tracing::debug!(%remote, ?overdue, "connection closed");
                    return;
                }
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

fn builder(is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads are timed by our own watch, which tells a head that is late from a connection that is idle.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD as u32)
        .max_concurrent_streams(STREAMS);
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
