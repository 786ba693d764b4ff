//! A changed upstream trust ends the connections and tunnels of the old one.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{effective::seen, world::World};
use crate::support::{
    replace, soon,
    upstream::{Connection, Upstream},
};

/// Counts open connections.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Responds to requests, and switches to any protocol.
async fn serve(mut stream: Connection, _open: Open) {
    let mut read = Vec::new();
    loop {
        let mut bytes = [0; 4_096];
        match stream.read(&mut bytes).await {
            Ok(count) if count > 0 => read.extend_from_slice(&bytes[..count]),
            _ => return,
        }
        if !read.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8_lossy(&read).to_lowercase();
        let answer: &[u8] = match head.contains("upgrade: chatter") {
            true => b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chatter\r\n\r\n",
            false => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        };
        stream.write_all(answer).await.unwrap();
        read.clear();
    }
}

/// A gateway, its upstream, and the upstream's number of connections.
async fn start() -> (World, Upstream, Arc<AtomicUsize>) {
    let world = World::start("");
    let open = Arc::new(AtomicUsize::new(0));
    let counted = open.clone();
    let upstream = Upstream::start(&world.demo.dir(), &["http/1.1"], move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        serve(stream, Open(counted.clone()))
    })
    .await;
    let (pfx, password) = world.pfx("orders");
    assert_eq!(world.put("orders", &pfx, &password, &[]).await.status, 201);
    (world, upstream, open)
}

/// Leaves an idle connection and a tunnel to the upstream of this path.
async fn connect(world: &World, path: &str, open: &AtomicUsize) -> TlsStream<TcpStream> {
    let mut tunnel = world.demo.connect(None, b"http/1.1").await;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: chatter\r\n\r\n");
    tunnel.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(tunnel.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    assert_eq!(seen(&mut world.demo.http1(None).await, path).await.0, 200);
    assert_eq!(open.load(Ordering::SeqCst), 2, "a tunnel and an idle connection");
    tunnel
}

/// Long before either would time out.
async fn closed(open: &AtomicUsize, mut tunnel: TlsStream<TcpStream>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while open.load(Ordering::SeqCst) > 0 {
        assert!(Instant::now() < deadline, "{} connections are open", open.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _ = soon(tunnel.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn trust_changed_in_a_file_retires_idle_connections_and_tunnels() {
    let (world, upstream, open) = start().await;
    let port = upstream.address.port();
    let text = fs::read_to_string(&world.config).unwrap();
    let from = world.running.lines();
    let route = format!(
        "[[routes]]\npath = \"/file\"\nupstream = \"https://localhost:{port}\"\nidentity = {{ id = \"orders\" }}\n"
    );
    let own = "upstream_tls = { ca = [\"own-ca.pem\"] }\nlimits.body_timeout = \"off\"\n";
    let limits = "[limits]\nidle_timeout = \"10m\"\ndrain_timeout = \"200ms\"\n";
    fs::copy(world.demo.dir().join("backend-ca.pem"), world.demo.dir().join("own-ca.pem")).unwrap();
    let of_its_own = format!("{}{own}", route.replace("/file", "/own"));
    replace(&world.config, [&*text, limits, &route, &of_its_own].concat());
    world.running.logged(from, "INFO gateway::server::follow: reloaded");
    for (path, ca) in [("/file", "backend-ca.pem"), ("/own", "own-ca.pem")] {
        let tunnel = connect(&world, path, &open).await;
        let from = world.running.lines();
        let more = [world.file(ca), world.file("partners-ca.pem")].concat();
        replace(&world.demo.dir().join(ca), more);
        world.running.logged(from, "INFO gateway::server::follow: reloaded");
        closed(&open, tunnel).await;
    }
    // A pin, as another part of the trust.
    let tunnel = connect(&world, "/own", &open).await;
    let from = world.running.lines();
    let pinned =
        of_its_own.replace("own-ca.pem\"]", &format!("own-ca.pem\"], pin = [\"sha256:{}\"]", "0".repeat(64)));
    replace(&world.config, [&*text, limits, &route, &pinned].concat());
    world.running.logged(from, "INFO gateway::server::follow: reloaded");
    closed(&open, tunnel).await;
    assert_eq!(seen(&mut world.demo.http1(None).await, "/own").await.0, 502);
}

#[tokio::test]
async fn trust_changed_through_rest_retires_idle_connections_and_tunnels_of_that_upstream_only() {
    let (world, upstream, open) = start().await;
    let text = fs::read_to_string(&world.config).unwrap();
    let from = world.running.lines();
    replace(&world.config, text + "[limits]\nidle_timeout = \"10m\"\ndrain_timeout = \"200ms\"\n");
    world.running.logged(from, "INFO gateway::server::follow: reloaded");
    let properties = json!({
        "url": format!("https://localhost:{}", upstream.address.port()), "protocol": "http",
        "credentials": { "certificateIds": ["orders"] },
        "tls": { "validateCertificateName": false },
    });
    for name in ["one", "two"] {
        assert_eq!(world.set(&format!("/backends/{name}"), properties.clone(), "").await.status, 201);
        world.make_api(name, name).await;
        let policy = format!("<set-backend-service backend-id=\"{name}\" />");
        assert_eq!(world.set_policy(name, &policy).await.status, 201);
    }
    // Back to the old trust.
    for (part, value) in [("Name", true), ("Chain", false), ("Chain", true)] {
        let tunnel = connect(&world, "/one", &open).await;
        let key = format!("validateCertificate{part}");
        let patch = json!({ "properties": { "tls": { key: value } } }).to_string();
        let patched = world.ask(Method::PATCH, "/backends/one", &[("if-match", "*")], &patch).await;
        assert_eq!(patched.status, 200, "{patched:?}");
        closed(&open, tunnel).await;
    }
    let _tunnel = connect(&world, "/two", &open).await;
    let patch = json!({ "properties": { "tls": { "validateCertificateName": false } } }).to_string();
    let tunnels_of_one = {
        open.fetch_sub(2, Ordering::SeqCst);
        let tunnel = connect(&world, "/one", &open).await;
        open.fetch_add(2, Ordering::SeqCst);
        tunnel
    };
    let patched = world.ask(Method::PATCH, "/backends/one", &[("if-match", "*")], &patch).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while open.load(Ordering::SeqCst) > 2 {
        assert!(Instant::now() < deadline, "connections of the changed upstream are open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(tunnels_of_one);
    assert_eq!(open.load(Ordering::SeqCst), 2, "connections of the other upstream continue");
}
