//! Concurrent tunnels, other protocols, and the end of the gateway.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    echo::{self, World},
    open,
};

#[tokio::test]
async fn other_protocols_pass_and_each_side_closes_separately() {
    let mut world = World::start(&["h2", "http/1.1"]).await;
    let stream = TokioIo::new(world.demo.connect(Some("client"), b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = echo::upgrade("/custom", "chatter/1.0").body(String::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["upgrade"].as_bytes()),
        (101, &b"chatter/1.0"[..])
    );
    let mut io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    for word in ["one", "two\r\n\r\n", "\0three"] {
        io.write_all(word.as_bytes()).await.unwrap();
        let mut echoed = vec![0; word.len()];
        io.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, word.as_bytes());
    }
    io.shutdown().await.unwrap();
    let mut last = String::new();
    io.read_to_string(&mut last).await.unwrap();
    assert_eq!((last.as_str(), world.end().await.as_str()), ("last", "ended"));
    assert_eq!(world.seen(), ["HTTP/1.1 /custom chatter/1.0"]);
}

#[tokio::test]
async fn hundred_concurrent_tunnels_do_not_mix() {
    const TUNNELS: usize = 100;
    let mut world = World::start(&["http/1.1"]).await;
    let mut opening = JoinSet::new();
    for _ in 0..TUNNELS {
        let stream = world.demo.connect(Some("client"), b"http/1.1").await;
        opening.spawn(async move {
            tokio_tungstenite::client_async("wss://localhost/echo", stream).await.unwrap().0
        });
    }
    let mut sockets = opening.join_all().await;
    for round in 0..5 {
        for (at, socket) in sockets.iter_mut().enumerate() {
            socket.send(Message::text(format!("{at} in round {round}"))).await.unwrap();
        }
        for (at, socket) in sockets.iter_mut().enumerate().rev() {
            let echoed = socket.next().await.unwrap().unwrap();
            assert_eq!(echoed, Message::text(format!("{at} in round {round}")));
        }
    }
    assert_eq!(world.upstream.connections(), TUNNELS, "each tunnel has its own connection");
    drop(sockets);
    for _ in 0..TUNNELS {
        world.end().await;
    }
}

#[tokio::test]
async fn sigterm_leaves_tunnels_the_drain_timeout_and_then_cuts_them() {
    let mut world = World::start_with(&["http/1.1"], "drain_timeout = \"1s\"").await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    let mut early = open(&world, Some("client"), "/echo").await.unwrap();
    let start = Instant::now();
    world.running.terminate();
    world.running.logged(0, "draining");
    socket.send(Message::text("still there?")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still there?"));
    early.close(None).await.unwrap();
    assert_eq!(world.end().await, "closed None");
    // A tunnel that does not end is cut on both sides.
    assert!(socket.next().await.unwrap().is_err());
    assert!(world.end().await.starts_with("failed"));
    world.running.logged(0, "cut off after the drain timeout");
    let reported = world.running.logged(0, "tunnel ended after the drain timeout");
    assert!(reported.contains(" INFO ") && reported.contains("remote=127.0.0.1:"), "{reported}");
    assert_eq!(world.running.ended().await, Some(0));
    assert!(start.elapsed() >= Duration::from_millis(900), "the drain timeout has passed");
}

#[tokio::test]
async fn tunnel_in_which_no_byte_moves_is_closed_on_both_sides() {
    let mut world = World::start_with(&["http/1.1"], "tunnel_idle_timeout = \"1s\"").await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    // Each message restarts the timeout.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1_500) {
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let idle_since = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(30), socket.next()).await.unwrap();
    assert!(!matches!(ended, Some(Ok(_))), "{ended:?}");
    assert!(world.end().await.starts_with("failed"));
    assert!(idle_since.elapsed() >= Duration::from_millis(800), "{:?}", idle_since.elapsed());
}
