//! A gateway with a route under test, its callers, and one whose requests must never fail.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{Empty, Full};
use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use tokio::{sync::watch, task::JoinHandle};

use super::upstream::Upstream;
use crate::support::{
    Folder, Running,
    callers::{Caller, Connection, Http},
    get,
    pki::{Authority, Issued, Leaf},
    replace, whole,
};

const TOKEN: &str = "token-of-the-management-api";
const SERVICE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/group/providers/Microsoft.ApiManagement/service/gateway";

const CONFIG: &str = r#"
[listener]
address = "127.0.0.1:0"
certificate = "server.pem"
private_key = "server.key"
[management]
address = "127.0.0.1:0"
token_file = "management.token"
[store]
path = "store"
[limits]
min_data_rate = 0
[trust.partners]
ca = ["partners.pem"]
[trust.steady]
ca = ["steady.pem"]
[identities.orders]
certificate = "orders.pem"
private_key = "orders.key"
[upstream_tls]
ca = ["upstream-ca.pem"]
[[routes]]
path = "/steady"
upstream = "UPSTREAM"
client_certificate = { trust = "steady" }
"#;

pub(super) struct World {
    folder: Folder,
    servers: Authority,
    pub(super) partners: Authority,
    pub(super) identities: Authority,
    steady: Issued,
    pub(super) upstream: Upstream,
    pub(super) running: Running,
    pub(super) port: u16,
    text: String,
}

impl World {
    /// `routes` is TOML. UPSTREAM is replaced by the upstream's URL.
    pub(super) async fn start(routes: &str) -> Self {
        Self::start_with(routes, &[]).await
    }

    /// The same with further files.
    pub(super) async fn start_with(routes: &str, files: &[(&str, &[u8])]) -> Self {
        let folder = Folder::new();
        let (servers, partners) = (Authority::root("Server CA"), Authority::root("Partner CA"));
        let (identities, steady) = (Authority::root("Identity CA"), Authority::root("Steady CA"));
        let server = servers.issue(&Leaf::server());
        let upstream = Upstream::start(&server, &identities).await;
        let url = format!("https://localhost:{}", upstream.address.port());
        let text = format!("{CONFIG}{routes}").replace("UPSTREAM", &url);
        let steady_caller = steady.issue(&Leaf::client("steady"));
        for (name, contents) in [
            ("server.pem", server.chain_pem()),
            ("server.key", server.key_pem()),
            ("partners.pem", partners.pem().to_owned()),
            ("steady.pem", steady.pem().to_owned()),
            ("upstream-ca.pem", servers.pem().to_owned()),
            ("route-ca.pem", servers.pem().to_owned()),
            ("management.token", TOKEN.to_owned()),
            ("gateway.toml", text.clone()),
        ] {
            fs::write(folder.path().join(name), contents).unwrap();
        }
        for (name, contents) in files {
            fs::write(folder.path().join(name), contents).unwrap();
        }
        write_identity(&folder.path().join("orders"), &identities.issue(&Leaf::client("orders")));
        let (running, port) = Running::start(&folder.path().join("gateway.toml"));
        Self { folder, servers, partners, identities, steady: steady_caller, upstream, running, port, text }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces all occurrences of `from` in the configuration, and waits until it is effective.
    pub(super) fn change(&self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from}");
        self.reload(|| replace(&self.file("gateway.toml"), self.text.replace(from, to)));
    }

    /// Changes files, and waits until they are effective.
    pub(super) fn reload(&self, change: impl FnOnce()) {
        let from = self.running.lines();
        change();
        self.running.hang_up();
        self.running.logged(from, "INFO gateway::server::follow: reloaded");
    }

    /// Replaces the files of the identity `orders`.
    pub(super) fn replace_identity(&self, identity: &Issued) {
        self.reload(|| write_identity(&self.file("orders"), identity));
    }

    pub(super) fn partner(&self) -> Issued {
        self.partners.issue(&Leaf::client("partner"))
    }

    pub(super) fn caller(
        &self,
        certificate: &Issued,
        tls: &'static SupportedProtocolVersion,
        http: Http,
    ) -> Caller {
        Caller::new(&self.servers, Some(certificate), tls, http)
    }

