//! Connections on worker threads.
#![cfg(all(
    feature = "serve",
    feature = "axum",
    feature = "outbound",
    any(feature = "aws-lc-rs", feature = "ring")
))]

use std::{collections::HashMap, future::pending, num::NonZero, sync::Arc, thread};

use axum::{Router, routing::get};
use http::Method;
use tokio::sync::oneshot;
use tower_mtls::{MtlsListener, ServerTls, Workers, acceptor::ListenerLimits, serve};

use crate::support::{
    Http, Tls,
    caller::{Answer, Caller},
    empty, every_version, in_time,
    pki::{Authority, Issued, Leaf},
    server::Server,
    world::{Gate, World, ask},
};

fn two_workers() -> Workers {
    Workers::start(NonZero::new(2).unwrap()).unwrap()
}

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

fn text(answer: Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn server(certificate: &Issued, workers: Workers, app: Router) -> (Server, oneshot::Sender<()>) {
    let tls = ServerTls::from_pem(certificate.chain_pem(), certificate.key_pem()).unwrap();
    let (drain, drained) = oneshot::channel();
    let server = Server::start(async move |socket| {
        let limits = ListenerLimits::default();
        let listener = MtlsListener::on_workers(socket, tls, limits, &workers).unwrap();
        let shutdown = async { drop(drained.await) };
        serve(listener, app).with_graceful_shutdown(shutdown).await;
        // A server must not end before its test.
        pending::<()>().await;
    });
    (server, drain)
}

#[tokio::test]
async fn connections_are_spread_over_workers_and_stay_on_them() {
    let root = Authority::root("Root");
    let app = Router::new().route("/", get(async || thread_name()));
    let (server, _drain) = server(&root.issue(&Leaf::server()), two_workers(), app);
    for (version, http) in every_version() {
        let caller = Caller::new(&root, None, version, http);
        let mut connections = Vec::new();
        for _ in 0..6 {
            connections.push(caller.connect(server.address()).await);
        }
        let mut counts = HashMap::<_, usize>::new();
        for connection in &mut connections {
            let name = text(connection.get("/").await);
            assert!(name.starts_with("worker-"), "{name}");
            for _ in 0..3 {
                assert_eq!(text(connection.get("/").await), name, "{version:?} {http:?}");
            }
            *counts.entry(name).or_default() += 1;
        }
        assert_eq!(counts.len(), 2, "{version:?} {http:?} {counts:?}");
    }
}

#[tokio::test]
async fn upstream_connections_of_a_request_are_those_of_its_worker_before_others() {
    let world = World::new();
    let gate = Gate::new();
    let upstream = world.upstream().http(Http::One).handler(gate.handler()).start();
    let (route, uri) = (world.route(), upstream.uri("/wait"));
    let app = get(async move || ask(&route, &uri).await.connection.to_string());
    let root = Authority::root("Root");
    let app = Router::new().route("/", app);
    let (server, _drain) = server(&root.issue(&Leaf::server()), two_workers(), app);
    let caller = Caller::new(&root, None, Tls::V13, Http::One);
    let mut first = caller.connect(server.address()).await;
    let mut second = caller.connect(server.address()).await;

    // The only connection serves both workers.
    gate.let_go(2);
    assert_eq!(first.get("/").await.body, "0");
    assert_eq!(second.get("/").await.body, "0");
    assert_eq!(upstream.peers().len(), 1);

    // Two at a time need two.
    let one = tokio::spawn(async move { (first.send(Method::GET, "/", empty()).await, first) });
    gate.arrived(3).await;
    let two = tokio::spawn(async move { (second.send(Method::GET, "/", empty()).await, second) });
    gate.arrived(4).await;
    gate.let_go(2);
    let ((one, mut first), (two, mut second)) = (one.await.unwrap(), two.await.unwrap());
    let one = text(in_time("a body", Answer::read(one.unwrap())).await);
    let two = text(in_time("a body", Answer::read(two.unwrap())).await);
    assert_ne!(one, two);
    assert_eq!(upstream.peers().len(), 2);

    // Afterwards each worker uses its own, although the last one used is that of the other.
    gate.let_go(12);
    let mut used = HashMap::<_, Vec<_>>::new();
    for _ in 0..6 {
        used.entry("first").or_default().push(text(first.get("/").await));
        used.entry("second").or_default().push(text(second.get("/").await));
    }
    assert!(used.values().all(|connections| connections.iter().all(|it| *it == connections[0])), "{used:?}");
    assert_ne!(used["first"][0], used["second"][0], "{used:?}");
    assert_eq!(upstream.peers().len(), 2);
}

#[tokio::test]
async fn drain_waits_for_requests_on_workers() {
    let root = Authority::root("Root");
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (arrived_tx, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let app = {
        let gate = gate.clone();
        get(async move || {
            arrived_tx.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            "whole"
        })
    };
    let app = Router::new().route("/", app);
    let (server, drain) = server(&root.issue(&Leaf::server()), two_workers(), app);
    for http in [Http::One, Http::Two] {
        let mut connection = Caller::new(&root, None, Tls::V13, http).connect(server.address()).await;
        gate.add_permits(1);
        assert_eq!(connection.get("/").await.body, "whole");
        arrived.recv().await.unwrap();
    }
    let caller = Caller::new(&root, None, Tls::V13, Http::One);
    let (mut first, mut second) =
        (caller.connect(server.address()).await, caller.connect(server.address()).await);
    let (one, two, ()) = tokio::join!(first.get("/"), second.get("/"), async {
        arrived.recv().await.unwrap();
        arrived.recv().await.unwrap();
        drop(drain);
        in_time("the end of the listener", async {
            while tokio::net::TcpStream::connect(server.address()).await.is_ok() {}
        })
        .await;
        gate.add_permits(2);
    });
    assert_eq!((text(one), text(two)), ("whole".to_owned(), "whole".to_owned()));
}

#[tokio::test]
async fn server_that_is_dropped_closes_its_connections_on_workers() {
    let root = Authority::root("Root");
    let app = Router::new().route("/", get(async || "hello"));
    let (server, _drain) = server(&root.issue(&Leaf::server()), two_workers(), app);
    let caller = Caller::new(&root, None, Tls::V13, Http::One);
    let mut connections = Vec::new();
    for _ in 0..4 {
        let mut connection = caller.connect(server.address()).await;
        assert_eq!(connection.get("/").await.body, "hello");
        connections.push(connection);
    }
    drop(server);
    for mut connection in connections {
        in_time("the end of the connection", async {
            while connection.send(Method::GET, "/", empty()).await.is_ok() {}
        })
        .await;
    }
}
