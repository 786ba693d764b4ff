//! Message framing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::upstreams::{HTTP1, HTTP2, World, by_size, read_head};
use crate::support::{get, soon, whole};

#[tokio::test]
async fn responses_with_two_lengths_get_502_and_end_their_connection() {
    let twice = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n folded\r\n\r\nhello",
    ];
    let world = World::saying(twice.to_vec(), false).await;
    let mut sender = world.demo.http1(Some("client")).await;
    for (number, answer) in twice.iter().enumerate() {
        for _ in 0..2 {
            let path = format!("/{number}");
            let (status, headers, body) = whole(sender.send_request(get(&path)).await.unwrap()).await;
            assert_eq!(status, 502, "{answer}");
            assert_eq!(headers["content-type"], "application/problem+json", "{answer}: {body}");
            sender.ready().await.unwrap();
        }
        assert_eq!(world.upstream.connections(), 2 * (number + 1), "{answer}");
    }
}

#[tokio::test]
async fn responses_with_a_head_of_more_than_64_kib_get_502() {
    let world = World::raw(HTTP1, async |mut stream| {
        while let Some(head) = read_head(&mut stream).await {
            let size: usize = head.split(' ').nth(1).unwrap().trim_start_matches('/').parse().unwrap();
            let field = "x".repeat(size);
            let answer = format!("HTTP/1.1 200 OK\r\nX-Large: {field}\r\nContent-Length: 0\r\n\r\n");
            // The gateway closes the connection in the middle of an oversized head.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
        }
    })
    .await;
    let mut sender = world.demo.http1(Some("client")).await;
    for (size, expected) in [(63 * 1_024, 200), (65 * 1_024, 502)] {
        let (status, headers, _) = whole(sender.send_request(get(&format!("/{size}"))).await.unwrap()).await;
        assert_eq!((status, headers.contains_key("x-large")), (expected, expected == 200), "{size}");
    }
}

#[tokio::test]
async fn responses_without_a_body_keep_their_fields_and_the_connection() {
    let cases = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200, Some("1000")),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", 304, None),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, Some("0")),
        ("OPTIONS", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, Some("0")),
    ];
    let world = World::saying(cases.iter().map(|case| case.1).collect(), false).await;
    let (mut http1, mut http2) =
        (world.demo.http1(Some("client")).await, world.demo.http2(Some("client")).await);
    for (number, (method, answer, status, length)) in cases.into_iter().enumerate() {
        for _ in 0..3 {
            let request = || {
                let mut request = get(&format!("/{number}"));
                *request.method_mut() = method.parse().unwrap();
                request
            };
            let answers =
                [http1.send_request(request()).await.unwrap(), http2.send_request(request()).await.unwrap()];
            for response in answers {
                let (seen, headers, body) = soon(whole(response)).await;
                assert_eq!((seen, body.as_str()), (status, ""), "{method} {answer}");
                let seen = headers.get("content-length").map(|length| length.to_str().unwrap());
                assert_eq!(seen, length, "{method} {answer}");
            }
            http1.ready().await.unwrap();
        }
    }
    // The callers' requests run on several threads: the next one can begin before the connection is free.
    assert!(world.upstream.connections() <= 2, "{}", world.upstream.connections());
}

#[tokio::test]
async fn interim_responses_of_the_upstream_are_not_the_final_response() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    let world = World::saying(vec![answer], false).await;
    let (mut http1, mut http2) =
        (world.demo.http1(Some("client")).await, world.demo.http2(Some("client")).await);
    for _ in 0..3 {
        let answers =
            [http1.send_request(get("/0")).await.unwrap(), http2.send_request(get("/0")).await.unwrap()];
        for response in answers {
            let (status, headers, body) = whole(response).await;
            assert_eq!((status, body.as_str(), headers.get("link")), (200, "done", None));
        }
        http1.ready().await.unwrap();
    }
}

/// An upstream that echoes request heads with the data that arrives with them.
async fn echoing() -> World {
    World::raw(HTTP1, async |mut stream| {
        while let Some(head) = read_head(&mut stream).await {
            let mut body = String::new();
            if head.contains("transfer-encoding: chunked") {
                while !body.ends_with("0\r\n\r\n") {
                    body.push(stream.read_u8().await.unwrap().into());
                }
            }
            let text = head + &body;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn requests_keep_their_framing() {
    let world = echoing().await;
    let ask = async |line: &str, rest: &str| {
        world.ask(&format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{rest}")).await
    };
    let answer = ask("POST /", "Content-Length: 0\r\n\r\n").await;
    assert!(
        answer.contains("\r\ncontent-length: 0\r\n") && !answer.contains("transfer-encoding"),
        "{answer}"
    );
    for method in ["PUT", "POST", "PATCH", "DELETE", "GET", "OPTIONS", "QUERY"] {
        let chunks = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
        let answer = ask(&format!("{method} /"), chunks).await;
        let echoed = answer.split("\r\n\r\n").skip(1).collect::<Vec<_>>().join("\r\n\r\n");
        assert_eq!(echoed.matches("transfer-encoding: chunked\r\n").count(), 1, "{method}: {echoed}");
        assert!(echoed.contains("hello") && echoed.contains(" world"), "{method}: {echoed}");
    }
    let answer = ask("GET /", "\r\n").await;
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    let (_, answer, _) = world.curl("--http2 -T - GATEWAY/ < <(echo hello)").await;
    assert!(answer.contains("transfer-encoding: chunked\r\n") && answer.contains("hello"), "{answer}");
}

#[tokio::test]
async fn callers_of_http_1_0_are_served_and_connect_is_refused() {
    for alpn in [HTTP1, HTTP2] {
        let world = World::answering(alpn, by_size).await;
        let answer = world.ask("GET /down/100000 HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") && !head.contains("transfer-encoding"), "{head}");
        assert_eq!(body.len(), 100_000);
        let answer = world.ask("POST / HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").await;
        assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with(" 5"), "{answer}");
    }
    let world = World::answering(HTTP1, by_size).await;
    let answer =
        world.ask("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("connect_refused"), "{answer}");
    let mut request = get("/");
    (*request.method_mut(), *request.uri_mut()) = (http::Method::CONNECT, "localhost:443".parse().unwrap());
    let response = world.demo.http2(Some("client")).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(world.upstream.connections(), 0);
}
