//! Connection reuse of the pooled client.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, channel::Channel};
use tokio::task::JoinSet;
use tower::Layer;
use tower_mtls::{
    ClientIdentity, IdentityLayer, Shared, UpstreamTrust,
    identity::{IdentityReference, ResolveIdentity},
    outbound::ClientErrorKind,
};

use crate::support::{
    Http, empty, eventually, every_version, full, in_time,
    upstream::{Facts, Upstream, facts, handler},
    world::{Gate, Route, World, ask, ask_with, get, kind_of_failure, post, send},
};

fn ask_at_once(route: &Route, uri: &str, requests: usize) -> JoinSet<Facts> {
    (0..requests)
        .map(|_| {
            let (route, uri) = (route.clone(), uri.to_owned());
            async move { ask(&route, &uri).await }
        })
        .collect()
}

#[tokio::test]
async fn concurrent_requests_to_a_cold_http_2_upstream_use_one_connection() {
    let world = World::new();
    let gate = Gate::new();
    let upstream = world.upstream().http(Http::Two).handler(gate.handler()).start();
    let answers = ask_at_once(&world.route(), &upstream.uri("/wait"), 100);
    gate.arrived(100).await;
    assert_eq!(upstream.peers().len(), 1);
    gate.let_go(100);
    assert_eq!(answers.join_all().await.len(), 100);
}

#[tokio::test]
async fn requests_beyond_the_stream_limit_get_another_connection() {
    let world = World::new();
    let gate = Gate::new();
    let upstream = world.upstream().http(Http::Two).streams(10).handler(gate.handler()).start();
    let route = world.route();
    let answers = ask_at_once(&route, &upstream.uri("/wait"), 35);
    // All of them have arrived although none is answered.
    gate.arrived(35).await;
    assert_eq!(upstream.peers().len(), 4);
    gate.let_go(35);
    assert_eq!(answers.join_all().await.len(), 35);
    let again = ask_at_once(&route, &upstream.uri("/wait"), 40);
    gate.arrived(75).await;
    assert_eq!(upstream.peers().len(), 4, "connections are reused");
    gate.let_go(40);
    again.join_all().await;
}

#[tokio::test]
async fn cold_http_1_upstream_serves_fifty_requests_at_once() {
    let world = World::new();
    let gate = Gate::new();
    let upstream = world.upstream().http(Http::One).handler(gate.handler()).start();
    let route = world.route();
    let answers = ask_at_once(&route, &upstream.uri("/wait"), 50);
    gate.arrived(50).await;
    assert_eq!(upstream.peers().len(), 50);
    gate.let_go(50);
    answers.join_all().await;
    ask(&route, &upstream.uri("/")).await;
    assert_eq!(upstream.peers().len(), 50);
}

/// Responds as the path names.
fn bodies(world: &World, http: Http) -> Upstream {
    let answer = handler(|peer, request| async move {
        let mut response = facts(&peer);
        match request.uri().path() {
            // hyper's HTTP/2 would send a body with it.
            "/length" if request.method() == Method::HEAD => {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("100000"));
            }
            "/length" => *response.body_mut() = full(vec![b'x'; 100_000]),
            "/chunked" => {
                let (mut sender, body) = Channel::<Bytes, _>::new(1);
                *response.body_mut() = body.boxed();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        // The client can be gone, as some tests intend.
                        if sender.send_data(Bytes::from_static(&[b'x'; 10_000])).await.is_err() {
                            return;
                        }
                    }
                });
            }
            "/endless" => {
                let (mut sender, body) = Channel::<Bytes, _>::new(1);
                *response.body_mut() = body.boxed();
                tokio::spawn(
                    async move { while sender.send_data(Bytes::from_static(b"x")).await.is_ok() {} },
                );
            }
            "/204" => *response.status_mut() = StatusCode::NO_CONTENT,
            "/304" => *response.status_mut() = StatusCode::NOT_MODIFIED,
            _ => {}
        }
        response
    });
    world.upstream().http(http).handler(answer).start()
}

