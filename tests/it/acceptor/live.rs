//! Replacing a listener's TLS configuration and draining it, over real sockets and TLS.
#![cfg(all(feature = "acceptor", feature = "axum", any(feature = "aws-lc-rs", feature = "ring")))]

use std::net::Ipv4Addr;

use axum::{Router, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_mtls::{
    MtlsListener, ServerTls, Shared,
    acceptor::{ListenerLimits, MtlsStream},
    capture,
};

use crate::support::{
    Http, Tls,
    caller::Caller,
    every_version, in_time,
    pki::{Authority, Leaf},
    server::Server,
};

fn tls(root: &Authority) -> ServerTls {
    let certificate = root.issue(&Leaf::server());
    ServerTls::from_pem(certificate.chain_pem(), certificate.key_pem()).unwrap()
}

fn app() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn replaced_certificate_is_presented_to_the_next_connection_and_resumes_no_old_session() {
    for (version, http) in every_version() {
        let (old, new) = (Authority::root("Old"), Authority::root("New"));
        let shared = Shared::new(tls(&old));
        let given = shared.clone();
        let server = Server::start(move |socket| async move {
            let listener = MtlsListener::new(socket, given, ListenerLimits::default()).unwrap();
            ::axum::serve(listener, capture(app())).await.unwrap();
        });
        // Both roots are trusted: the server alone decides about resumption.
        let caller = Caller::trusting(&[&old, &new], None, version, http);
        let mut open = caller.connect(server.address()).await;
        assert_eq!(open.get("/").await.body, "hello");
        let mut again = caller.connect(server.address()).await;
        assert!(again.is_resumed(), "{version:?} {http:?}");
        assert_eq!(again.get("/").await.body, "hello");

        shared.replace(tls(&new));

        let mut next = caller.connect(server.address()).await;
        assert!(!next.is_resumed(), "{version:?} {http:?}: a session of the old certificate");
        assert_eq!(next.get("/").await.body, "hello");
        let only_new = Caller::new(&new, None, version, http);
        assert_eq!(only_new.get(server.address(), "/").await.body, "hello");
        let only_old = Caller::new(&old, None, version, http);
        assert!(
            only_old.handshake(server.address()).await.is_err(),
            "the old certificate is still presented"
        );
        assert_eq!(open.get("/").await.body, "hello", "an open connection continues");
    }
}

async fn serve(stream: MtlsStream) {
    let service = TowerToHyperService::new(app());
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test]
async fn draining_listener_finishes_handshakes_under_way_and_accepts_no_more() {
    let root = Authority::root("Root");
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = MtlsListener::new(socket, tls(&root), ListenerLimits::default()).unwrap();
    let caller = Caller::new(&root, None, Tls::V13, Http::Two);
    // Connected clients that have sent nothing; the listener has perhaps not accepted them yet.
    let early = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut draining = listener.drain();
    let served = tokio::spawn(async move {
        let mut count = 0;
        while let Some((stream, _)) = draining.accept().await {
            tokio::spawn(serve(stream));
            count += 1;
        }
        count
    });
    in_time("the socket to close", async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!served.is_finished(), "handshakes are pending");
    for socket in early {
        let mut connection = caller.connect_on(socket).await;
        assert_eq!(connection.get("/").await.body, "hello");
    }
    assert_eq!(in_time("the end of the listener", served).await.unwrap(), 2);
}

#[tokio::test]
async fn dropping_a_draining_listener_ends_the_handshakes_under_way() {
    let root = Authority::root("Root");
    let listener = MtlsListener::bind((Ipv4Addr::LOCALHOST, 0), tls(&root)).await.unwrap();
    let mut silent = TcpStream::connect(listener.local_addr()).await.unwrap();
    silent.write_all(&[0x16, 0x03]).await.unwrap();
    drop(listener.drain());
    let read = in_time("the end", silent.read(&mut [0; 1])).await;
    assert_eq!(read.unwrap_or(0), 0);
}
