//! Connections whose identity or trust was replaced.
#![cfg(all(feature = "proxy", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, channel::Channel};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, split},
    net::TcpStream,
    task::JoinSet,
};
use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    IdentityLayer, MtlsClient, ReverseProxyLayer, Shared,
    identity::{Identities, IdentityReference},
    proxy::ProxyBody,
};

use crate::support::{
    Body, Http, Tls, empty, eventually, every_version, in_time,
    server::Server,
    upstream::{Handler, facts, handler},
    world::{Gate, Route, World, ask, get, send},
};

const OLD: &str = "CN=old,O=Contoso";
const NEW: &str = "CN=new,O=Contoso";

/// A route, and the closure that replaces its identity or trust.
type Replaced = (Route, Box<dyn FnOnce() + Send>);

fn by_identity(world: &World, client: MtlsClient<Body>) -> Replaced {
    let shared = Shared::new(world.identity("old"));
    let route = IdentityLayer::new(shared.clone()).layer(client);
    let new = world.identity("new");
    (route, Box::new(move || shared.replace(new)))
}

fn identities(world: &World, common_name: &str) -> Identities {
    let mut identities = Identities::new();
    identities.insert(IdentityReference::name("it"), world.identity(common_name));
    identities
}

fn by_reference(world: &World, client: MtlsClient<Body>) -> Replaced {
    let shared = Shared::new(identities(world, "old"));
    let route = IdentityLayer::by_reference(shared.clone(), IdentityReference::name("it")).layer(client);
    let new = identities(world, "new");
    (route, Box::new(move || shared.replace(new)))
}

fn by_choice(world: &World, client: MtlsClient<Body>) -> Replaced {
    let shared = Shared::new(identities(world, "old"));
    let choose = IdentityLayer::choose(shared.clone(), |_, _| Some(IdentityReference::name("it")));
    let new = identities(world, "new");
    (choose.layer(client), Box::new(move || shared.replace(new)))
}

fn by_trust(world: &World, client: MtlsClient<Body>) -> Replaced {
    let shared = Shared::new(world.trust());
    let route = IdentityLayer::new(world.identity("old")).with_trust(shared.clone()).layer(client);
    let new = world.trust();
    (route, Box::new(move || shared.replace(new)))
}

#[tokio::test]
async fn replaced_identity_ends_requests_in_flight_and_idle_connections() {
    let world = Arc::new(World::new());
    let mut cases = JoinSet::new();
    for make in [by_identity, by_reference, by_choice, by_trust] {
        for (tls, http) in every_version() {
            cases.spawn(replace_under_way(world.clone(), make, tls, http));
        }
    }
    cases.join_all().await;
}

async fn replace_under_way(
    world: Arc<World>,
    make: fn(&World, MtlsClient<Body>) -> Replaced,
    tls: Tls,
    http: Http,
) {
    let gate = Gate::new();
    let upstream = world.upstream().tls(tls).http(http).handler(gate.handler()).start();
    let (route, replace) = make(&world, world.client());
    let first = ask(&route, &upstream.uri("/")).await;
    let waiting = tokio::spawn({
        let (route, uri) = (route.clone(), upstream.uri("/wait"));
        async move { ask(&route, &uri).await }
    });
    gate.arrived(1).await;
    let idle = ask(&route, &upstream.uri("/")).await.connection;
    replace();
    // In HTTP/2 all of them share one connection.
    if http == Http::One {
        assert_ne!(idle, first.connection);
        upstream.closed(idle).await;
    }
    let after = ask(&route, &upstream.uri("/")).await;
    assert!(after.connection > idle, "{tls:?} {http:?}");
    assert!(!after.resumed, "{tls:?} {http:?}");
    gate.let_go(1);
    let waited = waiting.await.unwrap();
    assert_eq!((&waited.subject, waited.connection), (&first.subject, first.connection));
    upstream.closed(waited.connection).await;
    assert!(!upstream.is_closed(after.connection));
    assert_eq!(ask(&route, &upstream.uri("/")).await.connection, after.connection);
}

#[tokio::test]
async fn next_request_uses_the_new_identity_however_it_is_named() {
    let world = World::new();
    for make in [by_identity, by_reference, by_choice] {
        let upstream = world.upstream().start();
        let (route, replace) = make(&world, world.client());
        assert_eq!(ask(&route, &upstream.uri("/")).await.subject, OLD);
        replace();
        assert_eq!(ask(&route, &upstream.uri("/")).await.subject, NEW);
    }
}

/// Responds with an endless body.
fn endless() -> Handler {
    handler(|peer, _| async move {
        let mut response = facts(&peer);
        let (mut sender, body) = Channel::<Bytes, _>::new(1);
        *response.body_mut() = body.boxed();
        tokio::spawn(async move {
            if sender.send_data(Bytes::from_static(b"begun")).await.is_ok() {
                std::future::pending::<()>().await;
            }
        });
        response
    })
}

