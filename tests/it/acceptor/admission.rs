//! Fair admission: which connection makes room for a new one.
#![cfg(feature = "serve")]

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{io::AsyncReadExt, net::TcpSocket, sync::Notify};
use tower_mtls::{Shared, serve};

use super::*;
use crate::support::{Tls, caller::Connection, empty, eventually};

/// A server of four connections, whose path `/slow` waits and whose other paths are those of [`app`].
struct Crowded {
    world: World,
    server: Server,
    limits: Shared<ListenerLimits>,
    /// Ends one request for `/slow`.
    gate: Arc<Notify>,
    /// Number of requests for `/slow` so far.
    arrived: Arc<AtomicUsize>,
}

impl Crowded {
    fn new(connections: usize) -> Self {
        let world = World::new();
        let (app, _) = app(world.partners_only());
        let gate = Arc::new(Notify::new());
        let arrived = Arc::new(AtomicUsize::new(0));
        let (waiting, arriving) = (gate.clone(), arrived.clone());
        let slow = get(async move || {
            arriving.fetch_add(1, Ordering::Relaxed);
            waiting.notified().await;
            "slow"
        });
        let guarded = Router::new().route("/slow", slow.clone());
        let layer = RequireCertificateLayer::new(world.partners_only())
            .with_clock(Arc::new(ManualClock::new(Timestamp::from_unix(NOON))));
        let app = app.merge(guarded.layer(layer)).route("/slow-open", slow);
        let limits = Shared::new(ListenerLimits::default().with_connections(connections));
        let (tls, shared) = (world.tls(), limits.clone());
        let server = Server::start(async move |socket: TcpListener| {
            serve(MtlsListener::new(socket, tls, shared).unwrap(), app).await;
        });
        Self { world, server, limits, gate, arrived }
    }

    /// Connects from 127.0.0.`host`.
    async fn connect(&self, host: u8, key: Option<Arc<CertifiedKey>>, http: Http) -> Connection {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, host], 0).into()).unwrap();
        let socket = in_time("a connection", socket.connect(self.server.address())).await.unwrap();
        self.world.caller(key, Tls::V13, http).connect_on(socket).await
    }

    /// Connects from 127.0.0.1 until `is_true`.
    async fn crowd_until(&self, what: &str, mut is_true: impl FnMut() -> bool) {
        let connecting = async {
            while !is_true() {
                drop(self.connect(1, None, Http::One).await);
            }
        };
        in_time(what, connecting).await;
    }
}

#[tokio::test]
async fn connection_that_was_never_admitted_makes_room_for_a_new_one() {
    for http in [Http::One, Http::Two] {
        let crowded = Crowded::new(8);
        let mut partner = crowded.connect(1, Some(crowded.world.partner()), http).await;
        assert_greeted(&partner.get("/guarded").await, "CN=partner,O=Contoso");
        let mut others = Vec::new();
        for _ in 0..5 {
            let mut anonymous = crowded.connect(2, None, http).await;
            assert_eq!(anonymous.get("/open").await.status, 200);
            others.push(anonymous);
        }
        crowded.crowd_until("one to be closed", || others.iter().any(Connection::is_closed)).await;
        assert_greeted(&partner.get("/guarded").await, "CN=partner,O=Contoso");
    }
}

#[tokio::test]
async fn idle_connection_that_was_admitted_makes_room_last_of_the_idle_ones() {
    let crowded = Crowded::new(4);
    let mut partners = Vec::new();
    for _ in 0..3 {
        let mut partner = crowded.connect(2, Some(crowded.world.partner()), Http::Two).await;
        assert_greeted(&partner.get("/guarded").await, "CN=partner,O=Contoso");
        partners.push(partner);
    }
    crowded.crowd_until("the longest idle one to be closed", || partners[0].is_closed()).await;
}

