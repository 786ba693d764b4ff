//! Shares of the open files: callers are served while the management listener is full.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, process::Command, sync::Arc};

use support::{Demo, Running, get, raise_open_files, slow_upstream::SlowUpstream, soon, until, whole};
use tokio::{net::TcpStream, task::JoinSet};

#[tokio::test]
async fn callers_and_their_upstream_connections_are_served_beside_250_management_connections() {
    raise_open_files();
    let upstream = SlowUpstream::start().await;
    let demo = Demo::start();
    let config = demo.dir().join("files.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
         [[routes]]\npath = \"/\"\nupstream = \"http://{}\"\n",
        upstream.address
    );
    fs::write(&config, text).unwrap();
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -n 512; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gateway")]);
    let (running, port) = Running::start_by(limited, &config, "info");
    let (demo, management) = (demo.on_port(port), running.management_port());

    let demo = Arc::new(demo);
    let mut pinned = JoinSet::new();
    for _ in 0..250 {
        let socket = TcpStream::connect(("127.0.0.1", management)).await.unwrap();
        let demo = demo.clone();
        // One more than it serves closes another one, or waits.
        pinned.spawn(async move { demo.handshake(socket, None, b"http/1.1").await });
    }
    let mut asking = JoinSet::new();
    for _ in 0..190 {
        let demo = demo.clone();
        asking.spawn(async move {
            let mut sender = demo.http1(None).await;
            whole(sender.send_request(get("/")).await.unwrap()).await.0
        });
    }
    until("150 requests to have an upstream connection each", || upstream.requests() >= 150).await;
    upstream.release();
    let mut served = 0;
    while let Some(answered) = soon(asking.join_next()).await {
        served += usize::from(answered.is_ok_and(|status| status == 200));
    }
    assert!(served >= 150, "{served} of 190 callers");
    assert_eq!(running.count(0, "cannot accept connections"), 0);
    drop(pinned);
}
