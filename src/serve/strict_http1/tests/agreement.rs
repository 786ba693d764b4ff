//! Agreement of the scanner with hyper.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    super::{Http1Validator, scanner::Scanner},
    streams::{Random, valid},
};
use crate::serve::{activity::Activity, observer::OpenConnection, watched_io::WatchedIo};

/// Serves a stream, sent in pieces of this size, with hyper. Returns target and body length of each complete request,
/// and the responses.
async fn served(stream: &[u8], piece: usize, is_validated: bool) -> (Vec<(String, usize)>, String) {
    let (mut caller, socket) = tokio::io::duplex(1 << 16);
    let validator = is_validated.then(Http1Validator::new);
    let io = TokioIo::new(WatchedIo::new(
        socket,
        |_| 0,
        Activity::new(Arc::default()),
        validator,
        OpenConnection::new(None),
    ));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = requests.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let log = log.clone();
        async move {
            let target = request.uri().to_string();
            if let Ok(body) = request.into_body().collect().await {
                log.lock().unwrap().push((target, body.to_bytes().len()));
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"served"))))
        }
    });
    let serve = async {
        // The caller sends everything before it reads.
        let mut builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.half_close(true).serve_connection(io, service).await;
    };
    let call = async {
        for piece in stream.chunks(piece) {
            // Fails if the connection was closed after a rejection.
            let _ = caller.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = caller.shutdown().await;
        let mut responses = Vec::new();
        let _ = caller.read_to_end(&mut responses).await;
        String::from_utf8_lossy(&responses).into_owned()
    };
    let ((), responses) = tokio::join!(serve, call);
    let requests = std::mem::take(&mut *requests.lock().unwrap());
    (requests, responses)
}

/// Returns the number of requests that end before the first violation, and whether there is none.
fn scanned(stream: &[u8]) -> (usize, bool) {
    let mut scanner = Scanner::new();
    let (mut ended, mut is_within) = (0, false);
    for byte in stream.chunks(1) {
        if scanner.scan(byte).is_err() {
            return (ended, false);
        }
        let was_within = is_within;
        is_within = !matches!(scanner, Scanner::Idle(_) | Scanner::IdleLf(_));
        ended += usize::from(was_within && !is_within);
    }
    (ended, true)
}

/// Returns a valid stream with a few bytes changed, removed or inserted.
fn damaged(seed: u64) -> Vec<u8> {
    let mut stream = valid(seed);
    let random = &mut Random::new(!seed);
    for _ in 0..=random.below(2) {
        let at = random.below(stream.len());
        let byte = *random.choose(&b"\r\n\0 \t:;,0159afx+-\x7f\xff".each_ref());
        match random.below(4) {
            0 => stream[at] = byte,
            1 => stream.insert(at, byte),
            2 => drop(stream.remove(at)),
            _ => {
                let line = *random.choose(
                    &[
                        &b"Content-Length: 3\r\n"[..],
                        b"Transfer-Encoding: chunked\r\n",
                        b"\r\n",
                        b"\n",
                        b"Content-Length: 3\nX: y\r\n",
                    ]
                    .each_ref(),
                );
                let after = stream[at..].iter().position(|byte| *byte == b'\n').map_or(at, |lf| at + lf + 1);
                stream.splice(after..after, line.iter().copied());
            }
        }
    }
    stream
}

#[tokio::test]
async fn hyper_frames_valid_streams_as_the_scanner_does() {
    let (mut passed, mut rejected) = (0, 0);
    for seed in 1..=3_000 {
        let stream = damaged(seed);
        let (ended, is_valid) = scanned(&stream);
        let (requests, responses) = served(&stream, usize::MAX, true).await;
        assert!(requests.len() <= ended, "seed {seed}: {requests:?}, {}", stream.escape_ascii());
        // hyper has additional rules for targets and the number of fields, and closes after HTTP/1.0 or on request.
        let was_closed =
            ["HTTP/1.1 4", "connection: close", "HTTP/1.0"].iter().any(|sign| responses.contains(sign));
        if is_valid && !was_closed {
            assert_eq!(requests.len(), ended, "seed {seed}: {responses}, {}", stream.escape_ascii());
            // The validator does not change valid streams.
            assert_eq!(served(&stream, usize::MAX, false).await.0, requests, "seed {seed}");
            passed += 1;
        } else {
            rejected += 1;
        }
        assert_eq!(served(&stream, 1, true).await.0, requests, "seed {seed}, byte by byte");
    }
    assert!(passed > 300 && rejected > 1_000, "{passed} passed, {rejected} rejected");
}

#[tokio::test]
async fn violation_in_head_gets_400_at_any_split() {
    let good = "GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, part, before, invalid) in super::table::BAD {
        for piece in [1, 2, 3, 7, usize::MAX] {
            let stream = [good, before, invalid].concat();
            let (requests, responses) = served(stream.as_bytes(), piece, true).await;
            assert_eq!(requests, [("/good".to_owned(), 0)], "{name}, {piece}");
            if *part == super::MessagePart::Head {
                let statuses: Vec<&str> = responses.matches("HTTP/1.1 ").collect();
                assert!(responses.contains("HTTP/1.1 400"), "{name}, {piece}: {responses}");
                assert_eq!(statuses.len(), 2, "{name}, {piece}: {responses}");
            }
        }
    }
}

#[tokio::test]
async fn bytes_after_upgrade_are_not_validated() {
    let (mut caller, socket) = tokio::io::duplex(64);
    let activity = Activity::new(Arc::default());
    let mut io = WatchedIo::new(
        socket,
        |_| 0,
        activity.clone(),
        Some(Http1Validator::new()),
        OpenConnection::new(None),
    );
    let mut read = [0; 64];
    caller.write_all(b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n").await.unwrap();
    let length = io.read(&mut read).await.unwrap();
    assert!(read[..length].ends_with(b"\r\n\r\n"));
    activity.switch_to_tunnel(None);
    caller.write_all(b"\0\n\r\xff").await.unwrap();
    assert_eq!(io.read(&mut read).await.unwrap(), 4);
    assert_eq!(&read[..4], b"\0\n\r\xff");
}