#[tokio::test]
async fn endless_response_is_cut_off_with_an_error_at_the_deadline() {
    const DRAIN: Duration = Duration::from_millis(300);
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).handler(endless()).start();
        let client = world.client_with(|builder| builder.with_drain_timeout(DRAIN));
        let identity = world.identity("old");
        let route = IdentityLayer::new(identity.clone()).layer(client.clone());
        let mut response = send(&route, get(&upstream.uri("/"))).await.unwrap();
        let first = in_time("a frame", response.body_mut().frame()).await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "begun");

        let retired = Instant::now();
        client.retire_identity(&identity);
        // An error, not an end, which would pass a part as complete.
        let end = in_time("the deadline", response.body_mut().frame()).await;
        assert!(end.unwrap().is_err(), "{tls:?} {http:?}");
        assert!(retired.elapsed() >= DRAIN, "{tls:?} {http:?}");
        upstream.closed(0).await;
        let next = send(&route, get(&upstream.uri("/"))).await.unwrap();
        assert_eq!(next.headers()["x-connection"], "1", "the retired identity remains usable");
    }
}

#[tokio::test]
async fn caller_that_does_not_read_is_cut_off_at_the_deadline() {
    const DRAIN: Duration = Duration::from_millis(300);
    let world = World::new();
    for http in Http::BOTH {
        let flood = handler(|_, _| async {
            let (mut sender, body) = Channel::<Bytes, _>::new(1);
            tokio::spawn(
                async move { while sender.send_data(Bytes::from_static(&[0; 65_536])).await.is_ok() {} },
            );
            Response::new(body.boxed())
        });
        let upstream = world.upstream().http(http).handler(flood).start();
        let client = world.client_with(|builder| builder.with_drain_timeout(DRAIN));
        let trust = world.trust();
        let layer = IdentityLayer::new(world.identity("old")).with_trust(trust.clone());
        let unread = send(&layer.layer(client.clone()), get(&upstream.uri("/"))).await.unwrap();
        client.retire_trust(&trust);
        upstream.closed(0).await;
        let read = in_time("what was sent", unread.into_body().collect()).await;
        assert!(read.is_err(), "{http:?}: the response is truncated");
    }
}

/// Echoes bytes once a connection has switched protocols.
fn echo() -> Handler {
    handler(|_, request| async move {
        let switched = hyper::upgrade::on(request);
        tokio::spawn(async move {
            let (mut read, mut write) = split(TokioIo::new(switched.await.unwrap()));
            let _ = copy(&mut read, &mut write).await;
        });
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        for (name, value) in [("connection", "upgrade"), ("upgrade", "echo")] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    })
}

#[tokio::test]
async fn tunnel_is_cut_off_at_the_deadline() {
    const DRAIN: Duration = Duration::from_millis(300);
    let world = World::new();
    let upstream = world.upstream().http(Http::One).handler(echo()).start();
    let client: MtlsClient<ProxyBody<Incoming>> =
        MtlsClient::builder().trust(world.trust()).with_drain_timeout(DRAIN).build();
    let identity = world.identity("old");
    let service = ServiceBuilder::new()
        .layer(ReverseProxyLayer::new("/", upstream.uri("/").parse().unwrap()))
        .layer(IdentityLayer::new(identity.clone()))
        .service(client.clone());
    let front = Server::start(async move |socket| {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving.with_upgrades());
        }
    });
    let mut caller = TcpStream::connect(front.address()).await.unwrap();
    let head = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    caller.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(in_time("the switch", caller.read_u8()).await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    let mut echoed = [0; 4];
    for _ in 0..3 {
        caller.write_all(b"ping").await.unwrap();
        in_time("an echo", caller.read_exact(&mut echoed)).await.unwrap();
        assert_eq!(&echoed, b"ping");
    }

    let retired = Instant::now();
    client.retire_identity(&identity);
    caller.write_all(b"ping").await.unwrap();
    in_time("an echo", caller.read_exact(&mut echoed)).await.unwrap();
    let end = in_time("the deadline", caller.read_u8()).await;
    assert!(end.is_err());
    assert!(retired.elapsed() >= DRAIN);
}

#[tokio::test]
async fn identity_with_a_remaining_clone_is_retired_on_demand() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Gate::new();
        let upstream = world.upstream().http(http).handler(gate.handler()).start();
        let client = world.client();
        let identity = world.identity("old");
        let shared = Shared::new(identity.clone());
        let route = IdentityLayer::new(shared.clone()).layer(client.clone());
        let idle = ask(&route, &upstream.uri("/")).await.connection;
        shared.replace(world.identity("new"));
        let new = ask(&route, &upstream.uri("/")).await;
        assert_eq!(new.subject, NEW);
        assert!(!upstream.is_closed(idle));
        client.retire_identity(&identity);
        upstream.closed(idle).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.connection, new.connection);
    }
}

#[tokio::test]
async fn connections_close_once_the_client_is_dropped() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Gate::new();
        let upstream = world.upstream().http(http).handler(gate.handler()).start();
        let route = world.route();
        ask(&route, &upstream.uri("/")).await;
        let waiting = send(&route, get(&upstream.uri("/wait")));
        let waiting = tokio::spawn(waiting);
        gate.arrived(1).await;
        drop(route);
        gate.let_go(1);
        let answer = waiting.await.unwrap().unwrap();
        in_time("a body", answer.into_body().collect()).await.unwrap();
        eventually("closed connections", || upstream.open() == 0).await;
    }
}
