//! Time limits and concurrency limits of requests.

use std::{fs, net::SocketAddr};

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Demo, Running, get, metrics, slow_upstream::SlowUpstream, value, whole};

/// Starts every response and never ends it.
async fn endless() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4_096]).await;
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
                let _ = socket.read(&mut [0]).await;
            });
        }
    });
    address
}

fn start(routes: &str) -> (Running, Demo) {
    let demo = Demo::start();
    let config = demo.dir().join("limits.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n{routes}"
    );
    fs::write(&config, text).unwrap();
    let (running, port) = Running::start(&config);
    (running, demo.on_port(port))
}

#[tokio::test]
async fn slow_responses_get_504_or_are_cut_and_keep_their_connection() {
    let (silent, endless) = (SlowUpstream::start().await, endless().await);
    let (running, demo) = start(&format!(
        "[[routes]]\npath = \"/first\"\nupstream = \"http://{0}\"\nlimits.first_byte_timeout = \"100ms\"\n\
         [[routes]]\npath = \"/whole\"\nupstream = \"http://{0}\"\nlimits.request_timeout = \"100ms\"\n\
         [[routes]]\npath = \"/endless\"\nupstream = \"http://{endless}\"\nlimits.request_timeout = \"300ms\"\n",
        silent.address
    ));
    let (mut one, mut two) = (demo.http1(None).await, demo.http2(None).await);
    for (path, code) in [("/first", "first_byte_timeout"), ("/whole", "request_timeout")] {
        for response in [one.send_request(get(path)).await, two.send_request(get(path)).await] {
            let (status, _, body) = whole(response.unwrap()).await;
            assert_eq!(status, 504, "{path}");
            assert!(body.contains(&format!("\"code\":\"{code}\"")), "{path}: {body}");
        }
        one.ready().await.unwrap();
    }
    let mut cut = two.send_request(get("/endless")).await.unwrap();
    assert_eq!(cut.status(), 200);
    assert_eq!(cut.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    assert!(cut.frame().await.unwrap().is_err(), "the stream is reset");
    assert_eq!(
        whole(two.send_request(get("/first")).await.unwrap()).await.0,
        504,
        "the connection continues"
    );
    let cut = one.send_request(get("/endless")).await.unwrap();
    assert!(cut.into_body().collect().await.is_err(), "over HTTP/1.1 the connection is cut");

    let text = metrics(&demo, running.management_port()).await;
    let series = format!(
        "gateway_errors_total{{route=\"/first\",identity=\"\",upstream=\"{}\",code=\"first_byte_timeout\"}}",
        silent.address
    );
    assert_eq!(value(&text, &series), Some(3.0), "{text}");
}

#[tokio::test]
async fn caller_that_stops_sending_its_body_gets_408() {
    let silent = SlowUpstream::start().await;
    let (_running, demo) = start(&format!(
        "[[routes]]\npath = \"/\"\nupstream = \"http://{}\"\nlimits.body_timeout = \"200ms\"\n",
        silent.address
    ));
    let request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx";
    let answer = demo.send_raw(None, request).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"body_timeout\""), "{answer}");
}

#[tokio::test]
async fn request_beyond_the_limit_of_its_route_gets_503_and_others_are_answered() {
    let upstream = SlowUpstream::start().await;
    let (running, demo) = start(&format!(
        "[[routes]]\npath = \"/two\"\nupstream = \"http://{0}\"\nlimits.max_requests = 2\n\
         [[routes]]\npath = \"/any\"\nupstream = \"http://{0}\"\n",
        upstream.address
    ));
    let asking = demo.http2(None).await;
    let ask = |path: &'static str| {
        let mut asking = asking.clone();
        tokio::spawn(async move { whole(asking.send_request(get(path)).await.unwrap()).await })
    };
    let waiting = [ask("/two"), ask("/two"), ask("/any")];
    upstream.asked(3).await;
    let refused = || async {
        let (status, _, body) = ask("/two").await.unwrap();
        assert_eq!(status, 503);
        assert!(body.contains("\"code\":\"too_many_requests_in_flight\""), "{body}");
    };
    refused().await;
    // A new configuration keeps counting.
    running.hang_up();
    running.logged(0, "INFO gateway::server::follow: reloaded");
    refused().await;
    upstream.release();
    for answered in waiting {
        assert_eq!(answered.await.unwrap().0, 200);
    }
    // The permit is free once the response has been sent, which its caller can notice earlier.
    while ask("/two").await.unwrap().0 != 200 {}
}
