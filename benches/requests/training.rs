//! Load for a gateway that records a profile: the requests, handshakes, bodies and rejections that an optimized build
//! should be fast at. Bounded by numbers of requests; the first response that is not the expected one ends it.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, HandshakeKind, client::Resumption};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{
    Protocol,
    peers::{self, BODY, BYTES, LARGE_BODY, PATH, RECEIVED, Sender, connect},
    proxy, tls,
};

/// Connections that are kept open.
const CONNECTIONS: usize = 8;

/// Concurrent requests on each of them in HTTP/2.
const STREAMS: usize = 4;

/// Rounds of requests over all connections and streams.
const ROUNDS: usize = 800;

/// Downloads and uploads over all connections and streams.
const TRANSFERS: usize = 64;

/// New connections with a full handshake, and as many with a resumed one.
const HANDSHAKES: usize = 1000;

/// A request and its expected response.
#[derive(Clone, Copy)]
struct Exchange {
    path: &'static str,
    /// Length of the request's body, in bytes.
    upload: usize,
    /// Length of the response's body, in bytes. None: the request is rejected.
    download: Option<usize>,
}

const fn get(path: &'static str) -> Exchange {
    Exchange { path, upload: 0, download: Some(BODY) }
}

const fn post(path: &'static str) -> Exchange {
    Exchange { path, upload: BODY, download: Some(BODY) }
}

/// By route: most requests use the features that every request uses.
const ROUND: [Exchange; 16] = [
    get(PATH),
    get(PATH),
    get(PATH),
    post(PATH),
    get(PATH),
    get("/limited/orders/42"),
    get(PATH),
    get("/http2/orders/42"),
    get(PATH),
    post("/http2/orders"),
    get(PATH),
    get("/document/orders/42"),
    get(PATH),
    post(PATH),
    get(PATH),
    Exchange { path: "/rejected/orders/42", upload: 0, download: None },
];

const TRANSFER: [Exchange; 2] = [
    Exchange { path: "/orders/large", upload: 0, download: Some(LARGE_BODY) },
    Exchange { path: PATH, upload: LARGE_BODY, download: Some(BODY) },
];

const POLICY: &str = r#"
<policies>
  <inbound>
    <choose>
      <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation())">
        <return-response><set-status code="403" reason="Invalid client certificate" /></return-response>
      </when>
    </choose>
    <set-header name="x-caller"><value>@(context.Request.Certificate.Subject)</value></set-header>
  </inbound>
  <backend><base /></backend>
</policies>
"#;

/// Runs the gateway with one worker, which has a runtime without queues between threads, and with two.
pub(crate) fn run(gateway: &Path) {
    let gateway = gateway.canonicalize().unwrap();
    let folder = proxy::folder("training");
    tls::write(&folder);
    fs::write(folder.join("policy.xml"), POLICY).unwrap();
    let runtime = proxy::runtime();
    let [http1, http2] = Protocol::ALL.map(|protocol| runtime.block_on(peers::upstream(&folder, protocol)));
    for workers in [1, 2] {
        let configuration = proxy::configuration(&folder, http1, workers) + &routes(http1, http2);
        fs::write(folder.join("gateway.toml"), configuration).unwrap();
        let (gateway, address) = Gateway::start(&gateway, &folder);
        for protocol in Protocol::ALL {
            let start = Instant::now();
            let requests = runtime.block_on(train(&folder, address, protocol));
            let (name, seconds) = (protocol.name(), start.elapsed().as_secs_f64());
            println!("{name}, workers = {workers}: {requests} requests in {seconds:.1} s");
        }
        gateway.stop();
    }
}

/// Returns the number of requests.
async fn train(folder: &Path, gateway: SocketAddr, protocol: Protocol) -> usize {
    let resumed = tls::client(folder, "caller", &[protocol.alpn()]);
    let mut full = ClientConfig::clone(&resumed);
    full.resumption = Resumption::disabled();
    let (full, resumed) = (TlsConnector::from(Arc::new(full)), TlsConnector::from(resumed));
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.extend(connect(&full, gateway, protocol).await.0.split(STREAMS));
    }
    let count = senders.len();
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        tasks.spawn(async move {
            for _ in 0..ROUNDS / count {
                exchange(&mut sender, &ROUND).await;
            }
            for _ in 0..TRANSFERS / count {
                exchange(&mut sender, &TRANSFER).await;
            }
        });
    }
    tasks.join_all().await;
    // The first connection receives the first tickets.
    let kinds = [(&full, HandshakeKind::Full, HANDSHAKES), (&resumed, HandshakeKind::Full, 1)];
    for (tls, kind, number) in kinds.into_iter().chain([(&resumed, HandshakeKind::Resumed, HANDSHAKES)]) {
        for _ in 0..number {
            let (mut sender, handshake) = connect(tls, gateway, protocol).await;
            assert_eq!(handshake, kind);
            exchange(&mut sender, &ROUND[..1]).await;
        }
    }
    ROUNDS * ROUND.len() + TRANSFERS * TRANSFER.len() + 2 * HANDSHAKES + 1
}

async fn exchange(sender: &mut Sender, exchanges: &[Exchange]) {
    for Exchange { path, upload, download } in exchanges {
        let response = sender.send(path, &BYTES[..*upload]).await;
        let status = if download.is_some() { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(response.status(), status, "{path}");
        let Some(download) = download else { continue };
        assert_eq!(response.body().len(), *download, "{path}");
        let received = response.headers().get(RECEIVED).map(|length| length.to_str().unwrap());
        assert_eq!(received.unwrap_or("0"), upload.to_string(), "{path}");
    }
}

/// Routes beside that of the counted requests: HTTP/2 to the upstream, limits, a policy document, and rules that reject
/// the caller.
fn routes(http1: SocketAddr, http2: SocketAddr) -> String {
    let route = |path: &str, upstream: SocketAddr, rules: &str| {
        let port = upstream.port();
        format!(
            r#"
[[routes]]
path = "{path}"
upstream = "https://localhost:{port}"
identity = "upstream"
upstream_tls = {{ ca = ["ca.pem"] }}
{rules}
"#
        )
    };
    let limits = r#"
client_certificate = { trust = "callers", common_name = ["caller"] }
limits = { request_timeout = "60s", max_requests = 1000, rate_limit = { requests = 1000000, per = "1s", by = "certificate" } }"#;
    [
        route("/http2", http2, r#"client_certificate = { trust = "callers" }"#),
        route("/limited", http1, limits),
        route("/document", http1, r#"client_certificate = { trust = "callers", policy = "policy.xml" }"#),
        route("/rejected", http1, r#"client_certificate = { trust = "callers", common_name = ["another"] }"#),
    ]
    .concat()
}

/// The process, which writes its profile when it ends without an error.
struct Gateway(Child);

impl Gateway {
    fn start(program: &Path, folder: &Path) -> (Self, SocketAddr) {
        let mut command = Command::new(program);
        command.args(["run", "--config", "gateway.toml"]).current_dir(folder).env_remove("RUST_LOG");
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = process.stderr.take().unwrap();
        (Self(process), proxy::address(log))
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let status = self.0.wait().unwrap();
        assert!(status.success(), "the gateway ended with {status}");
    }
}

impl Drop for Gateway {
    /// Ends the process of a load that has failed.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
