//! A gateway with a store, and a client of its management API.

use std::{fs, path::PathBuf, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::{Demo, Running, gateway, whole};

pub(crate) const SERVICE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/group/providers/Microsoft.ApiManagement/service/gateway";

/// `gateway run` with a store, in the demo's folder; `demo` uses its port.
pub(crate) struct World {
    /// The URL of the demo's first upstream.
    pub(crate) upstream: String,
    pub(crate) demo: Demo,
    pub(crate) running: Running,
    pub(crate) token: String,
    pub(crate) config: PathBuf,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn etag(&self) -> &str {
        self.headers["etag"].to_str().unwrap()
    }

    /// The error's message.
    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}

impl World {
    /// `routes` is TOML; UPSTREAM is replaced by the demo's first upstream.
    pub(crate) fn start(routes: &str) -> Self {
        Self::start_logging(routes, "info,gateway::server=debug")
    }

    pub(crate) fn start_logging(routes: &str, log: &str) -> Self {
        Self::start_with_management("token_file = \"management.token\"", routes, log)
    }

    /// `management` is TOML for the credentials of management clients.
    pub(crate) fn start_with_management(management: &str, routes: &str, log: &str) -> Self {
        Self::start_by(gateway(), management, routes, log)
    }

    /// The same with this command, which takes the gateway's arguments.
    pub(crate) fn start_by(command: Command, management: &str, routes: &str, log: &str) -> Self {
        let demo = Demo::start();
        let toml = fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
        let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
        let upstream = upstream.trim_end_matches("/orders").to_owned();
        let text = r#"
            [listener]
            address = "127.0.0.1:0"
            certificate = "server.pem"
            private_key = "server.key"
            [management]
            address = "127.0.0.1:0"
            MANAGEMENT
            [store]
            path = "kept"
            [apis]
            trust = "demo"
            [trust.demo]
            ca = ["partners-ca.pem"]
            revocation = "off"
            [upstream_tls]
            ca = ["backend-ca.pem"]
            [[routes]]
            path = "/open"
            upstream = "UPSTREAM"
            ROUTES
            "#;
        let text =
            text.replace("MANAGEMENT", management).replace("ROUTES", routes).replace("UPSTREAM", &upstream);
        let config = demo.dir().join("store.toml");
        fs::write(&config, text).unwrap();
        let (running, port) = Running::start_by(command, &config, log);
        let token = fs::read_to_string(demo.dir().join("management.token")).unwrap().trim().to_owned();
        Self { upstream, demo: demo.on_port(port), running, token, config }
    }

    /// A connection to the management listener.
    pub(crate) async fn connect(&self) -> http1::SendRequest<Full<Bytes>> {
        let socket =
            tokio::net::TcpStream::connect(("127.0.0.1", self.running.management_port())).await.unwrap();
        let stream = TokioIo::new(self.demo.handshake(socket, None, b"http/1.1").await.unwrap());
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends a management request; `path` is relative to the service.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{SERVICE}{path}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let mut request = request.body(Full::from(body.to_owned())).unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().remove(&name);
            if !value.is_empty() {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        request
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        ask_on(&mut self.connect().await, self.request(method, path, headers, body)).await
    }

    pub(crate) async fn put(
        &self,
        id: &str,
        data: &[u8],
        password: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.ask(Method::PUT, &format!("/certificates/{id}"), headers, &upload(data, password)).await
    }

    /// Creates or changes a resource.
    pub(crate) async fn set(&self, path: &str, properties: Value, tag: &str) -> Answer {
        let body = json!({ "properties": properties }).to_string();
        let sent: &[(&str, &str)] = if tag.is_empty() { &[] } else { &[("if-match", tag)] };
        self.ask(Method::PUT, path, sent, &body).await
    }

    /// Creates an API in front of the demo's first upstream.
    pub(crate) async fn make_api(&self, id: &str, path: &str) {
        let properties =
            json!({ "displayName": id, "path": path, "serviceUrl": self.upstream, "protocols": ["https"] });
        let made = self.set(&format!("/apis/{id}"), properties, "").await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    /// Gives an API a policy whose inbound section begins with this.
    pub(crate) async fn set_policy(&self, api: &str, inbound: &str) -> Answer {
        let value = format!(
            "<policies><inbound><base />{inbound}</inbound><backend><base /></backend><outbound><base /></outbound>\
             <on-error><base /></on-error></policies>"
        );
        self.set(&format!("/apis/{api}/policies/policy"), json!({ "format": "rawxml", "value": value }), "")
            .await
    }

    /// An identity of the demo as a .pfx file, with its password.
    pub(crate) fn pfx(&self, name: &str) -> (Vec<u8>, String) {
        let pfx = fs::read(self.demo.dir().join(format!("{name}.pfx"))).unwrap();
        let password = fs::read_to_string(self.demo.dir().join(format!("{name}.password"))).unwrap();
        (pfx, password.trim().to_owned())
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.demo.dir().join(name)).unwrap()
    }
}

pub(crate) async fn ask_on(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Answer {
    sender.ready().await.unwrap();
    let (status, headers, text) = whole(sender.send_request(request).await.unwrap()).await;
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, text, body }
}

pub(crate) fn upload(data: &[u8], password: &str) -> String {
    json!({ "properties": { "data": STANDARD.encode(data), "password": password } }).to_string()
}
