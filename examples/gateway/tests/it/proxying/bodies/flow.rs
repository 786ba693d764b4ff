//! A reader that stalls stops its writer, and no other exchange.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::{Duration, Instant},
};

use super::upstreams::{ByteBody, HTTP1, HTTP2, SizedBody, World, by_size, read_head};
use crate::support::{eventually, get, soon, whole};

/// The upper limit of buffered data between a writer and a stalled reader: kernel buffers of three sockets, and
/// windows.
const MAX_BUFFERED: u64 = 40 << 20;

/// Waits until a count no longer changes.
async fn still(count: &AtomicU64) -> u64 {
    let (mut seen, mut since) = (0, Instant::now());
    eventually("the writer to stop", || {
        let now = count.load(Ordering::SeqCst);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        seen > 0 && since.elapsed() > Duration::from_millis(300)
    })
    .await;
    seen
}

#[tokio::test]
async fn upstream_that_does_not_read_stops_the_caller() {
    for alpn in [HTTP1, HTTP2] {
        let (read, may_read) = watch::channel(false);
        let world = World::answering(alpn, move |request: Request<Incoming>| {
            let mut may_read = may_read.clone();
            async move {
                may_read.wait_for(|may| *may).await.unwrap();
                by_size(request).await
            }
        })
        .await;
        let mut stream = world.demo.connect(Some("client"), b"http/1.1").await;
        let head =
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108864\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sent = Arc::new(AtomicU64::new(0));
        let counted = sent.clone();
        tokio::spawn(async move {
            let piece = [b'x'; 65_536];
            for _ in 0..1_024 {
                writer.write_all(&piece).await.unwrap();
                counted.fetch_add(65_536, Ordering::SeqCst);
            }
            writer.flush().await.unwrap();
            std::future::pending::<()>().await;
        });
        let between = still(&sent).await;
        assert!(between < MAX_BUFFERED, "{alpn:?}: {between}");
        read.send_replace(true);
        let mut answer = String::new();
        let _ = soon(reader.read_to_string(&mut answer)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("67108864"), "{alpn:?} {answer}");
    }
}

/// A body that counts the bytes taken from it.
async fn counted(
    given: Arc<AtomicU64>,
    size: u64,
) -> Response<impl hyper::body::Body<Data = bytes::Bytes, Error = std::convert::Infallible>> {
    Response::new(ByteBody(size).map_frame(move |frame| {
        given.fetch_add(frame.data_ref().unwrap().len() as u64, Ordering::SeqCst);
        frame
    }))
}

#[tokio::test]
async fn caller_that_does_not_read_stops_the_upstream() {
    for alpn in [HTTP1, HTTP2] {
        let given = Arc::new(AtomicU64::new(0));
        let counter = given.clone();
        let world = World::answering(alpn, move |_| counted(counter.clone(), 64 << 20)).await;
        for caller in [HTTP1, HTTP2] {
            given.store(0, Ordering::SeqCst);
            let response = if caller == HTTP1 {
                world.demo.http1(Some("client")).await.send_request(get("/")).await.unwrap()
            } else {
                world.demo.http2(Some("client")).await.send_request(get("/")).await.unwrap()
            };
            let between = still(&given).await;
            assert!(between < MAX_BUFFERED, "{caller:?} {alpn:?}: {between}");
            let (_, _, body) = soon(whole(response)).await;
            assert_eq!(body.len(), 64 << 20, "{caller:?} {alpn:?}");
        }
    }
}

#[tokio::test]
async fn callers_that_do_not_read_delay_no_other_on_the_same_upstream_connection() {
    let world = World::answering(HTTP2, by_size).await;
    let mut waiting = Vec::new();
    for _ in 0..40 {
        let mut sender = world.demo.http2(Some("client")).await;
        let response = sender.send_request(get("/down/67108864")).await.unwrap();
        waiting.push((sender, response));
    }
    let mut sender = world.demo.http2(Some("client")).await;
    for _ in 0..10 {
        let response = soon(sender.send_request(get("/down/1000000"))).await.unwrap();
        assert_eq!(soon(whole(response)).await.2.len(), 1_000_000);
    }
    assert_eq!(world.upstream.connections(), 1);
}

#[tokio::test]
async fn unread_uploads_delay_no_other_request_on_the_same_connection() {
    let world = World::answering(HTTP1, async |request: Request<Incoming>| -> Response<SizedBody> {
        if request.uri().path() == "/stalled" {
            std::future::pending::<()>().await;
        }
        by_size(request).await
    })
    .await;
    let stream = TokioIo::new(world.demo.connect(Some("client"), b"h2").await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let given = Arc::new(AtomicU64::new(0));
    let post = |path: &str, size: u64| {
        let given = given.clone();
        let body = ByteBody(size).map_frame(move |frame| {
            given.fetch_add(frame.data_ref().unwrap().len() as u64, Ordering::SeqCst);
            frame
        });
        let request = Request::post(format!("https://localhost{path}")).body(body).unwrap();
        let mut sender = sender.clone();
        tokio::spawn(async move { whole(sender.send_request(request).await.unwrap()).await })
    };
    let stalled: Vec<_> = (0..8).map(|_| post("/stalled", 64 << 20)).collect();
    still(&given).await;
    let (status, _, body) = soon(post("/", 1_000_000)).await.unwrap();
    assert_eq!((status, body.as_str()), (200, "HTTP/1.1 1000000"));
    drop(stalled);
}

#[tokio::test]
async fn trickled_body_is_forwarded_piece_by_piece() {
    let world = World::raw(HTTP1, async |mut stream| {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        loop {
            let byte = stream.read_u8().await.unwrap();
            stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n']).await.unwrap();
        }
    })
    .await;
    let mut stream = world.demo.connect(Some("client"), b"http/1.1").await;
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
    stream.write_all(head).await.unwrap();
    soon(read_head(&mut stream)).await.unwrap();
    for byte in b"123456789" {
        stream.write_all(&[*byte]).await.unwrap();
        let mut echoed = [0; 6];
        soon(stream.read_exact(&mut echoed)).await.unwrap();
        assert_eq!(echoed[3], *byte);
    }
    drop(stream);
}
