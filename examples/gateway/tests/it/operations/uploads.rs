//! Request bodies that their caller aborts, or that the upstream does not read.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::client::TlsStream;

use crate::{
    attacks::world::World,
    support::{
        Demo, Running, eventually, get, metrics,
        raw_http2::{self, DATA, RST_STREAM},
        soon, value, whole,
    },
};

/// Larger than all buffers between a caller and its upstream.
const LARGE: usize = 64 << 20;

const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// An upstream that accepts connections, and reads nothing.
struct Unread {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Unread {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = accepted.clone();
        tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                open.push(listener.accept().await.unwrap());
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, accepted }
    }
}

/// A gateway in front of this upstream, with a route that permits one request.
fn start(upstream: &Unread) -> (Running, Demo) {
    let demo = Demo::start();
    let config = demo.dir().join("unread.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
         [[routes]]\npath = \"/\"\nupstream = \"http://{}\"\n\
         limits = {{ stream_idle_timeout = \"1s\", first_byte_timeout = \"100ms\", max_requests = 1 }}\n",
        upstream.address
    );
    std::fs::write(&config, text).unwrap();
    let (running, port) = Running::start(&config);
    (running, demo.on_port(port))
}

fn upload() -> Request<Full<Bytes>> {
    let request = Request::post("https://localhost/upload").header("host", "localhost");
    request.body(Full::new(Bytes::from(vec![b'x'; LARGE]))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_that_its_upstream_does_not_read_gets_504() {
    let (running, demo) = start(&Unread::start().await);
    let stream = TokioIo::new(demo.connect(None, b"h2").await);
    let (mut http2, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (status, _, body) = whole(soon(http2.send_request(upload())).await.unwrap()).await;
    assert!(status == 504 && body.contains("\"code\":\"stream_idle_timeout\""), "{status} {body}");
    let stream = TokioIo::new(demo.connect(None, b"http/1.1").await);
    let (mut http1, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let (status, _, body) = whole(soon(http1.send_request(upload())).await.unwrap()).await;
    assert!(status == 504 && body.contains("\"code\":\"stream_idle_timeout\""), "{status} {body}");
    let line = running.logged(0, "exchange without bytes timed out (stream_idle_timeout)");
    assert!(line.contains("WARN") && line.contains("method=POST"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vanished_caller_of_an_upload_that_is_not_read_releases_its_permit() {
    for alpn in [&b"http/1.1"[..], b"h2"] {
        let upstream = Unread::start().await;
        let (_running, demo) = start(&upstream);
        let stream = TokioIo::new(demo.connect(None, alpn).await);
        let sending = if alpn == b"h2" {
            let (mut http2, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(async move {
                tokio::select! {
                    _ = connection => {}
                    _ = http2.send_request(upload()) => {}
                }
            })
        } else {
            let (mut http1, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(async move {
                tokio::select! {
                    _ = connection => {}
                    _ = http1.send_request(upload()) => {}
                }
            })
        };
        eventually("the upload to begin", || upstream.accepted.load(Ordering::SeqCst) > 0).await;
        sending.abort();
        let mut other = demo.http2(None).await;
        let released = async {
            loop {
                let response = whole(other.send_request(get("/")).await.unwrap()).await;
                if response.0 != 503 {
                    break response;
                }
            }
        };
        let (status, _, body) = soon(released).await;
        assert!(status == 504 && body.contains("\"code\":\"first_byte_timeout\""), "{status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_that_its_caller_aborts_is_counted_as_its_disconnect() {
    for alpn in ["http/1.1", "h2"] {
        let world = World::with_limits(&[alpn], "body_timeout = \"60s\"").await;
        let head = b"POST /open/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx";
        let request = raw_http2::request(1, "POST", "/open/upload", false);
        let data = raw_http2::frame(DATA, 0, 1, b"x");
        let begun = async |stream: &mut TlsStream<TcpStream>, count| {
            stream.flush().await.unwrap();
            eventually("the request to arrive", || world.asked.load(Ordering::SeqCst) >= count).await;
        };
        // Closes its connection.
        let mut closed = world.demo.connect(None, b"http/1.1").await;
        closed.write_all(head).await.unwrap();
        begun(&mut closed, 1).await;
        drop(closed);
        // Closes its sending side.
        let mut ended = world.demo.connect(None, b"http/1.1").await;
        ended.write_all(head).await.unwrap();
        begun(&mut ended, 2).await;
        ended.shutdown().await.unwrap();
        let _ = soon(ended.read_to_end(&mut Vec::new())).await;
        // Resets its stream.
        let mut reset = world.connect(world.demo.port, 65_535).await;
        reset.write_all(&[request, data].concat()).await.unwrap();
        begun(&mut reset, 3).await;
        reset.write_all(&raw_http2::frame(RST_STREAM, 0, 1, &CANCEL)).await.unwrap();
        reset.flush().await.unwrap();
        let disconnected = async {
            loop {
                let text = metrics(&world.demo, world.running.management_port()).await;
                let mut lines = text.lines().filter(|line| line.starts_with("gateway_requests_total"));
                if lines.any(|line| line.contains("status=\"none\"") && line.ends_with(" 3")) {
                    break text;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let text = soon(disconnected).await;
        for errors in ["gateway_errors_total", "tower_mtls_upstream_errors_total"] {
            assert!(!text.lines().any(|line| line.starts_with(errors)), "{alpn}: {text}");
        }
        assert_eq!(world.running.count(0, " WARN "), 0, "{alpn}: {}", world.running.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_body_gets_400_and_is_not_an_error_of_the_upstream() {
    for alpn in ["http/1.1", "h2"] {
        let world = World::with_limits(&[alpn], "body_timeout = \"60s\"").await;
        let head = "POST /open/upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        let response = world.demo.send_raw(None, format!("{head}1\r\nx\r\nno size\r\n").as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{alpn}: {response}");
        assert!(response.contains("\"code\":\"malformed_body\""), "{alpn}: {response}");
        let text = metrics(&world.demo, world.running.management_port()).await;
        assert!(!text.contains("tower_mtls_upstream_errors_total{"), "{alpn}: {text}");
        let open = value(&text, "gateway_caller_connections{listener=\"main\"}");
        assert_eq!(open, Some(0.0), "{alpn}: {text}");
    }
}