#[tokio::test]
async fn admitted_request_is_never_closed() {
    for http in [Http::One, Http::Two] {
        let crowded = Crowded::new(4);
        let mut busy = Vec::new();
        for count in 1..=4 {
            let mut partner = crowded.connect(2, Some(crowded.world.partner()), http).await;
            busy.push(tokio::spawn(async move { partner.answer(http::Method::GET, "/slow", empty()).await }));
            eventually("the request to arrive", || crowded.arrived.load(Ordering::Relaxed) == count).await;
        }
        // The limit is reached: no handshake is accepted.
        let mut waiting = tokio::net::TcpStream::connect(crowded.server.address()).await.unwrap();
        let no_byte =
            tokio::time::timeout(std::time::Duration::from_secs(2), waiting.read(&mut [0; 1])).await;
        assert!(no_byte.is_err(), "{no_byte:?}");
        for request in busy {
            crowded.gate.notify_one();
            assert_eq!(in_time("a response", request).await.unwrap().body, "slow");
        }
    }
}

#[tokio::test]
async fn request_without_certificate_makes_room_for_admitted_ones() {
    let crowded = Crowded::new(4);
    let mut open = crowded.connect(2, None, Http::One).await;
    let open = tokio::spawn(async move { open.send(http::Method::GET, "/slow-open", empty()).await });
    eventually("the request to arrive", || crowded.arrived.load(Ordering::Relaxed) == 1).await;
    let mut busy = Vec::new();
    for count in 2..=4 {
        let mut partner = crowded.connect(1, Some(crowded.world.partner()), Http::Two).await;
        busy.push(tokio::spawn(async move { partner.answer(http::Method::GET, "/slow", empty()).await }));
        eventually("the request to arrive", || crowded.arrived.load(Ordering::Relaxed) == count).await;
    }
    // A fifth caller: no other connection can be closed.
    let _fifth = tokio::net::TcpStream::connect(crowded.server.address()).await.unwrap();
    assert!(in_time("the request to end", open).await.unwrap().is_err());
    assert!(busy.iter().all(|request| !request.is_finished()));
}

#[tokio::test]
async fn address_has_its_own_limit_unless_it_is_exempt() {
    let crowded = Crowded::new(100);
    let limits = || ListenerLimits::default().with_connections_per_address(Some(2));
    crowded.limits.replace(limits());
    let address: SocketAddr = crowded.server.address();
    let mut held = [crowded.connect(1, None, Http::One).await, crowded.connect(1, None, Http::One).await];
    let mut rejected = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(in_time("the end", rejected.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(crowded.connect(2, None, Http::One).await.get("/open").await.status, 200);
    for connection in &mut held {
        assert_eq!(connection.get("/open").await.status, 200);
    }

    crowded.limits.replace(limits().with_exempt_networks(["127.0.0.0/31".parse().unwrap()]));
    assert_eq!(crowded.connect(1, None, Http::One).await.get("/open").await.status, 200);
}

#[tokio::test]
async fn handshakes_of_an_address_are_limited() {
    let crowded = Crowded::new(100);
    crowded.limits.replace(ListenerLimits::default().with_handshakes_per_address(Some(1)));
    let address = crowded.server.address();
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut rejected = tokio::net::TcpStream::connect(address).await.unwrap();
    assert_eq!(in_time("the end", rejected.read(&mut [0; 1])).await.unwrap(), 0);
    drop(silent);
    let served = async {
        loop {
            let mut probe = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut byte = [0; 1];
            let closed = tokio::time::timeout(std::time::Duration::from_millis(100), probe.read(&mut byte));
            if closed.await.is_err() {
                return;
            }
        }
    };
    in_time("another handshake", served).await;
    drop(crowded);
}

#[tokio::test]
async fn silent_connection_of_another_server_is_closed() {
    let world = World::new();
    let (app, _) = app(world.partners_only());
    let limits = ListenerLimits::default().with_idle_timeout(Some(std::time::Duration::from_millis(100)));
    let server = world.serve(app, limits);
    let mut caller = world.caller(None, Tls::V13, Http::One).connect(server.address()).await;
    assert_eq!(caller.get("/open").await.status, 200);
    eventually("the connection to be closed", || caller.is_closed()).await;
}
