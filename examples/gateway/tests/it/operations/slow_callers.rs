//! Callers that stall affect only their own connection.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Demo, Folder, Running};

#[tokio::test]
async fn silent_callers_delay_no_other_caller() {
    let demo = Demo::start();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(("127.0.0.1", demo.port)).await.unwrap());
    }
    let request = b"GET /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = demo.send_raw(Some("client"), request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // No handshake timed out meanwhile: the good caller did not wait for that.
    for stream in &silent {
        let mut byte = [0];
        let read = stream.try_read(&mut byte);
        assert!(read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
}

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

#[tokio::test]
async fn request_heads_and_idle_connections_time_out() {
    // The demo's files, served with short limits.
    let demo = Demo::start();
    let config = demo.toml();
    let folder = Folder::new();
    for entry in fs::read_dir(demo.dir()).unwrap() {
        let entry = entry.unwrap();
        // Only the demo itself can open its store.
        if entry.file_type().unwrap().is_dir() {
            continue;
        }
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    // The demo was started with port 0, so this gateway takes a free port as well and logs it.
    let limits =
        "[limits]\nhead_timeout = \"300ms\"\nidle_timeout = \"600ms\"\nhandshake_timeout = \"300ms\"\n";
    fs::write(folder.path().join("short.toml"), config + limits).unwrap();
    let (running, port) = Running::start(&folder.path().join("short.toml"));
    let demo = demo.on_port(port);

    // A handshake that never starts.
    let mut silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
    // A request head that never ends.
    let mut slow = demo.connect(None, b"http/1.1").await;
    slow.write_all(b"GET /open HTTP/1.1\r\nHost: local").await.unwrap();
    let _ = slow.read_to_end(&mut Vec::new()).await;
    // A connection without a request, in either version; HTTP/2 gets a GOAWAY before the end.
    for alpn in [&b"http/1.1"[..], b"h2"] {
        let mut idle = demo.connect(None, alpn).await;
        if alpn == b"h2" {
            idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        }
        let _ = idle.read_to_end(&mut Vec::new()).await;
    }
    drop(running);
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
