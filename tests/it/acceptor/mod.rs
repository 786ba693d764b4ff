//! Admission over real sockets and TLS: axum and plain hyper-util behind an [`MtlsListener`].
#![cfg(all(
    feature = "acceptor",
    feature = "axum",
    feature = "trust",
    any(feature = "aws-lc-rs", feature = "ring")
))]

mod admission;
mod handshakes;
mod live;
mod required;

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, routing::get};
use http::{Request, Response, StatusCode, header};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{pki_types::CertificateDer, sign::CertifiedKey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::{Layer, service_fn};
use tower_mtls::{
    Certificate, ClientCertificate, MtlsListener, Policy, RequireCertificateLayer, ServerTls, TrustAnchors,
    acceptor::{ClientCertificateRequest, ListenerLimits},
    admitted, capture,
    certificate::{ManualClock, Thumbprint, Timestamp},
};

use crate::support::{
    Http, Tls,
    caller::{Answer, Caller},
    certified, der, every_version, in_time,
    pki::{Authority, Issued, Leaf, NOON},
    server::Server,
    with_key_of,
};

const REFUSED: &str = r#"{"type":"about:blank","title":"Invalid client certificate","status":403}"#;

/// The authorities of one test, and the certificate of its servers.
struct World {
    partners: Authority,
    server_root: Authority,
    server: Issued,
}

impl World {
    fn new() -> Self {
        let server_root = Authority::root("Server Root");
        Self {
            partners: Authority::root("Partner CA"),
            server: server_root.issue(&Leaf::server()),
            server_root,
        }
    }

    /// A new configuration per call, with its own ticket keys.
    fn tls(&self) -> ServerTls {
        ServerTls::from_pem(self.server.chain_pem().as_bytes(), self.server.key_pem().as_bytes()).unwrap()
    }

    fn partners_only(&self) -> Policy {
        let partners = TrustAnchors::from_der([self.partners.der()]).unwrap();
        Policy::builder().trust(partners).build().unwrap()
    }

    fn serve(&self, app: Router, limits: ListenerLimits) -> Server {
        self.serve_with(self.tls(), app, limits)
    }

    fn serve_with(&self, tls: ServerTls, app: Router, limits: ListenerLimits) -> Server {
        Server::start(async move |socket: TcpListener| {
            let listener = MtlsListener::new(socket, tls, limits).unwrap();
            axum::serve(listener, capture(app)).await.unwrap();
        })
    }

    /// A server for partners whose clock starts at NOON, and that clock.
    fn partners_server(&self) -> (Server, Arc<ManualClock>) {
        let (app, clock) = app(self.partners_only());
        (self.serve(app, ListenerLimits::default()), clock)
    }

    fn caller(&self, key: Option<Arc<CertifiedKey>>, tls: Tls, http: Http) -> Caller {
        Caller::new(&self.server_root, key, tls, http)
    }

    fn partner(&self) -> Arc<CertifiedKey> {
        certified(&self.partners.issue(&Leaf::client("partner")))
    }
}

/// Routes: `/guarded` greets admitted callers, `/forgotten` does so without the layer, `/open` greets any caller.
fn app(policy: Policy) -> (Router, Arc<ManualClock>) {
    async fn greet(caller: ClientCertificate) -> String {
        caller.subject().to_string()
    }
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix(NOON)));
    let layer = RequireCertificateLayer::new(policy).with_clock(clock.clone());
    let app = Router::new()
        .route("/guarded", get(greet))
        .layer(layer)
        .route("/forgotten", get(greet))
        .route("/open", get(async || "open"));
    (app, clock)
}

fn assert_greeted(answer: &Answer, subject: &str) {
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, subject);
}

fn assert_refused(answer: &Answer, http: Http, who: &str) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{who}");
    let phrase = (http == Http::One).then_some("Invalid client certificate");
    assert_eq!(answer.reason.as_deref(), phrase, "{who}");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{who}");
    assert_eq!(answer.body, REFUSED, "{who}");
}

