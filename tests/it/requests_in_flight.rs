//! Requests in flight that `serve` judges again, over real sockets and TLS.
#![cfg(all(
    feature = "serve",
    feature = "axum",
    feature = "apim",
    any(feature = "aws-lc-rs", feature = "ring")
))]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{any, get},
};
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, channel::Channel};
use hyper::body::Incoming;
use tokio::sync::watch;
use tower_mtls::{
    Certificate, MtlsListener, Policy, RequireCertificateLayer, ServerTls, Shared, TrustAnchors,
    acceptor::ListenerLimits,
    apim::{ApimPolicyLayer, Document},
    certificate::{ManualClock, Presented, Timestamp},
    policy::{Revocation, RevocationList, RevocationMode},
    serve,
    serve::recheck,
};

use crate::support::{
    Http, Tls,
    caller::{Caller, Connection},
    certified, empty, every_version, in_time,
    pki::{Authority, Issued, Leaf, NOON},
    server::Server,
};

struct World {
    servers: Authority,
    partners: Authority,
    partner: Issued,
}

/// Serial number of the caller's certificate.
const SERIAL: u64 = 7;

/// Ends all responses with `more`.
type Release = watch::Sender<bool>;

impl World {
    fn new() -> Self {
        let partners = Authority::root("Partner CA");
        let partner = partners.issue(&Leaf::client("partner").serial(SERIAL).until(NOON + 3_600));
        Self { servers: Authority::root("Server CA"), partners, partner }
    }

    fn policy(&self) -> Policy {
        Policy::builder().trust(TrustAnchors::from_pem(self.partners.pem()).unwrap()).build().unwrap()
    }

    fn serve(&self, app: Router) -> Server {
        let server = self.servers.issue(&Leaf::server());
        let tls = ServerTls::from_pem(server.chain_pem(), server.key_pem()).unwrap();
        Server::start(async move |socket| {
            let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
            serve(listener, app).await;
        })
    }

    fn caller(&self, tls: Tls, http: Http) -> Caller {
        Caller::new(&self.servers, Some(certified(&self.partner)), tls, http)
    }
}

/// A policy that admits no certificate of these tests.
fn other_policy() -> Policy {
    Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse().unwrap()).build().unwrap()
}

/// Responds with `begun`, and with `more` at the release.
fn downloads() -> (Router, Release) {
    let (release, released) = watch::channel(false);
    let download = async move || {
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
        let mut released = released.clone();
        tokio::spawn(async move {
            sender.send_data(Bytes::from_static(b"begun")).await.unwrap();
            drop(released.wait_for(|is_released| *is_released).await);
            let _ = sender.send_data(Bytes::from_static(b"more")).await;
        });
        Body::new(body)
    };
    (Router::new().route("/", any(download)), release)
}

