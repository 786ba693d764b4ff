//! Limits of heads, at and beyond what hyper parses.
#![cfg(all(feature = "serve", any(feature = "aws-lc-rs", feature = "ring")))]

use http::{HeaderName, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    floods::World,
    support::{
        Http, Tls,
        caller::{Answer, Caller},
        empty, in_time,
    },
};

const TOO_MANY: Option<(u16, &str)> = Some((431, "too_many_header_fields"));
const TOO_LARGE: Option<(u16, &str)> = Some((431, "head_too_large"));
const TOO_LONG: Option<(u16, &str)> = Some((414, "target_too_long"));

/// Sends a request over HTTP/1.1, in pieces of this size, and returns the whole response.
async fn send_http1(world: &World, request: &[u8], piece: usize) -> String {
    let caller = Caller::new(&world.root, None, Tls::V13, Http::One);
    let mut stream = caller.handshake(world.address).await.unwrap();
    let exchange = async {
        for piece in request.chunks(piece) {
            // Fails once the connection has ended.
            if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        String::from_utf8(response).unwrap()
    };
    in_time("the response", exchange).await
}

fn assert_response(name: &str, response: &str, expected: Option<(u16, &str)>) {
    match expected {
        None => assert!(response.starts_with("HTTP/1.1 200 "), "{name}: {response}"),
        Some((status, code)) => {
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {response}");
            assert!(response.contains("content-type: application/problem+json"), "{name}: {response}");
            assert!(response.contains(&format!("\"code\":\"{code}\"")), "{name}: {response}");
            assert!(response.contains("connection: close"), "{name}: {response}");
        }
    }
}

#[tokio::test]
async fn larger_http1_head_gets_a_problem_of_any_size() {
    let world = World::start().await;
    let fields = |count: usize| "a: b\r\n".repeat(count);
    let field = |length: usize| format!("pad: {}\r\n", "v".repeat(length));
    // Without the target, the other two fields, and the name of the field.
    let field_length = 32 * 1_024 - 1 - (4 + 1 + 32) - (10 + 5 + 32) - (3 + 32);
    let head = |target: &str, rest: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{rest}\r\n");
    let target = |length: usize| head(&format!("/{}", "t".repeat(length - 1)), "Connection: close\r\n");
    let close = "Connection: close\r\n";
    for (name, request, expected) in [
        ("199 fields", head("/", &(fields(197) + close)), None),
        ("200 fields", head("/", &(fields(198) + close)), None),
        ("201 fields", head("/", &(fields(199) + close)), TOO_MANY),
        ("5,000 fields", head("/", &fields(5_000)), TOO_MANY),
        ("fields without an end", format!("GET / HTTP/1.1\r\n{}", fields(300)), TOO_MANY),
        ("size below", head("/", &(field(field_length - 1) + close)), None),
        ("size at", head("/", &(field(field_length) + close)), None),
        ("size above", head("/", &(field(field_length + 1) + close)), TOO_LARGE),
        ("field of 100,000 bytes", head("/", &field(100_000)), TOO_LARGE),
        (
            "field without an end",
            format!("GET / HTTP/1.1\r\nHost: a\r\npad: {}", "v".repeat(50_000)),
            TOO_LARGE,
        ),
        ("name of 50,000 bytes", head("/", &format!("{}: a\r\n", "n".repeat(50_000))), TOO_LARGE),
        (
            "method of 50,000 bytes",
            format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(50_000)),
            TOO_LARGE,
        ),
        ("target below", target(16_383), None),
        ("target at", target(16_384), None),
        ("target above", head(&format!("/{}", "t".repeat(16_384)), close), TOO_LONG),
        ("target of 20,000 bytes", head(&format!("/{}", "t".repeat(20_000)), ""), TOO_LONG),
        ("target of 100,000 bytes", head(&format!("/{}", "t".repeat(100_000)), ""), TOO_LONG),
        ("with a body", head("/", &format!("Content-Length: 5\r\n{}", fields(300))) + "12345", TOO_MANY),
        (
            "with Expect",
            head("/", &format!("Content-Length: 5\r\nExpect: 100-continue\r\n{}", fields(300))),
            TOO_MANY,
        ),
    ] {
        for piece in [usize::MAX, 1_000] {
            let response = send_http1(&world, request.as_bytes(), piece).await;
            assert_response(name, &response, expected);
        }
    }
}

#[tokio::test]
async fn larger_http2_head_gets_a_problem_and_keeps_its_connection() {
    let world = World::start().await;
    let caller = Caller::new(&world.root, None, Tls::V13, Http::Two);
    let mut connection = caller.connect(world.address).await;
    let request = |path: &str, fields: usize, length: usize| {
        let mut request = Request::get(path).body(empty()).unwrap();
        for number in 0..fields {
            let name = HeaderName::try_from(format!("f{number:03}")).unwrap();
            request.headers_mut().append(name, "v".repeat(length).parse().unwrap());
        }
        request
    };
    let target = |length: usize| format!("/{}", "t".repeat(length - 1));
    let length = 32 * 1_024 - 1 - (4 + 32);
    for (name, request, expected) in [
        ("199 fields", request("/", 199, 1), None),
        ("200 fields", request("/", 200, 1), None),
        ("201 fields", request("/", 201, 1), TOO_MANY),
        ("1,000 fields", request("/", 1_000, 1), TOO_MANY),
        ("size below", request("/", 1, length - 1), None),
        ("size at", request("/", 1, length), None),
        ("size above", request("/", 1, length + 1), TOO_LARGE),
        ("60,000 bytes", request("/", 1, 60_000), TOO_LARGE),
        ("target below", request(&target(16_383), 0, 0), None),
        ("target at", request(&target(16_384), 0, 0), None),
        ("target above", request(&target(16_385), 0, 0), TOO_LONG),
        ("target of 40,000 bytes", request(&target(40_000), 0, 0), TOO_LONG),
    ] {
        let response = in_time("a response", connection.send_request(request)).await.unwrap();
        let status = response.status().as_u16();
        let body = Answer::read(response).await.body;
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, expected.map_or(200, |(status, _)| status), "{name}");
        if let Some((_, code)) = expected {
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{name}: {text}");
        }
    }
    // Beyond twice the size hyper responds without a body.
    let response = in_time("a response", connection.send_request(request("/", 1, 70_000))).await.unwrap();
    assert_eq!(response.status(), 431);
    let mut grpc = request("/", 201, 1);
    grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = in_time("a response", connection.send_request(grpc)).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"8".parse().unwrap())
    );
    assert_eq!(response.headers()["grpc-message"], "too_many_header_fields");
}
