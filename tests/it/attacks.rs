//! Attacks on small servers of axum and tonic that are built with `serve`.
#![cfg(all(
    target_os = "linux",
    feature = "serve",
    feature = "axum",
    feature = "tonic",
    feature = "aws-lc-rs"
))]

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use tonic::service::Routes;
use tower::Service;
use tower_mtls::{
    MtlsListener, ServerTls,
    acceptor::ListenerLimits,
    serve,
    serve::{CallerBody, HttpLimits},
};

use crate::support::{
    Http, Tls,
    attackers::{
        Attackers, Paths,
        Protocol::{self, Http1, Http2},
        Stage, Target,
    },
    caller::Caller,
    in_time,
    pki::{Authority, Leaf},
    server::Server,
};

/// Each timeout of the servers.
const SECOND: Duration = Duration::from_secs(1);

/// Time that a connection may be held beyond its deadline, and longest response time of a good caller.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Connections of a server whose attackers exceed them.
const CONNECTIONS: usize = 64;

const ANY: &[Protocol] = &[Http1, Http2];

/// An idle HTTP/2 connection gets GOAWAY, and another `idle_timeout`.
const IDLE: Duration = SECOND.saturating_mul(2);

/// The attack, its stage and protocols; its connections and their deadline.
type Row = (&'static str, Stage, &'static [Protocol], usize, Duration);

/// Attacks that need no particular response.
#[rustfmt::skip]
const CONNECTIONS_TABLE: &[Row] = &[
    ("silent TCP",          Stage::SilentTcp,          ANY,      20, SECOND),
    ("slow handshake",      Stage::SlowHandshake,      ANY,      20, SECOND),
    ("silent TLS",          Stage::SilentTls,          ANY,      20, IDLE),
    ("slow head",           Stage::SlowHead,           ANY,      20, IDLE),
    ("vanished peer",       Stage::Vanished,           ANY,      20, IDLE),
];

/// Attacks with responses.
#[rustfmt::skip]
const RESPONSES_TABLE: &[Row] = &[
    ("unread response",     Stage::Unread,             ANY,      10, SECOND),
    ("slowly read socket",  Stage::SlowRead,           &[Http1], 10, SECOND),
    ("window 0",            Stage::WindowZero,         &[Http2], 10, SECOND),
    ("window 0, rejected",  Stage::WindowZeroRejected, &[Http2], 10, SECOND),
    ("vanished reader",     Stage::VanishedReader,     ANY,      10, SECOND),
];

const PATHS: Paths =
    Paths { large: "/large", upload: "/upload", silent: "/silent", tunnel: "/tunnel", rejected: "/rejected" };

struct World {
    server: Server,
    root: Authority,
}

impl World {
    fn start<S, B>(service: S) -> Self
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
        let limits = ListenerLimits::default().with_connections(CONNECTIONS).with_handshake_timeout(SECOND);
        let http = HttpLimits::default()
            .with_head_timeout(SECOND)
            .with_idle_timeout(SECOND)
            .with_body_timeout(Some(SECOND));
        let server = Server::start(async move |socket| {
            serve(MtlsListener::new(socket, tls, limits).unwrap(), service).with_limits(http).await;
        });
        Self { server, root }
    }

    fn axum() -> Self {
        static LARGE: [u8; 16 << 20] = [0; 16 << 20];
        let app = Router::new()
            .route("/small", get(async || "x"))
            .route("/large", get(async || Body::from(Bytes::from_static(&LARGE))))
            .route("/upload", post(async |_: Bytes| "x"))
            .route("/silent", get(std::future::pending::<String>))
            .route("/rejected", get(async || (StatusCode::FORBIDDEN, "rejected")));
        Self::start(app)
    }

    fn tonic() -> Self {
        let (_reporter, health) = tonic_health::server::health_reporter();
        Self::start(Routes::new(health))
    }

    fn target(&self) -> Target {
        Target::new(self.server.address(), CertificateDer::from(self.root.der().to_vec()), PATHS)
    }

    /// Calls on new connections until the flag is set; returns the number of calls.
    async fn call(&self, http: Http, is_stopped: Arc<AtomicBool>) -> Result<usize, String> {
        let caller = Caller::new(&self.root, None, Tls::V13, http);
        let mut count = 0;
        while count < 3 || !is_stopped.load(Ordering::SeqCst) {
            let start = Instant::now();
            // tonic reports unknown methods by 200 and a trailer.
            let status = caller.get(self.server.address(), "/small").await.status;
            if status != StatusCode::OK || start.elapsed() > TOLERANCE {
                return Err(format!("a good caller gets {status} after {:?}", start.elapsed()));
            }
            count += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(count)
    }

    /// Runs an attack beside good callers; returns its effects.
    async fn attack(&self, protocol: Protocol, (_, stage, _, size, deadline): Row) -> Result<String, String> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let attacking = async {
            let attackers = Attackers::start(&self.target(), protocol, stage, size);
            in_time("the attackers to reach their stage", attackers.reached()).await;
            let open = attackers.open();
            let freed = attackers.freed(deadline + TOLERANCE).await;
            is_stopped.store(true, Ordering::SeqCst);
            match freed {
                _ if open > size => Err(format!("{open} connections of {size} attackers")),
                None => Err(format!("{} connections after {deadline:?} and {TOLERANCE:?}", attackers.open())),
                Some(freed) => Ok(format!("{open} connections, freed after {freed:?}")),
            }
        };
        let (effects, calls) = tokio::join!(attacking, self.call(Http::Two, is_stopped.clone()));
        Ok(format!("{}, {} good calls", effects?, calls?))
    }

    async fn survive(&self, table: &[Row], protocols: &[Protocol]) {
        let mut failed = Vec::new();
        for row in table {
            for protocol in row.2.iter().filter(|protocol| protocols.contains(protocol)) {
                match self.attack(*protocol, *row).await {
                    Ok(effects) => println!("{protocol:?} {}: {effects}", row.0),
                    Err(problem) => failed.push(format!("{protocol:?} {}: {problem}", row.0)),
                }
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_server_bounds_stalled_callers() {
    let world = World::axum();
    world.survive(CONNECTIONS_TABLE, ANY).await;
    world.survive(RESPONSES_TABLE, ANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tonic_server_bounds_stalled_callers() {
    World::tonic().survive(CONNECTIONS_TABLE, &[Http2]).await;
}

/// Attackers hold and renew more connections than the server's limit, from one address and from 200.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_churning_attackers_make_room_for_good_callers() {
    let world = World::axum();
    let many: Vec<_> = (2..202).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
    for sources in [&many[..1], &many[..]] {
        for protocol in Protocol::BOTH {
            let is_stopped = Arc::new(AtomicBool::new(false));
            let attacking = async {
                let attackers =
                    Attackers::start_from(sources, &world.target(), protocol, Stage::Renewed, 120);
                let (start, mut most) = (Instant::now(), 0);
                while start.elapsed() < 2 * SECOND {
                    most = most.max(attackers.open());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                is_stopped.store(true, Ordering::SeqCst);
                most
            };
            let (most, calls) = tokio::join!(attacking, world.call(Http::Two, is_stopped.clone()));
            let calls = calls.unwrap();
            println!("{} addresses, {protocol:?}: {most} connections, {calls} good calls", sources.len());
            assert!(most > CONNECTIONS / 2, "{most} connections");
        }
    }
}