/// Begins a response.
async fn begin(connection: &mut Connection) -> Incoming {
    let response = connection.send(Method::GET, "/", empty()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    assert_eq!(in_time("a chunk", body.frame()).await.unwrap().unwrap().into_data().unwrap(), "begun");
    body
}

async fn assert_cut(body: Incoming, case: &str) {
    let end = in_time("the cut", body.collect()).await;
    assert!(end.is_err(), "{case}: an incomplete response");
}

async fn assert_finishes(body: Incoming, release: &Release, case: &str) {
    release.send_replace(true);
    let rest = in_time("the rest", body.collect()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(rest.to_bytes(), "more", "{case}");
}

#[tokio::test]
async fn response_is_cut_after_a_change_of_the_policy() {
    let world = World::new();
    for (tls, http) in every_version() {
        let (app, _release) = downloads();
        let policy = Shared::new(world.policy());
        let clock = ManualClock::new(Timestamp::from_unix(NOON));
        let layer = RequireCertificateLayer::new(policy.clone()).with_clock(clock);
        let server = world.serve(app.layer(layer));
        let mut connection = world.caller(tls, http).connect(server.address()).await;
        let body = begin(&mut connection).await;
        // Another policy that admits the caller.
        policy.replace(world.policy());
        let second = match http {
            Http::One => None,
            Http::Two => Some(begin(&mut connection).await),
        };
        policy.replace(other_policy());
        let case = format!("{tls:?} {http:?}");
        assert_cut(body, &case).await;
        if let Some(second) = second {
            assert_cut(second, &case).await;
            let next = connection.get("/").await;
            assert_eq!(next.status, 403, "{case}: the connection continues");
        }
    }
}

#[tokio::test]
async fn response_is_cut_at_the_expiry_of_the_certificate() {
    let world = World::new();
    for http in Http::BOTH {
        let (app, _release) = downloads();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(NOON)));
        let layer = RequireCertificateLayer::new(world.policy()).with_clock(clock.clone());
        let server = world.serve(app.layer(layer));
        let body = begin(&mut world.caller(Tls::V13, http).connect(server.address()).await).await;
        clock.set(Timestamp::from_unix(NOON + 3_601));
        assert_cut(body, &format!("{http:?}")).await;
    }
}

#[tokio::test]
async fn response_finishes_where_the_layer_allows_it() {
    let world = World::new();
    for http in Http::BOTH {
        let (policy, clock) = (Shared::new(world.policy()), ManualClock::new(Timestamp::from_unix(NOON)));
        let layer = RequireCertificateLayer::new(policy.clone()).with_clock(clock);
        let (finishing, release) = downloads();
        let finishing = world.serve(finishing.layer(layer.clone().allow_revoked_to_finish()));
        let (cut, _release) = downloads();
        let cut = world.serve(cut.layer(layer));
        let caller = world.caller(Tls::V13, http);
        // Its connection judges again earlier than the one of the probe, which is cut.
        let finished = begin(&mut caller.connect(finishing.address()).await).await;
        let probe = begin(&mut caller.connect(cut.address()).await).await;
        policy.replace(other_policy());
        assert_cut(probe, "the probe").await;
        assert_finishes(finished, &release, &format!("{http:?}")).await;
    }
}