#[tokio::test]
async fn connection_serves_the_next_request_once_the_response_is_read() {
    let world = World::new();
    for http in Http::BOTH {
        let upstream = bodies(&world, http);
        let route = world.route();
        for (method, path, length) in [
            (Method::GET, "/length", 100_000),
            (Method::GET, "/chunked", 100_000),
            (Method::GET, "/empty", 0),
            (Method::HEAD, "/length", 0),
            (Method::GET, "/204", 0),
            (Method::GET, "/304", 0),
            (Method::POST, "/length", 100_000),
        ] {
            for _ in 0..3 {
                let request = Request::builder().method(&method).uri(upstream.uri(path));
                let response = send(&route, request.body(empty()).unwrap()).await.unwrap();
                let body = in_time("a body", response.into_body().collect()).await.unwrap().to_bytes();
                assert_eq!(body.len(), length, "{http:?} {method} {path}");
                assert_eq!(upstream.peers().len(), 1, "{http:?} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn response_that_is_not_read_to_its_end_ends_its_exchange() {
    let world = World::new();
    for http in Http::BOTH {
        let upstream = bodies(&world, http);
        let route = world.route();
        for path in ["/endless", "/length", "/chunked"] {
            let mut response = send(&route, get(&upstream.uri(path))).await.unwrap();
            let first = Facts::of(response.headers()).connection;
            in_time("a frame", response.body_mut().frame()).await.unwrap().unwrap();
            drop(response);
            let next = ask(&route, &upstream.uri("/")).await.connection;
            match http {
                Http::One => {
                    assert_ne!(first, next, "{path}");
                    upstream.closed(first).await;
                }
                Http::Two => assert_eq!(first, next, "{path}"),
            }
        }
    }
}

#[tokio::test]
async fn http_1_connection_serves_one_request_until_its_response_is_read() {
    let world = World::new();
    let upstream = bodies(&world, Http::One);
    let route = world.route();
    let reading = send(&route, get(&upstream.uri("/length"))).await.unwrap();
    let first = Facts::of(reading.headers()).connection;
    assert_ne!(ask(&route, &upstream.uri("/")).await.connection, first);
    in_time("a body", reading.into_body().collect()).await.unwrap();
    for _ in 0..4 {
        ask(&route, &upstream.uri("/")).await;
    }
    assert_eq!(upstream.peers().len(), 2);
}

/// Closes a connection, and lets the runtime notice.
async fn hang_up(upstream: &Upstream, connection: usize) {
    upstream.hang_up(connection);
    upstream.closed(connection).await;
    // Completes once the runtime has polled its sockets.
    tokio::task::yield_now().await;
}

/// The first identity once, then the second.
struct InTurn(AtomicUsize, [ClientIdentity; 2]);

impl ResolveIdentity for InTurn {
    fn resolve(&self, _: &IdentityReference) -> Option<ClientIdentity> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        Some(self.1[turn.min(1)].clone())
    }
}

#[tokio::test]
async fn post_on_a_closed_idle_connection_is_sent_on_another_with_the_current_identity() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let client = world.client();
        let both = ["old", "new"].map(|name| world.identity(name));
        let old = IdentityLayer::new(both[0].clone()).layer(client.clone());
        for _ in 0..10 {
            let first = ask(&old, &upstream.uri("/")).await.connection;
            upstream.take_seen();
            hang_up(&upstream, first).await;
            let next = ask_with(&old, post(&upstream.uri("/"), "order")).await;
            assert_ne!(next.connection, first, "{tls:?} {http:?}");

            hang_up(&upstream, next.connection).await;
            let in_turn = InTurn(AtomicUsize::new(0), both.clone());
            let route =
                IdentityLayer::by_reference(in_turn, IdentityReference::name("it")).layer(client.clone());
            let mut order = post(&upstream.uri("/"), "order");
            order.headers_mut().insert(header::HOST, HeaderValue::from_static("shop.example.com"));
            let saw = ask_with(&route, order).await;
            assert_eq!(saw.subject, "CN=new,O=Contoso", "{tls:?} {http:?}");
            let mut seen = upstream.take_seen();
            assert_eq!(seen.len(), 2, "{tls:?} {http:?}: each once");
            let head = seen.pop().unwrap().head;
            let host = match http {
                Http::One => head.headers[header::HOST].to_str().unwrap(),
                Http::Two => head.uri.authority().unwrap().as_str(),
            };
            assert_eq!(host, "shop.example.com", "{tls:?} {http:?}: as it was");
        }
    }
}

#[tokio::test]
async fn idle_connections_close_after_the_timeout() {
    let world = World::new();
    for http in Http::BOTH {
        for idle in [Duration::from_millis(200), Duration::ZERO] {
            let gate = Gate::new();
            let upstream = world.upstream().http(http).handler(gate.handler()).start();
            let client = world.client_with(|builder| builder.with_idle_timeout(idle));
            let route = IdentityLayer::new(world.identity("orders")).layer(client);
            let answers = ask_at_once(&route, &upstream.uri("/wait"), 10);
            gate.arrived(10).await;
            gate.let_go(10);
            answers.join_all().await;
            eventually("closed connections", || upstream.open() == 0).await;

            // A connection in use is not idle.
            let waiting = ask_at_once(&route, &upstream.uri("/wait"), 1);
            gate.arrived(11).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(upstream.open(), 1);
            gate.let_go(1);
            waiting.join_all().await;
        }
    }
}

#[tokio::test]
async fn unknown_identity_sends_nothing() {
    let world = World::new();
    let upstream = world.upstream().start();
    let identities = Shared::default();
    let reference = IdentityReference::name("orders");
    let chosen = reference.clone();
    for layer in [
        IdentityLayer::by_reference(identities.clone(), reference),
        IdentityLayer::choose(identities.clone(), move |_, _| Some(chosen.clone())),
        IdentityLayer::choose(identities, |_, _| None),
    ] {
        let route = layer.layer(world.client());
        let kind = kind_of_failure(&route, &upstream.uri("/")).await;
        assert_eq!(kind, ClientErrorKind::UnknownIdentity);
    }
    assert!(upstream.peers().is_empty(), "no connection was made");
}

#[tokio::test]
async fn failed_attempt_fails_only_the_requests_that_waited_for_it() {
    let world = World::new();
    let upstream = world.upstream().http(Http::Two).start();
    let stranger = UpstreamTrust::from_pem(world.clients.pem().as_bytes()).unwrap();
    let client = world.client();
    let orders = world.identity("orders");
    let wrong = IdentityLayer::new(orders.clone()).with_trust(stranger).layer(client.clone());
    let right = IdentityLayer::new(orders).layer(client);
    let failing: JoinSet<_> = (0..20)
        .map(|_| {
            let (route, uri) = (wrong.clone(), upstream.uri("/"));
            async move { kind_of_failure(&route, &uri).await }
        })
        .collect();
    assert_eq!(ask_at_once(&right, &upstream.uri("/"), 20).join_all().await.len(), 20);
    for kind in failing.join_all().await {
        assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted);
    }
}

/// Abandoned requests leave the client unchanged.
#[tokio::test]
async fn abandoned_request_ends_at_the_upstream() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Gate::new();
        let upstream = world.upstream().http(http).handler(gate.handler()).start();
        let route = world.route();
        let mut given_up = ask_at_once(&route, &upstream.uri("/wait"), 20);
        gate.arrived(20).await;
        given_up.shutdown().await;
        let open = if http == Http::One { 0 } else { 1 };
        eventually("ended exchanges", || upstream.open() == open).await;
        ask(&route, &upstream.uri("/")).await;
    }
}

#[tokio::test]
async fn response_keeps_its_status_and_fields() {
    let world = World::new();
    let answer = handler(|_, _| async {
        Response::builder().status(418).header("x-kept", "1").body(full("tea")).unwrap()
    });
    for http in Http::BOTH {
        let upstream = world.upstream().http(http).handler(Arc::clone(&answer)).start();
        let response = send(&world.route(), get(&upstream.uri("/"))).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["x-kept"]), (418, &"1".parse().unwrap()));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "tea");
    }
}