    /// Sends a request to the management API; returns the status.
    pub(super) async fn manage(&self, method: Method, path: &str, body: String) -> u16 {
        let anonymous = Caller::new(&self.servers, None, &TLS13, Http::One);
        let mut connection = anonymous.connect(self.running.management_port()).await;
        let request = Request::builder()
            .method(method)
            .uri(format!("{SERVICE}{path}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json");
        let request = match body.is_empty() {
            true => request.header("if-match", "*"),
            false => request,
        };
        connection.send(request.body(Full::<Bytes>::from(body)).unwrap()).await.status().as_u16()
    }

    /// Adds a certificate of callers to the store.
    pub(super) async fn add_to_store(&self, id: &str, certificate: &Issued) {
        let data = STANDARD.encode(&certificate.der);
        let body = serde_json::json!({ "properties": { "data": data, "password": "" } }).to_string();
        assert_eq!(self.manage(Method::PUT, &format!("/certificates/{id}"), body).await, 201);
    }

    /// A metric of the management listener.
    pub(super) async fn metric(&self, series: &str) -> Option<f64> {
        let anonymous = Caller::new(&self.servers, None, &TLS13, Http::One);
        let mut connection = anonymous.connect(self.running.management_port()).await;
        let request = Request::get("/metrics")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"));
        let response = connection.send(request.body(Empty::new()).unwrap()).await;
        crate::support::value(&whole(response).await.2, series)
    }

    /// Sends requests that must all succeed, over HTTP/1.1 and HTTP/2, until the result is stopped.
    pub(super) async fn begin_steady_requests(&self) -> SteadyRequests {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        for http in [Http::One, Http::Two] {
            let mut connection = self.caller(&self.steady, &TLS13, http).connect(self.port).await;
            let stopped = stopped.clone();
            tasks.push(tokio::spawn(async move {
                let mut count = 0;
                while !*stopped.borrow() {
                    assert_eq!(whole(connection.send(get("/steady")).await).await.0, 200, "{http:?}");
                    count += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                count
            }));
        }
        SteadyRequests { stop, tasks }
    }
}

fn write_identity(file: &std::path::Path, identity: &Issued) {
    replace(&file.with_extension("key"), identity.key_pem());
    replace(&file.with_extension("pem"), identity.chain_pem());
}

/// Requests of another route, which succeed throughout.
pub(super) struct SteadyRequests {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<usize>>,
}

impl SteadyRequests {
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            assert!(task.await.unwrap() > 0);
        }
    }
}

/// The connection on which the request after a change arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Open(Http),
    /// A new connection that resumes a session.
    Resumed(&'static SupportedProtocolVersion),
}

impl Transport {
    const ALL: [Self; 5] = [
        Self::Open(Http::One),
        Self::Open(Http::Two),
        Self::Open(Http::Grpc),
        Self::Resumed(&TLS12),
        Self::Resumed(&TLS13),
    ];
}

/// A response, with the gRPC status in place of the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) http: u16,
    pub(super) grpc: &'static str,
}

/// A caller with a connection or session on each transport.
pub(super) struct Callers {
    callers: Vec<(Transport, Caller, Option<Connection>)>,
    port: u16,
}

impl Callers {
    /// Sends a first request on each transport; it succeeds under this identity.
    pub(super) async fn start(world: &World, certificate: &Issued, path: &str, identity: &str) -> Self {
        let mut callers = Vec::new();
        for transport in Transport::ALL {
            let (http, tls) = match transport {
                Transport::Open(http) => (http, &TLS13),
                Transport::Resumed(tls) => (Http::One, tls),
            };
            let caller = world.caller(certificate, tls, http);
            let mut connection = caller.connect(world.port).await;
            assert!(!connection.is_resumed);
            check(&mut connection, path, SUCCESS, identity, &format!("{transport:?} before")).await;
            let is_open = matches!(transport, Transport::Open(_));
            callers.push((transport, caller, is_open.then_some(connection)));
        }
        Self { callers, port: world.port }
    }

    /// Sends the next request on each transport. `identity` is that of a success.
    pub(super) async fn assert_next(self, path: &str, expected: Status, identity: &str) {
        for (transport, caller, connection) in self.callers {
            let mut connection = match connection {
                Some(connection) => connection,
                None => {
                    let connection = caller.connect(self.port).await;
                    assert!(connection.is_resumed, "{transport:?}");
                    connection
                }
            };
            check(&mut connection, path, expected, identity, &format!("{transport:?}")).await;
        }
    }
}

pub(super) const SUCCESS: Status = Status { http: 200, grpc: "" };

async fn check(connection: &mut Connection, path: &str, expected: Status, identity: &str, case: &str) {
    let mut request = get(path);
    if connection.http == Http::Grpc {
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    }
    let (status, headers, body) = whole(connection.send(request).await).await;
    let grpc = headers.get("grpc-status").map_or("", |value| value.to_str().unwrap());
    match connection.http {
        Http::Grpc => assert_eq!((status, grpc), (200, expected.grpc), "{case}: {body} {headers:?}"),
        _ => assert_eq!(status, expected.http, "{case}: {body}"),
    }
    if expected == SUCCESS {
        assert_eq!(headers["identity"], identity, "{case}");
    }
}
