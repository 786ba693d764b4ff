//! Callers that stall affect only their own connection.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Demo, Running};

#[tokio::test]
async fn garbage_in_place_of_tls_ends_that_connection_only() {
    let demo = Demo::start();
    for garbage in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0xff; 4_096], &[0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0]] {
        let mut stream = TcpStream::connect(("127.0.0.1", demo.port)).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let answer =
        demo.send_raw(None, b"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[cfg(unix)]
#[tokio::test]
async fn second_signal_ends_requests_that_the_first_lets_finish() {
    let demo = Demo::start();
    // The demo was started with port 0, so this gateway takes a free port as well and logs it.
    let config = demo.dir().join("alone.toml");
    fs::write(&config, demo.toml()).unwrap();
    let (mut running, port) = Running::start(&config);
    let demo = demo.on_port(port);
    let mut stalled = demo.connect(None, b"http/1.1").await;
    stalled.write_all(b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    // Time for the head to arrive; the body never does.
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.terminate();
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(running.exited(), None, "the first signal waits for the request");
    let asked = Instant::now();
    let status = loop {
        running.terminate();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(status) = running.exited() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(20), "ended by the drain timeout");
}