#[tokio::test]
async fn every_layer_judges_again_and_no_asynchronous_decision_is_repeated() {
    let world = World::new();
    for inner_changes in [false, true] {
        let (app, _release) = downloads();
        let (inner, outer) = (Shared::new(world.policy()), Shared::new(world.policy()));
        let clock = || ManualClock::new(Timestamp::from_unix(NOON));
        let decisions = Arc::new(AtomicUsize::new(0));
        let counted = decisions.clone();
        let authorize =
            RequireCertificateLayer::new(outer.clone()).with_clock(clock()).authorize(move |parts, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                async { Ok(parts) }
            });
        let app = app.layer(RequireCertificateLayer::new(inner.clone()).with_clock(clock())).layer(authorize);
        let server = world.serve(app);
        let body = begin(&mut world.caller(Tls::V13, Http::Two).connect(server.address()).await).await;
        let changed = if inner_changes { inner } else { outer };
        changed.replace(other_policy());
        assert_cut(body, &format!("inner: {inner_changes}")).await;
        assert_eq!(decisions.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn request_without_a_response_is_cut() {
    let world = World::new();
    for http in Http::BOTH {
        let (arrived_tx, mut arrived) = watch::channel(false);
        let silent = async move || {
            arrived_tx.send_replace(true);
            std::future::pending::<String>().await
        };
        let policy = Shared::new(world.policy());
        let clock = ManualClock::new(Timestamp::from_unix(NOON));
        let layer = RequireCertificateLayer::new(policy.clone()).with_clock(clock);
        let server = world.serve(Router::new().route("/", get(silent)).layer(layer));
        let mut connection = world.caller(Tls::V13, http).connect(server.address()).await;
        let sent = tokio::spawn(async move { connection.send(Method::GET, "/", empty()).await.is_err() });
        in_time("the request", arrived.wait_for(|has_arrived| *has_arrived)).await.unwrap();
        policy.replace(other_policy());
        assert!(in_time("the cut", sent).await.unwrap(), "{http:?}: no response");
    }
}

#[tokio::test]
async fn request_of_a_document_is_cut_by_its_proofs() {
    let world = World::new();
    let certificate = Certificate::from_der(&world.partner.der).unwrap();
    let other = Authority::root("Other CA");
    let load = |root: &Authority, text: &str| {
        let trust = TrustAnchors::from_pem(root.pem()).unwrap();
        Document::builder().trust(trust.without_revocation()).load(text).unwrap()
    };
    let listing = |serials: &[u64], text: &str| {
        let list = world.partners.crl(1, serials, (NOON - 10, NOON + 10));
        let revocation = Revocation::new(RevocationMode::Strict, RevocationList::read(list).unwrap());
        let trust = TrustAnchors::from_pem(world.partners.pem()).unwrap().with_revocation(revocation);
        Document::builder().trust(trust).load(text).unwrap()
    };
    let reject = "<return-response><set-status code=\"403\" /></return-response>";
    let verify = "context.Request.Certificate == null || !context.Request.Certificate.Verify()";
    let verify = format!("<choose><when condition=\"@({verify})\">{reject}</when></choose>");
    let validate = "<validate-client-certificate />";
    let chain = r#"<validate-client-certificate validate-revocation="false" />"#;
    let pin = |thumbprint: &str| {
        let condition = format!("context.Request.Certificate?.Thumbprint != &quot;{thumbprint}&quot;");
        format!("<choose><when condition=\"@({condition})\">{reject}</when></choose>")
    };
    let pinned = pin(&certificate.sha1_thumbprint().to_string());
    for (name, before, after) in [
        ("chain to another CA", load(&world.partners, chain), load(&other, chain)),
        ("Verify() of a revoked certificate", listing(&[], &verify), listing(&[SERIAL], &verify)),
        ("validation of a revoked certificate", listing(&[], validate), listing(&[SERIAL], validate)),
        ("other thumbprint", load(&other, &pinned), load(&other, &pin(&"A".repeat(40)))),
        ("no proof", load(&world.partners, chain), load(&other, "<set-variable name='x' value='y' />")),
    ] {
        let document = Shared::new(before);
        let clock = || ManualClock::new(Timestamp::from_unix(NOON));
        let layer = ApimPolicyLayer::new(document.clone()).with_clock(clock());
        let (app, _release) = downloads();
        let cut = world.serve(app.layer(layer.clone()));
        let (app, release) = downloads();
        let finishing = world.serve(app.layer(layer.allow_revoked_to_finish()));
        let caller = world.caller(Tls::V13, Http::Two);
        let finished = begin(&mut caller.connect(finishing.address()).await).await;
        let body = begin(&mut caller.connect(cut.address()).await).await;
        document.replace(after);
        assert_cut(body, name).await;
        assert_finishes(finished, &release, name).await;
    }
}

#[tokio::test]
async fn request_is_cut_by_the_decision_of_its_service() {
    let world = World::new();
    let (is_admitted_tx, is_admitted) = watch::channel(true);
    let (app, _release) = downloads();
    let app = app.layer(axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
        let is_admitted = is_admitted.clone();
        let is_judged = recheck(request.extensions(), move |presented| {
            assert!(matches!(presented, Presented::Certificate(_)));
            *is_admitted.borrow()
        });
        assert!(is_judged);
        next.run(request)
    }));
    let server = world.serve(app);
    for http in Http::BOTH {
        is_admitted_tx.send_replace(true);
        let body = begin(&mut world.caller(Tls::V13, http).connect(server.address()).await).await;
        is_admitted_tx.send_replace(false);
        assert_cut(body, &format!("{http:?}")).await;
    }
}
