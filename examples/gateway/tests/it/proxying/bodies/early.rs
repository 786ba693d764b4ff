//! Responses that arrive before the request is complete.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, Instant},
};

use super::upstreams::{ByteBody, HTTP1, HTTP2, World, by_size, read_head};
use crate::support::{
    raw_http2::{self, DATA, END_STREAM, RST_STREAM},
    soon, whole,
};

#[tokio::test]
async fn caller_waiting_for_100_sends_its_body_only_if_admitted() {
    let world = World::answering(HTTP2, by_size).await;
    let upload = "-v --http1.1 -H 'Expect: 100-continue' --expect100-timeout 60 -T - GATEWAY/up < <(head -c 3000000 /dev/zero)";
    let (code, answer, said) = world.curl(upload).await;
    assert_eq!((code, answer.as_str()), (0, "HTTP/2.0 3000000"), "{said}");
    assert!(said.contains("< HTTP/1.1 100 Continue"), "{said}");

    // Without a certificate, and with a known length.
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

/// Uploads 20 MB over HTTP/1.1 by `curl`: status and body of the response.
async fn upload_http1(world: &World, certificate: Option<&str>) -> (u16, String) {
    let anonymous = if certificate.is_none() { "--cert '' --key ''" } else { "" };
    let upload = format!(
        "{anonymous} --http1.1 -H Expect: -w '\n%{{http_code}}' -T - GATEWAY/ < <(head -c 20000000 /dev/zero)"
    );
    let (code, answer, said) = world.curl(&upload).await;
    assert_eq!(code, 0, "{said}");
    let (body, status) = answer.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The same over HTTP/2, without `curl`: version 7.88 treats a reset after a complete response as a failure.
async fn upload_http2(world: &World, certificate: Option<&str>) -> (u16, String) {
    let stream = TokioIo::new(world.demo.connect(certificate, b"h2").await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://localhost/").body(ByteBody(20_000_000)).unwrap();
    let (status, _, body) = soon(whole(soon(sender.send_request(request)).await.unwrap())).await;
    (status, body)
}

/// Repeated, since losing a response is a race.
async fn uploads_are_answered(world: &World, certificate: Option<&str>, expected: (u16, &str)) {
    for _ in 0..10 {
        let answers = [upload_http1(world, certificate).await, upload_http2(world, certificate).await];
        for (status, body) in answers {
            assert!(status == expected.0 && body.contains(expected.1), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn early_response_reaches_an_uploading_caller() {
    for alpn in [HTTP1, HTTP2] {
        let too_large = async |_: Request<Incoming>| {
            Response::builder().status(413).body(Full::<Bytes>::from("too large")).unwrap()
        };
        let world = World::answering(alpn, too_large).await;
        uploads_are_answered(&world, Some("client"), (413, "too large")).await;
    }
}

#[tokio::test]
async fn early_refusal_by_the_gateway_reaches_an_uploading_caller() {
    let world = World::answering(HTTP1, by_size).await;
    uploads_are_answered(&world, None, (403, "Invalid client certificate")).await;
}

#[tokio::test]
async fn early_response_of_an_upstream_that_hangs_up_reaches_the_caller() {
    let world = World::raw(HTTP1, async |mut stream| {
        read_head(&mut stream).await.unwrap();
        // Part of the body arrives, so that the gateway is sending it.
        let mut some = [0; 100_000];
        stream.read_exact(&mut some).await.unwrap();
        let answer =
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large";
        stream.write_all(answer).await.unwrap();
        let _ = stream.shutdown().await;
        // Unread data turns the end into a reset.
    })
    .await;
    uploads_are_answered(&world, Some("client"), (413, "too large")).await;
}

/// Reads one response with a Content-Length.
async fn read_response(stream: &mut (impl AsyncReadExt + Unpin)) -> (String, Vec<u8>) {
    let head = soon(read_head(stream)).await.expect("the connection has ended").to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    soon(stream.read_exact(&mut body)).await.unwrap();
    (head, body)
}

#[tokio::test]
async fn refused_request_with_a_small_body_keeps_its_connection() {
    let world = World::answering(HTTP1, by_size).await;
    for length in [1, 2_000, 65_536] {
        let mut stream = world.demo.connect(None, b"http/1.1").await;
        for _ in 0..3 {
            let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            // The response does not wait for the body.
            let (head, body) = read_response(&mut stream).await;
            assert!(head.starts_with("http/1.1 403 ") && !head.contains("connection: close"), "{head}");
            assert!(String::from_utf8(body).unwrap().contains("Invalid client certificate"));
            stream.write_all(&vec![b'x'; length]).await.unwrap();
        }
        stream.write_all(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert!(read_response(&mut stream).await.0.starts_with("http/1.1 200 "), "{length}");
    }
}

#[tokio::test]
async fn refused_request_with_a_missing_small_body_ends_its_connection() {
    let world = World::answering(HTTP1, by_size).await;
    let mut stream = world.demo.connect(None, b"http/1.1").await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx").await.unwrap();
    assert!(read_response(&mut stream).await.0.starts_with("http/1.1 403 "));
    let start = Instant::now();
    let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    assert!((500..4_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn refused_request_with_a_large_body_ends_its_connection_in_order() {
    let world = World::answering(HTTP1, by_size).await;
    for fields in
        ["Content-Length: 65537", "Content-Length: 1\r\nExpect: 100-continue", "Transfer-Encoding: chunked"]
    {
        let mut stream = world.demo.connect(None, b"http/1.1").await;
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (head, _) = read_response(&mut stream).await;
        assert!(head.starts_with("http/1.1 403 ") && head.contains("connection: close"), "{fields}: {head}");
        // The gateway has nothing more to send, and still reads.
        let start = Instant::now();
        assert_eq!(
            soon(stream.read_to_end(&mut Vec::new())).await.unwrap(),
            0,
            "{fields}: an end with close_notify"
        );
        assert!(start.elapsed() < Duration::from_millis(900), "{fields}: {:?}", start.elapsed());
        assert!(stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok(), "{fields}");
    }
}

#[tokio::test]
async fn refused_http2_request_is_answered_before_any_reset() {
    let world = World::answering(HTTP1, by_size).await;
    let mut stream = world.demo.connect(None, b"h2").await;
    stream.write_all(&raw_http2::preface(65_535)).await.unwrap();
    for (id, ends) in [(1, true), (3, false)] {
        stream.write_all(&raw_http2::request(id, "POST", "/", false)).await.unwrap();
        stream.write_all(&raw_http2::frame(DATA, 0, id, &[0; 16_384])).await.unwrap();
        let mut end = raw_http2::read_until(&mut stream, DATA).await;
        while end.flags & END_STREAM == 0 {
            end = raw_http2::read_until(&mut stream, DATA).await;
        }
        assert_eq!(end.stream, id);
        let start = Instant::now();
        if ends {
            stream.write_all(&raw_http2::frame(DATA, END_STREAM, id, b"x")).await.unwrap();
        } else {
            let reset = raw_http2::read_until(&mut stream, RST_STREAM).await;
            assert_eq!((reset.stream, &reset.payload[..]), (id, &[0; 4][..]), "NO_ERROR");
            assert!((500..4_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        }
    }
}

#[tokio::test]
async fn curl_shows_the_refusal_of_an_upload() {
    let world = World::answering(HTTP1, by_size).await;
    for (size, version) in
        [(300_000, "--http2"), (300_000, "--http1.1"), (20_000_000, "--http2"), (20_000_000, "--http1.1")]
    {
        for _ in 0..5 {
            let upload = format!(
                "{version} --cert '' --key '' -o /dev/null -w '%{{http_code}}' --data-binary @- GATEWAY/ < <(head -c {size} /dev/zero)"
            );
            let (code, status, said) = world.curl(&upload).await;
            assert_eq!((code, status.as_str()), (0, "403"), "{version} {size}: {said}");
        }
    }
}
