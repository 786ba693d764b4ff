//! What the follower passes, the library reads in the same way.

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
    super::{Follower, Guard},
    streams::{Random, valid},
};
use crate::serve::{activity::Activity, watched_io::WatchedIo};

/// What the library served of a stream that is sent in pieces of this size: for each request that arrived whole,
/// its target and its body's length. And what it answered.
async fn served(stream: &[u8], piece: usize, guarded: bool) -> (Vec<(String, usize)>, String) {
    let (mut caller, socket) = tokio::io::duplex(1 << 16);
    let guard = guarded.then(Guard::new);
    let io = TokioIo::new(WatchedIo::new(socket, |_| 0, Activity::new(Arc::default()), guard));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
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
        // Callers here have said all they have to say before the first answer.
        let mut builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.half_close(true).serve_connection(io, service).await;
    };
    let call = async {
        for piece in stream.chunks(piece) {
            // Who is refused may find the connection closed.
            let _ = caller.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = caller.shutdown().await;
        let mut answers = Vec::new();
        let _ = caller.read_to_end(&mut answers).await;
        String::from_utf8_lossy(&answers).into_owned()
    };
    let ((), answers) = tokio::join!(serve, call);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, answers)
}

/// The number of requests that end in the stream before its first violation, and whether there is none.
fn followed(stream: &[u8]) -> (usize, bool) {
    let mut follower = Follower::new();
    let (mut ended, mut is_within) = (0, false);
    for octet in stream.chunks(1) {
        if follower.follow(octet).is_err() {
            return (ended, false);
        }
        let was_within = is_within;
        is_within = !matches!(follower, Follower::Before(_) | Follower::BeforeLf(_));
        ended += usize::from(was_within && !is_within);
    }
    (ended, true)
}

/// A stream with a few octets changed, removed or put in, where that could matter.
fn damaged(seed: u64) -> Vec<u8> {
    let mut stream = valid(seed);
    let random = &mut Random::new(!seed);
    for _ in 0..=random.below(2) {
        let at = random.below(stream.len());
        let octet = *random.of(&b"\r\n\0 \t:;,0159afx+-\x7f\xff".each_ref());
        match random.below(4) {
            0 => stream[at] = octet,
            1 => stream.insert(at, octet),
            2 => drop(stream.remove(at)),
            _ => {
                let line = *random.of(&[
                    &b"Content-Length: 3\r\n"[..],
                    b"Transfer-Encoding: chunked\r\n",
                    b"\r\n",
                    b"\n",
                    b"Content-Length: 3\nX: y\r\n",
                ]
                .each_ref());
                let behind =
                    stream[at..].iter().position(|octet| *octet == b'\n').map_or(at, |lf| at + lf + 1);
                stream.splice(behind..behind, line.iter().copied());
            }
        }
    }
    stream
}

#[tokio::test]
async fn what_passes_is_read_by_the_library_as_it_was_followed() {
    let (mut passed, mut refused) = (0, 0);
    for seed in 1..=3_000 {
        let stream = damaged(seed);
        let (ended, is_good) = followed(&stream);
        let (seen, answers) = served(&stream, usize::MAX, true).await;
        assert!(seen.len() <= ended, "seed {seed}: {seen:?}, {}", stream.escape_ascii());
        // The library has rules of its own for targets and the number of fields, and closes when it was asked to
        // or after HTTP/1.0.
        let was_closed =
            ["HTTP/1.1 4", "connection: close", "HTTP/1.0"].iter().any(|sign| answers.contains(sign));
        if is_good && !was_closed {
            assert_eq!(seen.len(), ended, "seed {seed}: {answers}, {}", stream.escape_ascii());
            // The guard changed nothing.
            assert_eq!(served(&stream, usize::MAX, false).await.0, seen, "seed {seed}");
            passed += 1;
        } else {
            refused += 1;
        }
        assert_eq!(served(&stream, 1, true).await.0, seen, "seed {seed}, octet by octet");
    }
    assert!(passed > 300 && refused > 1_000, "{passed} passed, {refused} refused");
}

#[tokio::test]
async fn a_violation_in_a_head_gets_400_wherever_it_is_split() {
    let good = "GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, place, may, must_not) in super::table::BAD {
        for piece in [1, 2, 3, 7, usize::MAX] {
            let stream = [good, may, must_not].concat();
            let (seen, answers) = served(stream.as_bytes(), piece, true).await;
            assert_eq!(seen, [("/good".to_owned(), 0)], "{name}, {piece}");
            if *place == super::Place::Head {
                let statuses: Vec<&str> = answers.matches("HTTP/1.1 ").collect();
                assert!(answers.contains("HTTP/1.1 400"), "{name}, {piece}: {answers}");
                assert_eq!(statuses.len(), 2, "{name}, {piece}: {answers}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_behind_an_upgrade_is_not_examined() {
    let (mut caller, socket) = tokio::io::duplex(64);
    let activity = Activity::new(Arc::default());
    let mut io = WatchedIo::new(socket, |_| 0, activity.clone(), Some(Guard::new()));
    let mut read = [0; 64];
    caller.write_all(b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n").await.unwrap();
    let length = io.read(&mut read).await.unwrap();
    assert!(read[..length].ends_with(b"\r\n\r\n"));
    activity.tunnel(None);
    caller.write_all(b"\0\n\r\xff").await.unwrap();
    assert_eq!(io.read(&mut read).await.unwrap(), 4);
    assert_eq!(&read[..4], b"\0\n\r\xff");
}
