//! Servers of axum and tonic, and good callers.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract,
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use tokio::{io::AsyncReadExt, time};
use tonic::service::Routes;
use tower::{Service, service_fn};
use tower_mtls::{
    MtlsListener, ServerTls,
    acceptor::ListenerLimits,
    serve,
    serve::{CallerBody, HttpLimits, TimeoutKind},
};

use super::{
    CONNECTIONS, HANDSHAKE, MAX_RESPONSE_TIME, SECOND,
    files::{self, Files},
};
use crate::support::{
    Http, Tls,
    attackers::{Paths, Target},
    caller::Caller,
    observed::{Observed, OpenExchange},
    pki::{Authority, Leaf},
    server::Server,
};

const PATHS: Paths =
    Paths { large: "/large", upload: "/upload", silent: "/silent", tunnel: "/tunnel", rejected: "/rejected" };

/// A server, and what it has observed.
pub(super) struct World {
    #[expect(dead_code, reason = "serves until it is dropped")]
    server: Server,
    target: Target,
    root: Authority,
    /// The path of good callers.
    small: &'static str,
    exchanges: Arc<AtomicUsize>,
    observed: Arc<Observed>,
}

impl World {
    fn start<S, B>(service: S, paths: Paths, small: &'static str, body_timeout: Duration) -> Self
    where
        S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let root = Authority::root("servers");
        let server = root.issue(&Leaf::server());
        let tls = ServerTls::from_pem(server.chain_pem().as_bytes(), server.key_pem().as_bytes()).unwrap();
        let limits =
            ListenerLimits::default().with_connections(CONNECTIONS).with_handshake_timeout(HANDSHAKE);
        let http = HttpLimits::default()
            .with_head_timeout(SECOND)
            .with_idle_timeout(HANDSHAKE)
            .with_body_timeout(Some(body_timeout))
            .with_stream_idle_timeout(Some(body_timeout));
        let exchanges = Arc::new(AtomicUsize::new(0));
        let open = exchanges.clone();
        let counted = service_fn(move |request| {
            let (mut service, exchange) = (service.clone(), OpenExchange::begin(&open));
            async move {
                let response = service.call(request).await?;
                let counted = response.map(|body| {
                    body.map_frame(move |frame| {
                        let _ = &exchange;
                        frame
                    })
                });
                Ok::<_, Infallible>(counted)
            }
        });
        let observed = Arc::new(Observed::default());
        let observer = observed.clone();
        let server = Server::start(async move |socket| {
            let listener = MtlsListener::new(socket, tls, limits).unwrap();
            serve(listener, counted).with_limits(http).with_observer(observer).await;
        });
        let target = Target::new(server.address(), CertificateDer::from(root.der().to_vec()), paths);
        Self { server, target, root, small, exchanges, observed }
    }

    /// Starts a server of axum with this `body_timeout`.
    pub(super) fn axum(body_timeout: Duration) -> Self {
        static LARGE: [u8; 16 << 20] = [0; 16 << 20];
        let app = Router::new()
            .route("/small", get(async || "x"))
            .route("/large", get(async || Body::from(Bytes::from_static(&LARGE))))
            .route("/upload", post(async |_: Bytes| "x"))
            .route("/silent", get(std::future::pending::<String>))
            .route("/tunnel", get(tunnel))
            .route("/rejected", get(async || (StatusCode::FORBIDDEN, "rejected")));
        Self::start(app, PATHS, "/small", body_timeout)
    }

    /// Starts a server of tonic with this `body_timeout`.
    pub(super) fn tonic(body_timeout: Duration) -> Self {
        let (_reporter, health) = tonic_health::server::health_reporter();
        let routes = Routes::new(health).add_service(Files);
        let mut world = Self::start(routes, files::PATHS, files::SMALL, body_timeout);
        world.target = world.target.with_grpc();
        world
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the number of requests whose response is not complete.
    pub(super) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that have completed their handshake.
    pub(super) fn connections(&self) -> usize {
        self.observed.open()
    }

    /// Returns the reasons for which connections were closed.
    pub(super) fn timed_out(&self) -> Vec<TimeoutKind> {
        self.observed.timed_out()
    }

    /// Calls on new connections until the flag is set; returns the number of calls.
    pub(super) async fn call(&self, http: Http, is_stopped: &AtomicBool) -> Result<usize, String> {
        let caller = Caller::new(&self.root, None, Tls::V13, http);
        let mut count = 0;
        while count < 3 || !is_stopped.load(Ordering::SeqCst) {
            let start = Instant::now();
            let response = loop {
                // A connection without an admitted request can lose its place: the caller tries again.
                match caller.try_get(self.target.address(), self.small).await {
                    Some(response) => break response,
                    None if start.elapsed() > MAX_RESPONSE_TIME => return Err("a good caller fails".into()),
                    None => {}
                }
            };
            if response.status != StatusCode::OK || !response.body.ends_with(b"x") {
                return Err(format!("a good caller gets {}", response.status));
            }
            if start.elapsed() > MAX_RESPONSE_TIME {
                return Err(format!("a good caller waits {:?}", start.elapsed()));
            }
            count += 1;
            time::sleep(Duration::from_millis(100)).await;
        }
        Ok(count)
    }
}

/// Switches protocols. The application bounds its tunnels: here by a second without a byte.
async fn tunnel(mut request: extract::Request) -> impl IntoResponse {
    let switched = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(io) = switched.await else { return };
        let (mut io, mut bytes) = (TokioIo::new(io), [0; 1_024]);
        while matches!(time::timeout(SECOND, io.read(&mut bytes)).await, Ok(Ok(1..))) {}
    });
    (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "chatter")])
}
