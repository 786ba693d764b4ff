//! Exchanges that either side ends early.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Channel, channel::Sender};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::upstreams::{HTTP1, HTTP2, World, read_head};
use crate::support::{get, soon};

/// Sends a request with this body on a connection that ends with the task.
async fn upload(world: &World, alpn: &str) -> (tokio::task::JoinHandle<()>, Sender<Bytes, Infallible>) {
    let stream = TokioIo::new(world.demo.connect(Some("client"), alpn.as_bytes()).await);
    let (sender, body) = Channel::new(1);
    let request = Request::post("https://localhost/").header("host", "localhost").body(body).unwrap();
    let task = if alpn == "h2" {
        let (mut caller, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        tokio::spawn(async move {
            let _ = caller.send_request(request).await;
        })
    } else {
        let (mut caller, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(async move {
            tokio::select! {
                _ = connection => {}
                _ = caller.send_request(request) => {}
            }
        })
    };
    (task, sender)
}

#[tokio::test]
async fn upload_aborted_by_the_caller_is_aborted_at_the_upstream() {
    for alpn in [HTTP1, HTTP2] {
        let (event_tx, mut reported) = mpsc::unbounded_channel();
        let world = World::answering(alpn, move |request: Request<Incoming>| {
            let event_tx = event_tx.clone();
            async move {
                let mut body = request.into_body();
                loop {
                    let said = match body.frame().await {
                        Some(Ok(_)) => "data",
                        Some(Err(_)) => "aborted",
                        None => "whole",
                    };
                    event_tx.send(said).unwrap();
                    if said != "data" {
                        return Response::new(String::new());
                    }
                }
            }
        })
        .await;
        for caller in ["http/1.1", "h2"] {
            let (task, mut body) = upload(&world, caller).await;
            body.send_data(Bytes::from("hello")).await.unwrap();
            assert_eq!(soon(reported.recv()).await, Some("data"), "{caller} {alpn:?}");
            task.abort();
            if caller == "h2" {
                // The call is gone, and its body ends with an error.
                drop(body);
            }
            let end = soon(reported.recv()).await.unwrap();
            if caller == "http/1.1" {
                assert_eq!(end, "aborted", "{caller} {alpn:?}");
            }
        }
    }
}

#[tokio::test]
async fn download_aborted_by_the_caller_is_aborted_at_the_upstream() {
    for alpn in [HTTP1, HTTP2] {
        let (event_tx, mut reported) = mpsc::unbounded_channel();
        let world = World::answering(alpn, move |_| {
            let event_tx = event_tx.clone();
            let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
            tokio::spawn(async move {
                while sender.send_data(Bytes::from_static(&[b'x'; 1_000])).await.is_ok() {}
                let _ = event_tx.send("aborted");
            });
            async move { Response::new(body) }
        })
        .await;
        for caller in ["http/1.1", "h2"] {
            if caller == "h2" {
                let mut sender = world.demo.http2(Some("client")).await;
                let mut response = sender.send_request(get("/")).await.unwrap();
                response.body_mut().frame().await.unwrap().unwrap();
                // Only the stream ends: the connection stays.
                drop(response);
                assert_eq!(soon(reported.recv()).await, Some("aborted"), "{caller} {alpn:?}");
                assert!(!sender.is_closed());
            } else {
                let mut stream = world.demo.connect(Some("client"), b"http/1.1").await;
                stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
                read_head(&mut stream).await.unwrap();
                drop(stream);
                assert_eq!(soon(reported.recv()).await, Some("aborted"), "{caller} {alpn:?}");
            }
        }
    }
}

#[tokio::test]
async fn caller_that_leaves_before_the_response_ends_the_upstream_request() {
    struct Dropped(mpsc::UnboundedSender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send("gone");
        }
    }
    for alpn in [HTTP1, HTTP2] {
        let (event_tx, mut reported) = mpsc::unbounded_channel();
        let world = World::answering(alpn, move |_| {
            let dropped = Dropped(event_tx.clone());
            async move {
                dropped.0.send("asked").unwrap();
                std::future::pending::<Response<String>>().await
            }
        })
        .await;
        for caller in ["http/1.1", "h2"] {
            let mut stream = world.demo.connect(Some("client"), caller.as_bytes()).await;
            if caller == "h2" {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                        .await
                        .unwrap();
                tokio::spawn(connection);
                let call = tokio::spawn(async move { sender.send_request(get("/")).await.is_ok() });
                assert_eq!(soon(reported.recv()).await, Some("asked"));
                call.abort();
            } else {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
                assert_eq!(soon(reported.recv()).await, Some("asked"));
                drop(stream);
            }
            assert_eq!(soon(reported.recv()).await, Some("gone"), "{caller} {alpn:?}");
        }
    }
}

#[tokio::test]
async fn unfinished_response_is_never_taken_as_complete() {
    let answers = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwor", "hellowor"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", "hello"),
        // Delimited by the end of the connection: only `close_notify` proves completeness.
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
    ];
    let world = World::saying(answers.map(|(said, _)| said).to_vec(), true).await;
    for (number, (said, arrived)) in answers.iter().enumerate() {
        for caller in ["--http1.1", "--http2"] {
            let (code, body, errors) = world.curl(&format!("{caller} GATEWAY/{number}")).await;
            assert_ne!(code, 0, "{caller} {said} {body} {errors}");
            assert_eq!(body, *arrived, "{caller} {said} {errors}");
        }
        // For HTTP/1.0 the end of the connection ends the body; only `close_notify` proves it.
        let mut stream = world.demo.connect(Some("client"), b"http/1.1").await;
        let head = format!("GET /{number} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let ended = soon(stream.read_to_end(&mut Vec::new())).await;
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof, "{said}");
    }
    // Over HTTP/2 the stream is reset.
    let world = World::answering(HTTP2, async |_| {
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        tokio::spawn(async move {
            sender.send(Frame::data(Bytes::from("hello"))).await.unwrap();
            sender.abort(std::io::Error::other("no more"));
        });
        Response::new(body)
    })
    .await;
    for caller in ["--http1.1", "--http2"] {
        let (code, body, errors) = world.curl(&format!("{caller} GATEWAY/")).await;
        assert_ne!(code, 0, "{caller} {body} {errors}");
    }
}
