//! No spelling of a path bypasses a route's rules.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{Demo, Running};

/// Spellings of `/orders`, or of paths that a second parser could read differently.
const SPELLINGS: &[&str] = &[
    "/open/../orders",
    "/open/./../orders",
    "/open/%2e%2e/orders",
    "/open/%2E%2E/orders",
    "/open/.%2e/orders",
    "/open/%2e./orders",
    "/open/%2e%2E%2forders",
    "/open/..%2forders",
    "/open/..%2Forders",
    "/open%2f..%2forders",
    "/open/..\\orders",
    "/open\\..\\orders",
    "/open/..%5corders",
    "/open/..%5Corders",
    "/open//../orders",
    "//orders",
    "/open/..//orders",
    "/./orders",
    "/%2e/orders",
    "/open/..;/orders",
    "/open;/../orders",
    "/orders;x",
    "/orders;x/42",
    "/orders%3bx/42",
    "/open/..;x=y/orders",
    "/open/..%00/orders",
    "/%00/../orders",
    "/open/%252e%252e/orders",
    "/open/..%252forders",
    "/%6frders",
    "/%6F%72%64%65%72%73",
    "/orders/",
    "/orders/.",
    "/orders%2f42",
    "/orders/..%2e",
    "/open/%c0%ae%c0%ae/orders",
    "/orders?/open",
    "/open/%2",
    "/open/%zz/../orders",
];

#[tokio::test]
async fn orders_needs_a_certificate_in_any_spelling_over_http_1() {
    let demo = Demo::start();
    for spelling in SPELLINGS {
        for target in [(*spelling).to_owned(), format!("https://localhost{spelling}")] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answer = demo.send_raw(None, request.as_bytes()).await;
            judge(&target, &answer);
        }
    }
    for raw in ["/open/\0../orders", "/open/\t../orders", "/open/\u{ff0e}\u{ff0e}/orders", "/ORDERS\r\nX: y"]
    {
        let request = format!("GET {raw} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        judge(raw, &demo.send_raw(None, request.as_bytes()).await);
    }
}

/// Refused by the path rules or by the route, or `/open` itself.
fn judge(target: &str, answer: &str) {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(["400", "403", "404", "200"].contains(&status), "{target}: {answer}");
    if status == "200" {
        assert!(
            answer.contains("upstream 2") && !answer.contains("\"path\": \"/orders"),
            "{target}: {answer}"
        );
    }
}

#[tokio::test]
async fn orders_needs_a_certificate_in_any_spelling_over_http_2() {
    let demo = Demo::start();
    let stream = demo.connect(None, b"h2").await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for spelling in SPELLINGS {
        let Ok(uri) = format!("https://localhost{spelling}").parse::<http::Uri>() else {
            continue;
        };
        let request = http::Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        judge(spelling, &format!("HTTP/2 {} {}", status.as_u16(), String::from_utf8_lossy(&body)));
    }
    drop(client);
    let _ = connection.await;
}

#[tokio::test]
async fn upstream_sees_the_normalized_path() {
    let demo = Demo::start();
    for (target, seen) in
        [("/%6frders/a%2Db%7e", "/orders/a-b~"), ("/orders/x%c3%bc?q=%2e%2e/", "/orders/x%C3%BC?q=%2e%2e/")]
    {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = demo.send_raw(Some("client"), request.as_bytes()).await;
        assert!(answer.contains(&format!("\"path\": \"{seen}\"")), "{target}: {answer}");
    }
}

