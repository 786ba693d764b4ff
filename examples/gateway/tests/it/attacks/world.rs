//! A gateway in front of an upstream with small, large, silent and endless responses.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::client::TlsStream;

use crate::support::{
    Demo, Running,
    attackers::{Paths, Target},
    fronted, metrics, raw_http2,
    upstream::Upstream,
    value,
};

pub(crate) const MIB: usize = 1 << 20;
pub(crate) const LARGE: usize = 64 * MIB;

/// Latest end of the last connections of a listener.
const DISCONNECTED: Duration = Duration::from_secs(3);

/// A gateway in front of an upstream that responds to `/small` with a byte, to `/hundred` with 100, to `/mib` with a MiB,
/// to `/quiet` with a byte and then nothing, to `/late` with a byte after 2 s, to `/upload` with a byte once it has read
/// the body, to `/silent` never, to `/tunnel` with a tunnel, and to all else with more than any buffer takes. Under
/// `/open` any caller gets the same.
pub(crate) struct World {
    pub(crate) demo: Demo,
    pub(crate) running: Running,
    #[expect(dead_code, reason = "serves until it is dropped")]
    upstream: Upstream,
    /// Exchanges and tunnels of the upstream that have not ended.
    pub(crate) open: Arc<AtomicUsize>,
    /// Requests to the upstream.
    pub(crate) asked: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Main,
    Management,
}

impl Listener {
    /// The listener's name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Management => "management",
        }
    }
}

impl World {
    pub(crate) async fn start(alpn: &[&str]) -> Self {
        Self::with_limits(alpn, "body_timeout = \"1s\"").await
    }

    pub(crate) async fn with_limits(alpn: &[&str], limits: &str) -> Self {
        Self::logging(alpn, limits, "info,gateway::server=debug").await
    }

    /// Starts with this log filter.
    pub(crate) async fn logging(alpn: &[&str], limits: &str, log: &str) -> Self {
        let demo = Demo::start();
        let open = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let (counted, asking) = (open.clone(), asked.clone());
        let upstream = Upstream::start(&demo.dir(), alpn, move |stream| {
            let (counted, asking) = (counted.clone(), asking.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                asking.fetch_add(1, Ordering::SeqCst);
                let exchange = OpenExchange::begin(counted.clone());
                async move { Ok::<_, Infallible>(respond(request, exchange).await) }
            });
            async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            }
        })
        .await;
        let config = fronted::configure(&demo, upstream.address, limits, "");
        let (running, port) = Running::start_logging(&config, log);
        Self { demo: demo.on_port(port), running, upstream, open, asked }
    }

    /// A listener as a target of attackers.
    pub(crate) fn target(&self, listener: Listener) -> Target {
        let (port, paths) = match listener {
            Listener::Main => (
                self.demo.port,
                Paths {
                    large: "/open/large",
                    upload: "/open/upload",
                    silent: "/open/silent",
                    tunnel: "/open/tunnel",
                    rejected: "/rejected",
                },
            ),
            Listener::Management => (
                self.running.management_port(),
                Paths {
                    large: "/portal/main.js",
                    upload: "/metrics",
                    silent: "/metrics",
                    tunnel: "/",
                    rejected: "/metrics",
                },
            ),
        };
        let root = CertificateDer::from_pem_file(self.demo.dir().join("ca.pem")).unwrap();
        Target::new(([127, 0, 0, 1], port).into(), root, paths)
    }

    pub(crate) async fn connect(&self, port: u16, window: u32) -> TlsStream<TcpStream> {
        let mut stream = self.demo.connect_to(port, None, b"h2").await;
        stream.write_all(&raw_http2::preface(window)).await.unwrap();
        stream
    }

    /// Open connections of a listener's callers, except the one that reads the metrics.
    pub(crate) async fn connections(&self, listener: &str) -> f64 {
        let port = self.running.management_port();
        let series = format!("gateway_caller_connections{{listener=\"{listener}\"}}");
        let own = if listener == "management" { 1.0 } else { 0.0 };
        value(&metrics(&self.demo, port).await, &series).unwrap() - own
    }

    /// Waits until a listener has no connections.
    pub(crate) async fn disconnected(&self, listener: &str) {
        let deadline = Instant::now() + DISCONNECTED;
        loop {
            // Connections of earlier readings of the metrics can be about to end.
            let open = self.connections(listener).await;
            if open <= 0.0 {
                return;
            }
            assert!(Instant::now() < deadline, "{open} connections of {listener}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An exchange in progress, counted until it is dropped.
struct OpenExchange(Arc<AtomicUsize>);

impl OpenExchange {
    fn begin(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open)
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn respond(mut request: Request<Incoming>, exchange: OpenExchange) -> Response<Answer> {
    let path = request.uri().path();
    let left = match path.strip_prefix("/open").unwrap_or(path) {
        "/small" => 1,
        "/hundred" => 100,
        "/quiet" => return Response::new(Answer { left: 1, is_quiet: true, exchange: Some(exchange) }),
        "/late" => {
            tokio::time::sleep(Duration::from_secs(2)).await;
            1
        }
        "/mib" => MIB,
        "/upload" => {
            // A caller that gives up ends the exchange.
            let _ = request.body_mut().collect().await;
            1
        }
        "/silent" => std::future::pending().await,
        "/tunnel" => return tunnel(&mut request, exchange),
        _ => LARGE,
    };
    Response::new(Answer { left, is_quiet: false, exchange: Some(exchange) })
}

/// Switches protocols, and reads until the tunnel ends.
fn tunnel(request: &mut Request<Incoming>, exchange: OpenExchange) -> Response<Answer> {
    let switched = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(io) = switched.await {
            let (mut io, mut bytes) = (TokioIo::new(io), [0; 1_024]);
            while io.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        }
        drop(exchange);
    });
    let mut response = Response::new(Answer { left: 0, is_quiet: false, exchange: None });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", http::HeaderValue::from_static("upgrade"));
    response.headers_mut().insert("upgrade", http::HeaderValue::from_static("chatter"));
    response
}

/// A body in pieces of 16 KiB.
struct Answer {
    left: usize,
    /// Stays open without an end.
    is_quiet: bool,
    exchange: Option<OpenExchange>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 16_384] = [b'x'; 16_384];
        if self.is_quiet && self.left == 0 {
            return Poll::Pending;
        }
        let length = self.left.min(PIECE.len());
        self.left -= length;
        let frame = (length > 0).then(|| Ok(Frame::data(Bytes::from_static(&PIECE[..length]))));
        if frame.is_none() {
            self.exchange = None;
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_quiet { SizeHint::default() } else { SizeHint::with_exact(self.left as u64) }
    }
}
