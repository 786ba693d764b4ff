//! Deadlines of uploads and heads on a server built with `serve`.
#![cfg(all(feature = "serve", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::service_fn;
use tower_mtls::{
    MtlsListener, ServerTls,
    serve::{self, CallerBody, HttpLimits, ProgressLimits, StreamLimits},
};

use crate::support::{
    Http, Tls,
    caller::Caller,
    in_time,
    pki::{Authority, Leaf},
    raw_http2::{self, DATA, END_HEADERS, HEADERS},
};

const SECOND: Duration = Duration::from_secs(1);

/// Reads the request, and responds with the error of its body. `/second` has limits of its own.
async fn respond(request: Request<CallerBody>) -> Result<Response<String>, Infallible> {
    if let Some(upload) = request.body().upload().filter(|_| request.uri().path() == "/second") {
        upload.set_limits(StreamLimits::new(ProgressLimits::new(Some(SECOND), 0), None));
    }
    let read = request.into_body().collect().await;
    Ok(Response::new(read.map_or_else(|error| error.to_string(), |_| String::from("whole"))))
}

async fn start(limits: HttpLimits) -> (SocketAddr, Authority) {
    let root = Authority::root("Server Root");
    let server = root.issue(&Leaf::server());
    let tls = ServerTls::from_pem(server.chain_pem(), server.key_pem()).unwrap();
    let listener = MtlsListener::bind("127.0.0.1:0", tls).await.unwrap();
    let address = listener.local_addr();
    tokio::spawn(serve::serve(listener, service_fn(respond)).with_limits(limits).into_future());
    (address, root)
}

#[tokio::test]
async fn silent_upload_fails_at_the_limit_of_its_kind() {
    let limits = HttpLimits::default()
        .with_body_timeout(Some(2 * SECOND))
        .with_min_data_rate(0)
        .with_stream_idle_timeout(Some(3 * SECOND));
    let (address, root) = start(limits).await;
    let caller = Caller::new(&root, None, Tls::V13, Http::Two);
    for (name, path, is_grpc, expected, message) in [
        ("limit of the server", "/", false, 2, "request body timed out (body_timeout)"),
        ("limit of the route", "/second", false, 1, "request body timed out (body_timeout)"),
        ("gRPC", "/", true, 3, "exchange without bytes timed out (stream_idle_timeout)"),
    ] {
        let head = if is_grpc {
            let mut head = raw_http2::grpc(1, path);
            // Without END_STREAM.
            head[4] = END_HEADERS;
            head
        } else {
            raw_http2::request(1, "POST", path, false)
        };
        let mut stream = caller.handshake(address).await.unwrap();
        stream.write_all(&[raw_http2::preface(65_535), head].concat()).await.unwrap();
        stream.flush().await.unwrap();
        let start = Instant::now();
        raw_http2::read_until(&mut stream, HEADERS).await;
        let elapsed = start.elapsed();
        let body = raw_http2::read_until(&mut stream, DATA).await;
        assert_eq!(String::from_utf8(body.payload).unwrap(), message, "{name}");
        assert!(elapsed + SECOND / 2 > expected * SECOND, "{name}: {elapsed:?}");
        assert!(elapsed < (expected + 10) * SECOND, "{name}: {elapsed:?}");
    }
}

#[tokio::test]
async fn head_behind_a_request_is_bounded_by_the_head_timeout() {
    let limits = HttpLimits::default().with_head_timeout(SECOND).with_idle_timeout(600 * SECOND);
    let (address, root) = start(limits).await;
    let caller = Caller::new(&root, None, Tls::V13, Http::One);
    let mut stream = caller.handshake(address).await.unwrap();
    // Within one TLS record, so that the second head arrives before the first response.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut received = Vec::new();
    let _ = in_time("the end of the connection", stream.read_to_end(&mut received)).await;
    let received = String::from_utf8(received).unwrap();
    assert!(received.ends_with("whole"), "{received}");
}
