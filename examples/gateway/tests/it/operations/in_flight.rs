//! Requests and tunnels across a reload.
#![cfg(unix)]

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, client::TlsStream};

use crate::support::{
    Demo, fronted, get, replace, soon,
    upstream::{self, Upstream},
    whole,
};

/// An upstream whose first handshake waits for the test, and that responds with the caller's subject.
struct Waiting {
    address: SocketAddr,
    accepted: mpsc::UnboundedReceiver<()>,
    go_on: mpsc::UnboundedSender<()>,
}

impl Waiting {
    async fn start(dir: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(upstream::tls(dir, &["http/1.1"])));
        let orders = CertificateDer::from_pem_file(dir.join("orders.pem")).unwrap();
        let (accepted_tx, accepted) = mpsc::unbounded_channel();
        let (go_on, mut may_go_on) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut is_first = true;
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if std::mem::take(&mut is_first) {
                    accepted_tx.send(()).unwrap();
                    may_go_on.recv().await;
                }
                let (acceptor, orders) = (acceptor.clone(), orders.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let is_orders = stream.get_ref().1.peer_certificates().unwrap().first() == Some(&orders);
                    let mut bytes = [0; 4_096];
                    while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                        let seen = if is_orders { "orders" } else { "others" };
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n{seen}");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, accepted, go_on }
    }
}

/// Replaces the files of `orders` by those of another identity.
fn replace_orders(demo: &Demo) {
    for extension in ["pfx", "password"] {
        let billing = fs::read(demo.dir().join(format!("billing.{extension}"))).unwrap();
        replace(&demo.dir().join(format!("orders.{extension}")), billing);
    }
}

#[tokio::test]
async fn request_that_connects_after_a_reload_uses_the_new_identity() {
    let demo = Demo::start();
    let mut upstream = Waiting::start(&demo.dir()).await;
    let (running, demo) = fronted::start(demo, upstream.address, "");
    let mut caller = demo.http1(None).await;
    let asked = tokio::spawn(async move { whole(caller.send_request(get("/open")).await.unwrap()).await });
    soon(upstream.accepted.recv()).await.unwrap();
    replace_orders(&demo);
    let from = running.lines();
    running.hang_up();
    running.logged(from, "INFO gateway::server::follow: reloaded");
    upstream.go_on.send(()).unwrap();
    let (status, _, body) = soon(asked).await.unwrap();
    assert_eq!((status, body.as_str()), (200, "others"));
}

#[tokio::test]
async fn request_in_flight_without_its_identity_gets_502() {
    let demo = Demo::start();
    let mut upstream = Waiting::start(&demo.dir()).await;
    let (running, demo) = fronted::start(demo, upstream.address, "");
    let mut caller = demo.http1(None).await;
    let asked = tokio::spawn(async move { whole(caller.send_request(get("/open")).await.unwrap()).await });
    soon(upstream.accepted.recv()).await.unwrap();
    let config = demo.dir().join("fronted.toml");
    let text = fs::read_to_string(&config).unwrap();
    let from = running.lines();
    let renamed = text.replace("[identities.orders]", "[identities.ours]");
    replace(&config, renamed.replace("identity = \"orders\"", "identity = \"ours\""));
    running.logged(from, "INFO gateway::server::follow: reloaded");
    upstream.go_on.send(()).unwrap();
    let (status, _, body) = soon(asked).await.unwrap();
    assert!(status == 502 && body.contains("unknown_identity"), "{status} {body}");
}

/// An upstream that switches protocols and waits for the caller's end.
async fn switching(demo: &Demo) -> Upstream {
    Upstream::start(&demo.dir(), &["http/1.1"], |mut stream| async move {
        let mut bytes = [0; 4_096];
        let _ = stream.read(&mut bytes).await;
        let switched = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chatter\r\n\r\n";
        let _ = stream.write_all(switched).await;
        let _ = stream.read(&mut bytes).await;
    })
    .await
}

/// Requests another protocol; returns the connection and the status.
async fn switch(demo: &Demo) -> (TlsStream<TcpStream>, String) {
    let mut caller = demo.connect(None, b"http/1.1").await;
    let request = b"GET /open HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: chatter\r\n\r\n";
    caller.write_all(request).await.unwrap();
    let mut bytes = [0; 4_096];
    let count = soon(caller.read(&mut bytes)).await.unwrap();
    let answer = String::from_utf8_lossy(&bytes[..count]).into_owned();
    (caller, answer.split(' ').nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn tunnels_of_a_client_that_other_limits_replaced_end_with_its_drain_timeout() {
    let demo = Demo::start();
    let upstream = switching(&demo).await;
    let (running, demo) = fronted::start(demo, upstream.address, "drain_timeout = \"200ms\"");
    let (mut caller, status) = switch(&demo).await;
    assert_eq!(status, "101");
    let config = demo.dir().join("fronted.toml");
    let text = fs::read_to_string(&config).unwrap();
    let from = running.lines();
    replace(&config, text.replace("drain_timeout = \"200ms\"", "drain_timeout = \"10m\""));
    running.logged(from, "INFO gateway::server::follow: reloaded");
    let ended = tokio::time::timeout(Duration::from_secs(30), caller.read(&mut [0; 4_096])).await;
    assert!(ended.is_ok(), "the tunnel continues");
    running.logged(from, "INFO tower_mtls::proxy::tunnel::log: tunnel ended after the drain timeout");
}

#[tokio::test]
async fn tunnel_counts_as_a_request_of_its_route_until_it_ends() {
    let demo = Demo::start();
    let upstream = switching(&demo).await;
    let (running, demo) = fronted::start(demo, upstream.address, "");
    let config = demo.dir().join("fronted.toml");
    let text = fs::read_to_string(&config).unwrap();
    // Of the last route, `/open`.
    replace(&config, format!("{text}\n[routes.limits]\nmax_requests = 1\n"));
    running.logged(0, "INFO gateway::server::follow: reloaded");
    let (caller, status) = switch(&demo).await;
    assert_eq!(status, "101");
    assert_eq!(switch(&demo).await.1, "503");
    drop(caller);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while switch(&demo).await.1 != "101" {
        assert!(tokio::time::Instant::now() < deadline, "the permit is never released");
    }
}
