//! Trailers in both directions, over both protocols.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::upstreams::{HTTP1, HTTP2, World};

type Frames = StreamBody<tokio_stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn with_trailers(body: &'static str, name: &'static str, value: &str) -> Frames {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value.parse().unwrap());
    trailers.insert("x-forwarded-for", "1.2.3.4".parse().unwrap());
    let frames = vec![Ok(Frame::data(Bytes::from(body))), Ok(Frame::trailers(trailers))];
    StreamBody::new(tokio_stream::iter(frames))
}

/// Responds with the request's trailers in a field, and with trailers.
async fn answer(request: Request<Incoming>) -> Response<Frames> {
    let collected = request.into_body().collect().await.unwrap();
    let seen = format!("{:?}", collected.trailers());
    let answer = Response::builder().header("seen", seen).header("trailer", "x-digest");
    answer.body(with_trailers("world", "x-digest", "of the answer")).unwrap()
}

fn request() -> Request<Frames> {
    Request::post("https://localhost/")
        .header("host", "localhost")
        .header("te", "trailers")
        .header("trailer", "x-sum, x-forwarded-for")
        .body(with_trailers("hello", "x-sum", "of the request"))
        .unwrap()
}

#[tokio::test]
async fn trailers_pass_both_ways_over_any_pair_of_protocols_but_for_false_claims() {
    for upstream in [HTTP1, HTTP2] {
        let world = World::answering(upstream, answer).await;
        for caller in [HTTP1, HTTP2] {
            let stream = TokioIo::new(world.demo.connect(Some("client"), caller[0].as_bytes()).await);
            let response = if caller == HTTP1 {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request()).await.unwrap()
            } else {
                let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
                let (mut sender, connection) = handshake.await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request()).await.unwrap()
            };
            let pair = format!("{caller:?} to {upstream:?}");
            assert_eq!(response.headers()["seen"], r#"Some({"x-sum": "of the request"})"#, "{pair}");
            let collected = response.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x-digest"], "of the answer", "{pair}");
            assert_eq!(collected.to_bytes(), "world", "{pair}");
        }
    }
}
