//! Requests while their connection is being established.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};
use tower::{Layer, ServiceExt};
use tower_mtls::{IdentityLayer, Shared};

use crate::support::{
    Http, in_time,
    raw::Raw,
    world::{World, get},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn stalled_attempt_delays_other_requests_briefly() {
    let world = World::new();
    let upstream = Raw::start(&world.server, Http::One, async |number, mut stream, tls| {
        if number == 0 {
            // Accepts the connection and sends nothing.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return Ok(());
        }
        let mut stream = tls.accept(stream).await?;
        let _ = stream.read(&mut [0; 4096]).await?;
        stream.write_all(ANSWER).await
    });
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    let answers: Vec<_> =
        (0..10).map(|_| tokio::spawn(route.clone().oneshot(get(&upstream.uri("/"))))).collect();
    for answer in answers {
        let answer = tokio::time::timeout(Duration::from_secs(8), answer).await;
        assert!(answer.expect("before the first attempt gives up").unwrap().is_ok());
    }
}

#[tokio::test]
async fn request_never_starts_with_an_identity_replaced_while_it_connected() {
    let world = World::new();
    let (first, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let replaced = Arc::new(AtomicBool::new(false));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let script = {
        let (first, go, replaced, wrong) = (first.clone(), go.clone(), replaced.clone(), wrong.clone());
        move |number: usize, stream, tls: tokio_rustls::TlsAcceptor| {
            let (first, go, replaced, wrong) = (first.clone(), go.clone(), replaced.clone(), wrong.clone());
            async move {
                // Would use the old identity if that had not been replaced.
                let is_old = !replaced.load(Ordering::SeqCst);
                if number == 0 {
                    first.notify_one();
                    go.notified().await;
                }
                let mut stream = tls.accept(stream).await?;
                let mut request = [0; 4096];
                let bytes = stream.read(&mut request).await?;
                if is_old && bytes > 0 {
                    wrong.lock().unwrap().push(number);
                }
                stream.write_all(ANSWER).await
            }
        }
    };
    let upstream = Raw::start(&world.server, Http::One, script);
    let shared = Shared::new(world.identity("old"));
    let route = IdentityLayer::new(shared.clone()).layer(world.client());
    let asking = tokio::spawn(route.oneshot(get(&upstream.uri("/"))));
    in_time("the first connection", first.notified()).await;
    shared.replace(world.identity("new"));
    replaced.store(true, Ordering::SeqCst);
    go.notify_one();
    let answered = in_time("the end of the request", asking).await.unwrap();
    assert!(answered.is_ok(), "{answered:?}");
    assert!(upstream.accepted() >= 2);
    assert!(wrong.lock().unwrap().is_empty(), "sent under the old identity after it was replaced");
}