#[tokio::test]
async fn connect_and_malformed_requests_are_refused() {
    let demo = Demo::start();
    for (request, status) in [
        ("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\nConnection: close\r\n\r\n", "405"),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "400"),
        ("GET /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        ("GET /open\r\n\r\n", "400"),
        ("GET /open HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        ("GET /open HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", "400"),
        ("\0\0\0\0\r\n\r\n", "400"),
    ] {
        let answer = demo.send_raw(Some("client"), request.as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn oversized_head_gets_431_and_affects_no_other_caller() {
    let demo = Demo::start();
    for (bytes, status) in [(8_000, "200"), (40_000, "431")] {
        let large = "a".repeat(bytes);
        let request =
            format!("GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {large}\r\n\r\n");
        let answer = demo.send_raw(None, request.as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{bytes}: {answer}");
    }
}

/// Upstreams that merge empty segments must not see the path of another route.
#[tokio::test]
async fn empty_segments_never_match_the_path_of_another_route() {
    let demo = Demo::start();
    let config = demo.toml();
    let upstream = config.split("https://localhost:").nth(1).unwrap().split(['/', '"']).next().unwrap();
    let (before, _) = config.split_once("[[routes]]").unwrap();
    let route = |head: &str| {
        format!("[[routes]]\n{head}\nupstream = \"https://localhost:{upstream}\"\nidentity = \"orders\"\n")
    };
    let guarded = "[routes.client_certificate]\ntrust = \"partners\"\n";
    let routes = [
        route("path = \"/\"\nallow_empty_segments = true"),
        route("path = \"/orders\"") + guarded,
        route("path = \"/files\"\nallow_empty_segments = true"),
        route("path = \"/files/secret\"") + guarded,
        route("path = \"/strict\""),
    ];
    let file = demo.dir().join("empty.toml");
    std::fs::write(&file, format!("{before}{}", routes.concat())).unwrap();
    let (running, port) = Running::start(&file);
    let demo = demo.on_port(port);
    for (path, answer) in [
        ("//a", Ok("//a")),
        ("/a//b//", Ok("/a//b//")),
        ("/a/;x/b", Ok("/a/;x/b")),
        ("/files//x", Ok("//x")),
        ("/files/x//secret", Ok("/x//secret")),
        ("//orders", Err("400")),
        ("///orders//42", Err("400")),
        ("/;x/orders", Err("400")),
        ("//%6frders", Err("400")),
        ("//orders;v=1", Err("400")),
        ("/orders//42", Err("400")),
        ("//files/x", Err("400")),
        ("/files//secret", Err("400")),
        ("/files/;x/secret/42", Err("400")),
        ("/strict//x", Err("400")),
        ("//strict", Err("400")),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let found = demo.send_raw(None, request.as_bytes()).await;
        match answer {
            Ok(seen) => assert!(found.contains(&format!("\"path\": \"{seen}\"")), "{path}: {found}"),
            Err(status) => assert_eq!(found.split(' ').nth(1), Some(status), "{path}: {found}"),
        }
    }
    drop(running);
}

/// A guarded host and a guarded path beside an open route to the same upstream: no request that a second parser could
/// read as either reaches the open one.
#[tokio::test]
async fn guarded_route_is_not_bypassed_by_any_spelling_of_host_or_path() {
    let demo = Demo::start();
    let config = demo.toml();
    let upstream = config.split("https://localhost:").nth(1).unwrap().split(['/', '"']).next().unwrap();
    let (before, _) = config.split_once("[[routes]]").unwrap();
    let route = |head: &str| {
        format!("[[routes]]\n{head}\nupstream = \"https://localhost:{upstream}\"\nidentity = \"orders\"\n")
    };
    let guarded = "[routes.client_certificate]\ntrust = \"partners\"\n";
    let routes = [
        route("path = \"/\"\npreserve_host = true"),
        route("path = \"/orders\"") + guarded,
        route("path = \"/\"\nhost = \"api.example.com\"") + guarded,
    ];
    let file = demo.dir().join("around.toml");
    std::fs::write(&file, format!("{before}{}", routes.concat())).unwrap();
    let (running, port) = Running::start(&file);
    let demo = demo.on_port(port);
    for (host, path, status) in [
        ("localhost", "/open", "200"),
        ("localhost", "/orders", "403"),
        ("localhost", "/open;x=y", "200"),
        ("localhost", "/orders;x", "400"),
        ("localhost", "/orders;x/42", "400"),
        ("localhost", "/orders%3bx/42", "400"),
        ("localhost", "/;x/orders", "400"),
        ("localhost", "/%c0%afopen", "400"),
        ("localhost", "/%e0%80%afopen", "400"),
        ("localhost", "/%c3%a4", "200"),
        ("api.example.com", "/open", "403"),
        ("API.example.com.:443", "/open", "403"),
        ("x@api.example.com", "/open", "400"),
        ("api.example.com:80:80", "/open", "400"),
        ("api.example.com/x", "/open", "400"),
        ("api.example.com ,b", "/open", "400"),
        ("api.example.com..", "/open", "400"),
        ("api.example.com:http", "/open", "400"),
        ("[::1]x", "/open", "400"),
        ("", "/open", "400"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = demo.send_raw(None, request.as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{host} {path}: {answer}");
    }
    let coded = "POST /open HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n";
    let answer = demo.send_raw(None, coded.as_bytes()).await;
    assert_eq!(answer.split(' ').nth(1), Some("501"), "{answer}");
    let long = format!(
        "GET https://elsewhere.example/open/{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "a".repeat(20_000)
    );
    let answer = demo.send_raw(None, long.as_bytes()).await;
    assert_eq!(answer.split(' ').nth(1), Some("414"), "{answer:.200}");
    drop(running);
}
