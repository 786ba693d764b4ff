//! Answers that come before the request is whole.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    back_ends::{HTTP1, HTTP2, Octets, World, by_size, read_head},
    support::{soon, whole},
};

#[tokio::test]
async fn a_caller_that_waits_for_100_sends_its_body_only_if_the_route_admits_it() {
    let world = World::answering(HTTP2, by_size).await;
    let upload = "-v --http1.1 -H 'Expect: 100-continue' --expect100-timeout 60 -T - GATEWAY/up < <(head -c 3000000 /dev/zero)";
    let (code, answer, said) = world.curl(upload).await;
    assert_eq!((code, answer.as_str()), (0, "HTTP/2.0 3000000"), "{said}");
    assert!(said.contains("< HTTP/1.1 100 Continue"), "{said}");

    // Without a certificate; and with its length said beforehand.
    let refused = upload.replace("-v", "-v --cert '' --key ''");
    let (_, answer, said) = world.curl(&refused).await;
    assert!(answer.contains("\"status\":403") && said.contains("< HTTP/1.1 403"), "{answer}{said}");
    assert!(!said.contains("100 Continue"), "{said}");
    let mut stream = world.demo.connect(None, b"http/1.1").await;
    let head = "POST /up HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 403"),
        "nothing was asked for, and the connection has ended: {answer}"
    );
}

/// Uploads 20 MB over HTTP/1.1 by `curl`: status and body of the answer.
async fn upload_http1(world: &World, certificate: Option<&str>) -> (u16, String) {
    let nobody = if certificate.is_none() { "--cert '' --key ''" } else { "" };
    let upload = format!(
        "{nobody} --http1.1 -H Expect: -w '\n%{{http_code}}' -T - GATEWAY/ < <(head -c 20000000 /dev/zero)"
    );
    let (code, answer, said) = world.curl(&upload).await;
    assert_eq!(code, 0, "{said}");
    let (body, status) = answer.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The same over HTTP/2, but not by `curl`, of which 7.88 takes it for a failure that a stream is reset behind its
/// whole answer.
async fn upload_http2(world: &World, certificate: Option<&str>) -> (u16, String) {
    let stream = TokioIo::new(world.demo.connect(certificate, b"h2").await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://localhost/").body(Octets(20_000_000)).unwrap();
    let (status, _, body) = soon(whole(soon(sender.send_request(request)).await.unwrap())).await;
    (status, body)
}

/// Several times: whether an answer is lost is a matter of who comes first.
async fn uploads_are_answered(world: &World, certificate: Option<&str>, expected: (u16, &str)) {
    for _ in 0..10 {
        let answers = [upload_http1(world, certificate).await, upload_http2(world, certificate).await];
        for (status, body) in answers {
            assert!(status == expected.0 && body.contains(expected.1), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn an_early_answer_reaches_a_caller_that_still_uploads() {
    for alpn in [HTTP1, HTTP2] {
        let too_large = async |_: Request<Incoming>| {
            Response::builder().status(413).body(Full::<Bytes>::from("too large")).unwrap()
        };
        let world = World::answering(alpn, too_large).await;
        uploads_are_answered(&world, Some("client"), (413, "too large")).await;
    }
}

#[tokio::test]
async fn an_early_refusal_by_the_gateway_reaches_a_caller_that_still_uploads() {
    let world = World::answering(HTTP1, by_size).await;
    uploads_are_answered(&world, None, (403, "Invalid client certificate")).await;
}

#[tokio::test]
async fn an_early_answer_of_a_back_end_that_then_hangs_up_reaches_the_caller() {
    let world = World::raw(HTTP1, async |mut stream| {
        read_head(&mut stream).await.unwrap();
        // Some of the body arrives, so that the gateway is in the middle of sending it.
        let mut some = [0; 100_000];
        stream.read_exact(&mut some).await.unwrap();
        let answer =
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large";
        stream.write_all(answer).await.unwrap();
        let _ = stream.shutdown().await;
        // What is unread here makes the end a reset.
    })
    .await;
    uploads_are_answered(&world, Some("client"), (413, "too large")).await;
}
