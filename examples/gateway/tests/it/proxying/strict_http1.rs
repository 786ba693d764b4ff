//! Requests that can be parsed in two ways never reach the upstream.

#[path = "../../../../../src/serve/strict_http1/tests/table.rs"]
mod table;

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use self::table::{BAD, GOOD};
use crate::support::{Demo, Running};

/// Part of the message that contains the first invalid byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessagePart {
    Head,
    Body,
}

/// Requests that an upstream received, and those that it received completely.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Received {
    begun: Vec<String>,
    whole: Vec<String>,
}

/// An upstream on a free port that responds with the target and the body that it received.
async fn upstream() -> (u16, Arc<Mutex<Received>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Received::default()));
    let log = seen.clone();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let log = log.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let log = log.clone();
                async move {
                    let target = request.uri().to_string();
                    log.lock().unwrap().begun.push(target.clone());
                    let body = request.into_body().collect().await;
                    let answer = body.map(|body| format!("{target} got {:?}", body.to_bytes()));
                    if answer.is_ok() {
                        log.lock().unwrap().whole.push(target);
                    }
                    let answer = Bytes::from(answer.unwrap_or_default());
                    Ok::<_, Infallible>(Response::new(Full::new(answer)))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(socket), service));
        }
    });
    (port, seen)
}

/// The demo's gateway with one open route to a recording upstream.
async fn start() -> (Demo, Running, Arc<Mutex<Received>>) {
    let demo = Demo::start();
    let (upstream, seen) = upstream().await;
    let config = demo.toml();
    let (before, _) = config.split_once("[[routes]]").unwrap();
    let file = demo.dir().join("strict.toml");
    let route = format!("[[routes]]\npath = \"/\"\nupstream = \"http://127.0.0.1:{upstream}\"\n");
    fs::write(&file, format!("{before}{route}")).unwrap();
    let (running, port) = Running::start(&file);
    (demo.on_port(port), running, seen)
}

fn status(answer: &str) -> Option<&str> {
    answer.split(' ').nth(1)
}

#[tokio::test]
async fn ambiguous_requests_are_refused_before_the_upstream() {
    let (demo, running, seen) = start().await;
    for (name, part, before, invalid) in BAD {
        let request = [*before, *invalid].concat();
        // It returns, so the connection was closed.
        let answer = demo.send_raw(None, request.as_bytes()).await;
        // Time for the upstream to receive the rest.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let Received { begun, whole } = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(whole, [""; 0], "{name}: {answer}");
        assert_eq!(status(&answer), Some("400"), "{name}: {answer}");
        // A body is forwarded as it comes, and not further than to where it goes wrong.
        assert!(*part == MessagePart::Body || begun.is_empty(), "{name}: {answer}");
    }
    drop(running);
}

#[tokio::test]
async fn ambiguous_request_sent_byte_by_byte_gets_400_without_delay() {
    let (demo, running, seen) = start().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding:";
    let mut stream = demo.connect(None, b"http/1.1").await;
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    // Far less than the timeout of a request head.
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", answer.escape_ascii());
    assert_eq!(*seen.lock().unwrap(), Received::default());
    drop(running);
}

#[tokio::test]
async fn pipelined_good_requests_are_answered_and_a_bad_one_behind_them_is_not() {
    let (demo, running, seen) = start().await;
    let good = "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                POST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                3;x=y\r\ndef\r\n1\r\n\n\r\n0\r\nTrailer: t\r\n\r\n\
                \r\nGET /three HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad = "POST /four HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc\
               GET /five HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = demo.send_raw(None, format!("{good}{bad}").as_bytes()).await;
    for part in ["/one got b\"abc\"", "/two got b\"def\\n\"", "/three got b\"\""] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
    assert_eq!(seen.lock().unwrap().begun, ["/one", "/two", "/three"]);
    drop(running);
}

#[tokio::test]
async fn good_requests_reach_the_upstream_whole() {
    let (demo, running, seen) = start().await;
    let another = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (name, requests) in GOOD {
        // Host is required by another rule.
        let requests =
            requests.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nHost: a\r\n").replace("Host: localhost\r\n", "");
        let answer = demo.send_raw(None, format!("{requests}{another}").as_bytes()).await;
        let whole = std::mem::take(&mut *seen.lock().unwrap()).whole;
        // HTTP/1.0 closes, and so does the response to an unsupported coding.
        let expected = if requests.contains("gzip") { "501" } else { "200" };
        let is_last = requests.contains("gzip") || requests.contains("HTTP/1.0");
        let statuses: Vec<_> = answer.split("HTTP/1.").skip(1).filter_map(status).collect();
        assert_eq!(statuses.last(), Some(&expected), "{name}: {answer}");
        assert!(statuses.iter().all(|status| *status == expected), "{name}: {answer}");
        assert_eq!(whole.last().is_some_and(|target| target == "/last"), !is_last, "{name}: {answer}");
    }
    drop(running);
}
