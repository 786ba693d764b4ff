//! Maximum size of request bodies (`max_body_size`).

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::upstreams::{HTTP1, HTTP2, World, read_head};
use crate::support::{eventually, soon, whole};

const MAX: usize = 1_024;
const ROUTE: &str = "limits.max_body_size = \"1KiB\"";

/// The gateway with [`MAX`], and the request bodies that its upstream received: their size, or None if aborted.
async fn world(alpn: &'static [&'static str]) -> (World, Arc<Mutex<Vec<Option<usize>>>>) {
    let received: Arc<Mutex<Vec<Option<usize>>>> = Arc::default();
    let upstream_received = received.clone();
    let world = World::raw_with(ROUTE, alpn, move |stream| {
        let received = upstream_received.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let received = received.clone();
            async move {
                let size = request.into_body().collect().await.ok().map(|body| body.to_bytes().len());
                received.lock().unwrap().push(size);
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("received")))
            }
        });
        async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    (world, received)
}

/// Sends a body over HTTP/1.1, and returns status and body of the response.
async fn send_http1(world: &World, size: usize, is_announced: bool) -> (u16, String) {
    let body = vec![b'x'; size];
    let request = if is_announced {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        );
        [head.as_bytes(), &body].concat()
    } else {
        let head =
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (first, last) = body.split_at(size / 2);
        let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
        [head.as_bytes(), &chunk(first), &chunk(last), b"0\r\n\r\n"].concat()
    };
    let response = soon(world.demo.send_raw(Some("client"), &request)).await;
    (response.split(' ').nth(1).unwrap().parse().unwrap(), response)
}

async fn send_http2<B>(world: &World, request: Request<B>) -> (u16, http::HeaderMap, String)
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TokioIo::new(world.demo.connect(Some("client"), b"h2").await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    soon(whole(soon(sender.send_request(request)).await.unwrap())).await
}

fn post() -> http::request::Builder {
    Request::post("https://localhost/")
}

/// A body of unknown size, in two parts.
fn unannounced(size: usize) -> impl Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static {
    let part = |size: usize| Ok(Frame::data(Bytes::from(vec![b'x'; size])));
    StreamBody::new(tokio_stream::iter([part(size / 2), part(size - size / 2)]))
}

#[tokio::test]
async fn larger_body_gets_413_and_is_not_complete_for_the_upstream() {
    for alpn in [HTTP1, HTTP2] {
        let (world, received) = world(alpn).await;
        for size in [MAX - 1, MAX, MAX + 1] {
            for is_announced in [true, false] {
                let (status_http1, body_http1) = send_http1(&world, size, is_announced).await;
                let (status_http2, _, body_http2) = if is_announced {
                    send_http2(&world, post().body(Full::from(vec![b'x'; size])).unwrap()).await
                } else {
                    send_http2(&world, post().body(unannounced(size)).unwrap()).await
                };
                for (status, body) in [(status_http1, body_http1), (status_http2, body_http2)] {
                    let (expected, text) =
                        if size > MAX { (413, "\"code\":\"body_too_large\"") } else { (200, "received") };
                    assert!(
                        status == expected && body.contains(text),
                        "{alpn:?} {size} {is_announced}: {body}"
                    );
                }
            }
        }
        let complete: Vec<_> = received.lock().unwrap().iter().filter_map(|size| *size).collect();
        assert_eq!(complete, [MAX - 1, MAX - 1, MAX - 1, MAX - 1, MAX, MAX, MAX, MAX], "{alpn:?}");
    }
}

#[tokio::test]
async fn larger_announced_body_is_rejected_before_the_upstream_is_contacted() {
    let (world, _) = world(HTTP1).await;
    assert_eq!(send_http1(&world, MAX + 1, true).await.0, 413);
    let mut stream = world.demo.connect(Some("client"), b"http/1.1").await;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let _ = soon(stream.read_to_end(&mut response)).await;
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "no 100, and the connection ends: {response}");

    let grpc = post().header("content-type", "application/grpc").body(Full::from(vec![0; MAX + 1])).unwrap();
    let (status, headers, _) = send_http2(&world, grpc).await;
    assert_eq!(
        (status, &headers["grpc-status"], &headers["grpc-message"]),
        (200, &"8".parse().unwrap(), &"body_too_large".parse().unwrap())
    );
    assert_eq!(world.upstream.connections(), 0);
}

#[tokio::test]
async fn body_that_passes_the_maximum_size_after_the_response_has_begun_cuts_the_stream() {
    let (world_http1, aborted) = (
        World::raw_with(ROUTE, HTTP1, async |mut stream| {
            read_head(&mut stream).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
                .await
                .unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(!rest.ends_with(b"0\r\n\r\n"), "the request is not complete");
        })
        .await,
        Arc::new(Mutex::new(false)),
    );
    let upstream_aborted = aborted.clone();
    let world_http2 =
        World::raw_with(ROUTE, HTTP2, move |stream| {
            let aborted = upstream_aborted.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let (aborted, (begun_tx, begun)) = (aborted.clone(), tokio::sync::mpsc::unbounded_channel());
                begun_tx.send(Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"begun")))).unwrap();
                tokio::spawn(async move {
                    *aborted.lock().unwrap() = request.into_body().collect().await.is_err();
                    begun_tx.closed().await;
                });
                async move {
                    Ok::<_, Infallible>(Response::new(StreamBody::new(UnboundedReceiverStream::new(begun))))
                }
            });
            async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await;
    for world in [&world_http1, &world_http2] {
        let mut stream = world.demo.connect(Some("client"), b"http/1.1").await;
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 200 "));
        stream.write_all(&[b"400\r\n", &[b'x'; MAX][..], b"\r\n0\r\n\r\n"].concat()).await.unwrap();
        let mut response = Vec::new();
        let _ = soon(stream.read_to_end(&mut response)).await;
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with("5\r\nbegun") && !response.ends_with("0\r\n\r\n"), "{response}");

        let (parts_tx, parts) = tokio::sync::mpsc::unbounded_channel();
        let send =
            |size: usize| parts_tx.send(Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; size]))));
        send(1).unwrap();
        let tls = TokioIo::new(world.demo.connect(Some("client"), b"h2").await);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), tls).await.unwrap();
        tokio::spawn(connection);
        let request = post().body(StreamBody::new(UnboundedReceiverStream::new(parts))).unwrap();
        let mut response = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(soon(response.frame()).await.unwrap().unwrap().into_data().unwrap(), "begun");
        send(MAX).unwrap();
        assert!(soon(response.into_body().collect()).await.is_err(), "the stream is reset");
    }
    eventually("the upstream to see the abort", || *aborted.lock().unwrap()).await;
}
