//! Upgrades that are refused, and requests that must not be.

use bytes::Bytes;
use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error;

use super::{
    echo::{self, World},
    open,
};
use crate::support::{Demo, fronted, get, upstream::Upstream, whole};

/// The status and body of a refused upgrade.
fn refused(error: Error) -> (u16, String) {
    let Error::Http(response) = error else { panic!("{error}") };
    let body = response.body().as_deref().unwrap_or_default();
    (response.status().as_u16(), String::from_utf8_lossy(body).into_owned())
}

#[tokio::test]
async fn upgrade_without_an_admitted_certificate_never_reaches_the_upstream() {
    let world = World::start(&["http/1.1"]).await;
    for certificate in [None, Some("stranger"), Some("expired")] {
        let (status, body) = refused(open(&world, certificate, "/echo").await.unwrap_err());
        assert_eq!(status, 403, "{certificate:?}: {body}");
    }
    assert_eq!(world.upstream.connections(), 0);
    // The open route is a different one.
    open(&world, None, "/open/echo").await.unwrap();
}

#[tokio::test]
async fn upstream_response_other_than_101_is_passed_on() {
    let world = World::start(&["http/1.1"]).await;
    for (path, expected) in [("/forbidden", (403, "not here")), ("/plain", (200, "plain"))] {
        let (status, body) = refused(open(&world, Some("client"), path).await.unwrap_err());
        assert_eq!(status, expected.0, "{path}");
        assert!(expected.1.starts_with(&body), "{path}: {body}");
    }
    // The connection continues to serve.
    let mut sender = world.demo.http1(Some("client")).await;
    for path in ["/forbidden", "/plain"] {
        let request = echo::upgrade(path, "websocket").body(Empty::<Bytes>::new()).unwrap();
        let (_, headers, _) = whole(sender.send_request(request).await.unwrap()).await;
        assert!(!headers.contains_key("upgrade") && !headers.contains_key("connection"), "{path}");
        sender.ready().await.unwrap();
    }
}

#[tokio::test]
async fn protocols_that_would_bypass_the_rules_are_not_requested() {
    let world = World::start(&["http/1.1"]).await;
    let mut sender = world.demo.http1(Some("client")).await;
    for protocol in ["h2c", "H2C", "TLS/1.0", "HTTP/2.0", "websocket, h2c", "h2c,websocket"] {
        let request = echo::upgrade("/plain", protocol).body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(whole(sender.send_request(request).await.unwrap()).await.0, 200, "{protocol}");
        sender.ready().await.unwrap();
    }
    // An `Upgrade` that `Connection` does not name must be removed by the sender, and is not requested either.
    let request = echo::upgrade("/plain", "websocket").header("connection", "keep-alive");
    let mut request = request.body(Empty::<Bytes>::new()).unwrap();
    request.headers_mut().insert("connection", "keep-alive".parse().unwrap());
    assert_eq!(whole(sender.send_request(request).await.unwrap()).await.0, 200);
    // HTTP/1.0 callers are not upgraded either.
    let answer =
        "GET /plain HTTP/1.0\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = world.demo.send_raw(Some("client"), answer.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert_eq!(world.seen(), ["HTTP/1.1 /plain -"; 8]);
}

#[tokio::test]
async fn http_2_callers_are_not_upgraded() {
    let world = World::start(&["http/1.1"]).await;
    let mut sender = world.demo.http2(Some("client")).await;
    let request = echo::upgrade("https://localhost/plain", "websocket").body(Empty::<Bytes>::new()).unwrap();
    // The calling library removes connection fields; where one does not, the request is malformed.
    match sender.send_request(request).await {
        Ok(response) => assert_eq!(whole(response).await.0, 200),
        Err(error) => assert!(!error.is_closed(), "{error}"),
    }
    for line in world.seen() {
        assert_eq!(line, "HTTP/1.1 /plain -");
    }
}

#[tokio::test]
async fn unrequested_protocol_is_a_502() {
    let world = World::start(&["http/1.1"]).await;
    let (status, _) = refused(open(&world, Some("client"), "/elsewhere").await.unwrap_err());
    assert_eq!(status, 502);
}

#[tokio::test]
async fn unrequested_upgrade_is_a_502() {
    let demo = Demo::start();
    let upstream = Upstream::start(&demo.dir(), &["http/1.1"], async |mut stream| {
        let mut head = [0; 4_096];
        while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            // A caller that reads this as another response was deceived.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let (_running, demo) = fronted::start(demo, upstream.address, "");
    let mut sender = demo.http1(Some("client")).await;
    for _ in 0..3 {
        let (status, headers, body) = whole(sender.send_request(get("/")).await.unwrap()).await;
        assert_eq!((status, body.as_str(), headers.get("upgrade")), (502, "", None));
        sender.ready().await.unwrap();
    }
    let (status, ..) = whole(demo.http2(Some("client")).await.send_request(get("/")).await.unwrap()).await;
    assert_eq!(status, 502);
    assert_eq!(upstream.connections(), 4, "a connection that has switched serves no other request");
}
