//! Pending handshakes: silent clients, garbage, and eviction.

use std::{
    io::{ErrorKind, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_mtls::acceptor::ListenerLimits;

use super::*;
use crate::support::{Http, Tls, in_time};

fn silent(address: SocketAddr) -> std::net::TcpStream {
    let socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

#[tokio::test]
async fn silent_clients_delay_no_other_client() {
    let world = World::new();
    let (app, _) = app(world.partners_only());
    let limits = ListenerLimits::default().with_handshake_timeout(Duration::from_secs(3_600));
    let server = world.serve(app, limits);
    let mut crowd: Vec<_> = (0..100).map(|_| silent(server.address())).collect();

    let partner = world.caller(Some(world.partner()), Tls::V13, Http::Two);
    assert_greeted(&partner.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
    for socket in &mut crowd {
        let waiting = socket.read(&mut [0; 1]).expect_err("neither closed nor answered");
        assert_eq!(waiting.kind(), ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn silent_client_is_closed_when_its_handshake_times_out() {
    let world = World::new();
    let (app, _) = app(world.partners_only());
    let timeout = Duration::from_millis(50);
    let server = world.serve(app, ListenerLimits::default().with_handshake_timeout(timeout));
    let start = Instant::now();
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let mut half_open = TcpStream::connect(server.address()).await.unwrap();
    half_open.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    for socket in [&mut silent, &mut half_open] {
        let read = in_time("the end", socket.read(&mut [0; 1])).await;
        // Unread data of a half-open handshake can turn the server's FIN into a RST.
        assert!(
            matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
            "no byte was sent"
        );
    }
    assert!(start.elapsed() >= timeout);
}

#[tokio::test]
async fn garbage_is_closed_and_the_next_client_is_served() {
    let world = World::new();
    let (server, _) = world.partners_server();
    for garbage in [
        &b"GET /guarded HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        &[0xff; 4_096],
        // A handshake record with an invalid ClientHello.
        &[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00],
    ] {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        // At most an alert, then the end.
        let _ = in_time("the end", socket.read_to_end(&mut answer)).await;
        assert!(answer.len() <= 7, "{answer:?}");

        let partner = world.caller(Some(world.partner()), Tls::V13, Http::One);
        assert_greeted(&partner.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
    }
}

#[tokio::test]
async fn longest_pending_handshake_is_evicted_at_the_limit() {
    let world = World::new();
    let (app, _) = app(world.partners_only());
    let limits =
        ListenerLimits::default().with_handshakes(2).with_handshake_timeout(Duration::from_secs(600));
    let server = world.serve(app, limits);
    let mut stalling: Vec<_> = (0..8).map(|_| silent(server.address())).collect();
    let partner = world.caller(Some(world.partner()), Tls::V13, Http::One);
    assert_greeted(&partner.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
    assert_eq!(stalling[0].read(&mut [0; 1]).unwrap_or(0), 0, "the longest pending handshake is evicted");
}
