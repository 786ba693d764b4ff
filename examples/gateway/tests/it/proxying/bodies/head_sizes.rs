//! Limits of the sizes of heads: of the listener, and lower ones of a route.

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::{Empty, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;

use super::upstreams::{HTTP1, HTTP2, World, read_head};
use crate::support::{Demo, Running, fronted, get, metrics, soon, upstream::Upstream, value, whole};

/// The gateway with these limits of the listener and of the route `/`.
async fn start(limits: &str, route: &str) -> (Demo, Running, Upstream) {
    let demo = Demo::start();
    let upstream = Upstream::start(&demo.dir(), HTTP1, async |mut stream| {
        while read_head(&mut stream).await.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    })
    .await;
    let (running, demo) = fronted::start_with(demo, upstream.address, limits, route);
    (demo, running, upstream)
}

/// A request with this number of fields, whose last one has a value of `length` bytes.
fn request(path: &str, fields: usize, length: usize) -> Request<Empty<Bytes>> {
    let mut request = get(path);
    for number in 1..fields {
        let name = HeaderName::try_from(format!("f{number:04}")).unwrap();
        let length = if number == fields - 1 { length } else { 1 };
        request.headers_mut().append(name, "v".repeat(length).parse().unwrap());
    }
    request
}

#[tokio::test]
async fn larger_head_gets_a_problem_with_the_code_of_its_limit() {
    let limits = "max_header_fields = 20\nmax_head_size = \"10KiB\"\nmax_target_size = \"2KiB\"";
    let route = "limits = { max_header_fields = 10, max_head_size = \"5KiB\", max_target_size = \"1KiB\" }";
    let (demo, running, _upstream) = start(limits, route).await;
    for (path, fields, head, target) in [("/", 10, 5 * 1_024, 1_024), ("/open", 20, 10 * 1_024, 2_048)] {
        // One field of each request is `host`, with a value of 9 bytes.
        let value_length = head - path.len() - (4 + 9 + 32) - (5 + 32);
        let base = if path == "/" { "/" } else { "/open/" };
        let long_path = |length: usize| format!("{base}{}", "x".repeat(length - base.len()));
        let cases = [
            (request(path, fields - 1, 1), None),
            (request(path, fields, 1), None),
            (request(path, fields + 1, 1), Some((431, "too_many_header_fields"))),
            (request(path, 2, value_length - 1), None),
            (request(path, 2, value_length), None),
            (request(path, 2, value_length + 1), Some((431, "head_too_large"))),
            (request(&long_path(target - 1), 1, 0), None),
            (request(&long_path(target), 1, 0), None),
            (request(&long_path(target + 1), 1, 0), Some((414, "target_too_long"))),
        ];
        for (number, (request, expected)) in cases.into_iter().enumerate() {
            let responses = [
                demo.http1(Some("client")).await.send_request(request.clone()).await,
                demo.http2(Some("client")).await.send_request(request).await,
            ];
            for response in responses {
                let (status, headers, body) = soon(whole(response.unwrap())).await;
                let Some((expected, code)) = expected else {
                    assert_eq!(status, 200, "{path} {number}: {body}");
                    continue;
                };
                assert_eq!(status, expected, "{path} {number}: {body}");
                assert_eq!(headers["content-type"], "application/problem+json", "{path} {number}");
                assert!(body.contains(&format!("\"code\":\"{code}\"")), "{path} {number}: {body}");
            }
        }
    }
    let text = metrics(&demo, running.management_port()).await;
    for code in ["too_many_header_fields", "head_too_large", "target_too_long"] {
        let series = format!("gateway_unrouted_requests_total{{code=\"{code}\"}}");
        assert_eq!(value(&text, &series), Some(2.0), "{series}: {text}");
    }
}

#[tokio::test]
async fn management_listener_has_the_default_limits() {
    let (demo, running, _upstream) = start("max_header_fields = 2\nmax_target_size = \"100B\"", "").await;
    for (fields, expected) in [(200, 200), (201, 431)] {
        for is_http2 in [false, true] {
            let tls =
                demo.connect_to(running.management_port(), None, if is_http2 { b"h2" } else { b"http/1.1" });
            let (tls, request) = (TokioIo::new(tls.await), request("/healthz", fields, 1));
            let response = if is_http2 {
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), tls).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            } else {
                let (mut sender, connection) = http1::handshake(tls).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await
            };
            let (status, ..) = soon(whole(response.unwrap())).await;
            assert_eq!(status, expected, "{fields} {is_http2}");
        }
    }
}

#[tokio::test]
async fn response_with_more_header_fields_is_a_bad_gateway() {
    let raw = World::raw(HTTP1, async |mut stream| {
        while let Some(head) = read_head(&mut stream).await {
            let fields: usize = head.split([' ', '/']).find_map(|part| part.parse().ok()).unwrap();
            let fields: String = (1..fields).map(|number| format!("f{number}: v\r\n")).collect();
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
            let _ = stream.write_all(response.as_bytes()).await;
        }
    })
    .await;
    let http2 = World::answering(HTTP2, async |request: Request<Incoming>| {
        let fields: usize = request.uri().path().trim_start_matches('/').parse().unwrap();
        // Otherwise hyper would add these two.
        let date = "Thu, 01 Jan 2026 00:00:00 GMT";
        let response = Response::builder().header("date", date).header("content-length", "0");
        let names = (2..fields).map(|number| format!("f{number}"));
        let response = names.fold(response, |response, name| response.header(name, "v"));
        response.body(Full::<Bytes>::default()).unwrap()
    })
    .await;
    for world in [&raw, &http2] {
        for (fields, expected) in [(199, 200), (200, 200), (201, 502), (300, 502)] {
            let request = get(&format!("/{fields}"));
            let mut caller = world.demo.http2(Some("client")).await;
            let (status, _, body) = soon(whole(caller.send_request(request).await.unwrap())).await;
            assert_eq!(status, expected, "{fields}: {body}");
            assert!(status == 200 || body.contains("\"code\":\"connection\""), "{fields}: {body}");
        }
    }
}