#[tokio::test]
async fn partner_is_greeted_by_name_and_other_callers_get_403() {
    let world = World::new();
    let (server, _) = world.partners_server();
    let impostor = Authority::root("Partner CA");
    let day = 86_400;
    let wrong = [
        ("anonymous", None),
        ("an expired partner", Some(world.partners.issue(&Leaf::client("partner").until(NOON - 1)))),
        ("a partner of tomorrow", Some(world.partners.issue(&Leaf::client("partner").from(NOON + day)))),
        ("a stranger", Some(Authority::root("Stranger CA").issue(&Leaf::client("partner")))),
        ("an impostor", Some(impostor.issue(&Leaf::client("partner")))),
        ("a self-made one", Some(Leaf::client("partner").self_signed())),
    ];
    for (tls, http) in every_version() {
        let partner = world.caller(Some(world.partner()), tls, http);
        assert_greeted(&partner.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
        for (who, issued) in &wrong {
            let caller = world.caller(issued.as_ref().map(certified), tls, http);
            let mut connection = caller.connect(server.address()).await;
            assert_refused(&connection.get("/guarded").await, http, who);
            assert_eq!(connection.get("/open").await.body, "open", "{who} can call open routes");
        }
    }
}

#[tokio::test]
async fn refusal_reason_is_in_the_status_line_of_http_1_1() {
    let world = World::new();
    let (server, _) = world.partners_server();
    let caller = world.caller(None, Tls::V13, Http::One);
    let mut stream = caller.handshake(server.address()).await.unwrap();
    stream.write_all(b"GET /guarded HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    in_time("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (line, _) = answer.split_once("\r\n").unwrap();
    assert_eq!(line, "HTTP/1.1 403 Invalid client certificate");
}

#[tokio::test]
async fn plain_hyper_util_gives_the_same_responses() {
    let world = World::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix(NOON)));
    let service = RequireCertificateLayer::new(world.partners_only()).with_clock(clock).layer(service_fn(
        async |request: Request<_>| {
            let caller = admitted(request.extensions()).expect("only admitted requests reach the handler");
            Ok::<_, Infallible>(Response::new(Body::from(caller.subject().to_string())))
        },
    ));
    let tls = world.tls();
    let server = Server::start(async move |socket: TcpListener| {
        let mut listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
        loop {
            let (stream, _) = listener.accept().await;
            let service = TowerToHyperService::new(stream.capture(service.clone()));
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    for (tls, http) in every_version() {
        let partner = world.caller(Some(world.partner()), tls, http);
        assert_greeted(&partner.get(server.address(), "/").await, "CN=partner,O=Contoso");
        let anonymous = world.caller(None, tls, http);
        assert_refused(&anonymous.get(server.address(), "/").await, http, "anonymous");
    }
}

#[tokio::test]
async fn handler_without_the_layer_gets_500_and_never_a_certificate() {
    let world = World::new();
    let (server, _) = world.partners_server();
    let self_made = certified(&Leaf::client("partner").self_signed());
    for (tls, http) in every_version() {
        for key in [None, Some(self_made.clone()), Some(world.partner())] {
            let is_partner = key.is_some() && !Arc::ptr_eq(key.as_ref().unwrap(), &self_made);
            let mut connection = world.caller(key, tls, http).connect(server.address()).await;
            for _ in 0..2 {
                let forgotten = connection.get("/forgotten").await;
                assert_eq!(forgotten.status, StatusCode::INTERNAL_SERVER_ERROR);
                assert!(!String::from_utf8_lossy(&forgotten.body).contains("partner"));
                // Admission on one route does not carry over to the other.
                let guarded = connection.get("/guarded").await;
                assert_eq!(guarded.status == StatusCode::OK, is_partner);
            }
        }
    }
}

#[tokio::test]
async fn listener_without_client_authentication_captures_no_certificate() {
    let world = World::new();
    let tls = ServerTls::builder()
        .certificate_pem(world.server.chain_pem().as_bytes(), world.server.key_pem().as_bytes())
        .client_certificate(ClientCertificateRequest::Off)
        .build()
        .unwrap();
    let (app, _) = app(world.partners_only());
    let server = world.serve_with(tls, app, ListenerLimits::default());
    let caller = world.caller(Some(world.partner()), Tls::V13, Http::Two);
    assert_refused(&caller.get(server.address(), "/guarded").await, Http::Two, "a partner");
    assert_eq!(caller.get(server.address(), "/open").await.status, StatusCode::OK);
}

#[tokio::test]
async fn certificate_that_expires_on_an_open_connection_is_refused_on_the_next_request() {
    let world = World::new();
    for (tls, http) in every_version() {
        let (server, clock) = world.partners_server();
        let partner = world.partners.issue(&Leaf::client("partner").until(NOON + 10));
        let caller = world.caller(Some(certified(&partner)), tls, http);
        let mut connection = caller.connect(server.address()).await;
        assert_greeted(&connection.get("/guarded").await, "CN=partner,O=Contoso");
        clock.advance(10);
        assert_greeted(&connection.get("/guarded").await, "CN=partner,O=Contoso");
        clock.advance(1);
        assert_refused(&connection.get("/guarded").await, http, "an expired partner");
    }
}

#[tokio::test]
async fn expired_certificate_is_refused_on_a_resumed_session() {
    let world = World::new();
    for (tls, http) in every_version() {
        let (server, clock) = world.partners_server();
        let partner = world.partners.issue(&Leaf::client("partner").until(NOON + 10));
        let caller = world.caller(Some(certified(&partner)), tls, http);

        let mut first = caller.connect(server.address()).await;
        assert!(!first.is_resumed());
        assert_greeted(&first.get("/guarded").await, "CN=partner,O=Contoso");

        let mut second = caller.connect(server.address()).await;
        assert!(second.is_resumed(), "{tls:?} {http:?}");
        assert_greeted(&second.get("/guarded").await, "CN=partner,O=Contoso");

        clock.advance(11);
        let mut third = caller.connect(server.address()).await;
        assert!(third.is_resumed(), "{tls:?} {http:?}");
        assert_refused(&third.get("/guarded").await, http, "an expired partner");
    }
}

#[tokio::test]
async fn session_of_one_listener_is_not_resumed_by_another() {
    let world = World::new();
    for (tls, http) in every_version() {
        let (one, _) = world.partners_server();
        let (other, _) = world.partners_server();
        let caller = world.caller(Some(world.partner()), tls, http);
        let _ = caller.get(one.address(), "/guarded").await;
        let mut again = caller.connect(one.address()).await;
        assert!(again.is_resumed(), "{tls:?} {http:?}");
        let _ = again.get("/guarded").await;

        let mut elsewhere = caller.connect(other.address()).await;
        assert!(!elsewhere.is_resumed(), "{tls:?} {http:?}");
        assert_greeted(&elsewhere.get("/guarded").await, "CN=partner,O=Contoso");
    }
}

#[tokio::test]
async fn certificate_with_a_foreign_key_fails_the_handshake() {
    let world = World::new();
    let (server, _) = world.partners_server();
    let victim = world.partners.issue(&Leaf::client("partner"));
    let thief = Leaf::client("thief").self_signed();
    for tls in Tls::BOTH {
        let caller = world.caller(Some(with_key_of(&victim, &thief)), tls, Http::One);
        let failed = match caller.handshake(server.address()).await {
            Err(error) => error,
            Ok(mut stream) => {
                // On TLS 1.3 the client finishes before the server verifies its certificate.
                assert_eq!(tls, Tls::V13);
                in_time("the alert", stream.read(&mut [0; 1])).await.unwrap_err()
            }
        };
        let failed = failed.into_inner().unwrap().downcast::<rustls::Error>().unwrap();
        assert_eq!(*failed, rustls::Error::AlertReceived(rustls::AlertDescription::DecryptError));

        let honest = world.caller(Some(certified(&victim)), tls, Http::One);
        assert_greeted(&honest.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
    }
}

#[tokio::test]
async fn version_1_and_self_signed_certificates_are_admitted_by_thumbprint() {
    let world = World::new();
    let version_1 = der::version_1(Leaf::client("device").self_signed());
    let der = CertificateDer::from(version_1.der.clone());
    assert!(rustls::server::ParsedCertificate::try_from(&der).is_err(), "webpki does not read version 1");
    for (what, issued) in
        [("version 1", version_1), ("self-signed with CA:TRUE", Leaf::client("device").ca().self_signed())]
    {
        let pinned = Policy::builder().thumbprint(Thumbprint::sha256_of(&issued.der)).build().unwrap();
        let (app, _) = app(pinned);
        let server = world.serve(app, ListenerLimits::default());
        let (strict, _) = world.partners_server();
        for (tls, http) in every_version() {
            let caller = world.caller(Some(certified(&issued)), tls, http);
            assert_greeted(&caller.get(server.address(), "/guarded").await, "CN=device,O=Contoso");
            assert_refused(&caller.get(strict.address(), "/guarded").await, http, what);
        }
    }
}

#[tokio::test]
async fn unreadable_certificate_reaches_the_policy_and_gets_403() {
    let world = World::new();
    let whole = Leaf::client("device").dns("device.example.com").self_signed();
    let issued = der::with_malformed_names(whole);
    assert!(Certificate::from_der(&issued.der).is_err());
    let pinned = Policy::builder().thumbprint(Thumbprint::sha256_of(&issued.der)).build().unwrap();
    let (app, _) = app(pinned);
    let server = world.serve(app, ListenerLimits::default());
    for (tls, http) in every_version() {
        let caller = world.caller(Some(certified(&issued)), tls, http);
        assert_refused(&caller.get(server.address(), "/guarded").await, http, "an unreadable one");
    }
}
