//! A gateway of a given size, its upstream and its administrator.

use std::{
    collections::HashMap,
    fmt::Write,
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::{client::conn::http1, server, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{
    Folder, Running, gateway,
    pki::{Authority, Issued, Leaf},
    whole,
};

/// Distinct key pairs. Further identities use the same files under other names.
const KEY_PAIRS: usize = 1_000;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const SERVICE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/group/providers/Microsoft.ApiManagement/service/gateway";

/// Size of a configuration and its store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) routes: usize,
    pub(crate) identities: usize,
    pub(crate) pins: usize,
    pub(crate) stored: usize,
    /// Cores of the gateway.
    pub(crate) cores: usize,
}

/// Certificates of all sizes, and the upstream that they are presented to.
pub(crate) struct Pki {
    authority: Authority,
    server: Issued,
    caller: Issued,
    identities: Vec<Issued>,
    port: u16,
    upstream: JoinHandle<()>,
}

impl Pki {
    pub(crate) async fn new(most_identities: usize) -> Self {
        let authority = Authority::root("scale");
        let issue = |index: usize| authority.issue(&Leaf::client(&format!("identity {index}")));
        let identities: Vec<Issued> = (0..most_identities.min(KEY_PAIRS)).map(issue).collect();
        let server = authority.issue(&Leaf::server());
        let caller = authority.issue(&Leaf::client("caller"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = tokio::spawn(serve(listener, server_tls(&authority, &server), by_der(&identities)));
        Self { authority, server, caller, identities, port, upstream }
    }

    /// Returns the TLS settings of callers.
    pub(crate) fn caller_tls(&self) -> TlsConnector {
        let (chain, key) = key_pair(&self.caller);
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(&self.authority))
            .with_client_auth_cert(chain, key)
            .unwrap();
        TlsConnector::from(Arc::new(config))
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        self.upstream.abort();
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
    Arc::new(roots)
}

fn key_pair(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key.serialize_der()));
    (vec![CertificateDer::from(issued.der.clone())], key)
}

fn server_tls(authority: &Authority, server: &Issued) -> TlsAcceptor {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority), provider()).build().unwrap();
    let (chain, key) = key_pair(server);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn by_der(identities: &[Issued]) -> HashMap<Vec<u8>, usize> {
    identities.iter().enumerate().map(|(index, issued)| (issued.der.clone(), index)).collect()
}

/// Responds to each request with the index of the certificate that the gateway presents.
async fn serve(listener: TcpListener, tls: TlsAcceptor, identities: HashMap<Vec<u8>, usize>) {
    let identities = Arc::new(identities);
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (tls, identities) = (tls.clone(), identities.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(socket).await else { return };
            let presented = stream.get_ref().1.peer_certificates().unwrap().first().unwrap();
            let index = Bytes::from(identities[&**presented].to_string());
            let respond = service_fn(move |_| {
                let body = Full::new(index.clone());
                async move { Ok::<_, std::convert::Infallible>(Response::new(body)) }
            });
            let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await;
        });
    }
}

/// A running gateway.
pub(crate) struct World<'p> {
    pub(crate) pki: &'p Pki,
    pub(crate) size: Size,
    pub(crate) running: Running,
    /// From the start of the process to its listener.
    pub(crate) start: Duration,
    pub(crate) port: u16,
    folder: Folder,
    is_changed: bool,
}

impl<'p> World<'p> {
    pub(crate) fn start(pki: &'p Pki, size: Size) -> Self {
        let folder = Folder::new();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", pki.authority.pem());
        write("server.pem", &pki.server.chain_pem());
        write("server.key", &pki.server.key_pem());
        write("token", TOKEN);
        for (index, identity) in pki.identities.iter().take(size.identities).enumerate() {
            write(&format!("{index}.pem"), &identity.chain_pem());
            write(&format!("{index}.key"), &identity.key_pem());
        }
        write("pins", &pins(pki, size.pins));
        for name in fs::read_dir(folder.path()).unwrap() {
            protect(&name.unwrap().path());
        }
        write("gateway.toml", &configuration(pki, size, false));
        let config = folder.path().join("gateway.toml");
        let mut command = Command::new("taskset");
        let last = size.cores - 1;
        command.args(["-c", &format!("0-{last}")]).arg(gateway().get_program());
        let since = Instant::now();
        let (running, port) = Running::start_by(command, &config, "info");
        Self { pki, size, start: since.elapsed(), running, port, folder, is_changed: false }
    }

    /// Replaces the configuration, with one more route or without it; returns the time until it serves.
    pub(crate) fn reload(&mut self) -> Duration {
        self.is_changed = !self.is_changed;
        let text = configuration(self.pki, self.size, self.is_changed);
        fs::write(self.folder.path().join("gateway.toml"), text).unwrap();
        let (from, since) = (self.running.lines(), Instant::now());
        self.running.hang_up();
        self.running.logged(from, "reloaded");
        since.elapsed()
    }

    /// Connects to the management API.
    pub(crate) async fn administrator(&self) -> http1::SendRequest<Full<Bytes>> {
        let socket = TcpStream::connect(("127.0.0.1", self.running.management_port())).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.pki.caller_tls().connect(name, socket).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Adds a caller's certificate to the store; returns the time until it is effective.
    pub(crate) async fn upload(
        &self,
        administrator: &mut http1::SendRequest<Full<Bytes>>,
        index: usize,
    ) -> Duration {
        let certificate = &self.pki.identities[index % self.pki.identities.len()];
        let data = STANDARD.encode(&certificate.der);
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{SERVICE}/certificates/stored-{index}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Full::from(format!("{{\"properties\": {{\"data\": \"{data}\"}}}}")))
            .unwrap();
        let since = Instant::now();
        administrator.ready().await.unwrap();
        let (status, _, text) = whole(administrator.send_request(request).await.unwrap()).await;
        assert_eq!(status, 201, "{text}");
        since.elapsed()
    }

    /// CPU time of a second without requests.
    pub(crate) async fn idle(&self) -> Duration {
        let before = self.cpu_time();
        tokio::time::sleep(Duration::from_secs(2)).await;
        (self.cpu_time() - before) / 2
    }

    /// CPU time of the process.
    pub(crate) fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.running.pid())).unwrap();
        let of_thread = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(tasks.filter_map(of_thread).sum())
    }
}

fn protect(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Thumbprints, of which the last is the caller's.
fn pins(pki: &Pki, count: usize) -> String {
    let mut text = String::new();
    for index in 1..count {
        writeln!(text, "{index:064x}").unwrap();
    }
    let caller = tower_mtls::Certificate::from_der(&pki.caller.der).unwrap();
    writeln!(text, "{}", caller.sha256_thumbprint()).unwrap();
    text
}

/// The path of a route.
pub(crate) fn path(route: usize) -> String {
    format!("/routes/{route:05}")
}

/// The index of the certificate that requests of a route present.
pub(crate) fn presented(size: Size, route: usize) -> usize {
    route % size.identities % KEY_PAIRS
}

/// Each route requires a chain, the first one a thumbprint too. `/by` selects among all identities.
fn configuration(pki: &Pki, size: Size, has_more: bool) -> String {
    let mut text = String::from(
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n[store]\npath = \"store\"\n\
         [limits]\nidle_timeout = \"10m\"\n\
         [trust.callers]\nca = [\"ca.pem\"]\nrevocation = \"off\"\n[upstream_tls]\nca = [\"ca.pem\"]\n",
    );
    for index in 0..size.identities {
        let pair = index % KEY_PAIRS;
        writeln!(text, "[identities.i{index}]\ncertificate = \"{pair}.pem\"\nprivate_key = \"{pair}.key\"")
            .unwrap();
    }
    let port = pki.port;
    for route in 0..size.routes + usize::from(has_more) {
        let (path, identity) = (path(route), route % size.identities);
        let pins = if route == 0 { ", thumbprint_file = \"pins\"" } else { "" };
        writeln!(
            text,
            "[[routes]]\npath = \"{path}\"\nupstream = \"https://localhost:{port}\"\nidentity = \"i{identity}\"\n\
             client_certificate = {{ trust = \"callers\"{pins} }}"
        )
        .unwrap();
    }
    writeln!(
        text,
        "[[routes]]\npath = \"/by\"\nupstream = \"https://localhost:{port}\"\n\
         client_certificate = {{ trust = \"callers\" }}\n[routes.identity_by]\nclaim = \"common_name\"\n\
         [routes.identity_by.identities]\ncaller = \"i0\""
    )
    .unwrap();
    for index in 1..size.identities {
        writeln!(text, "\"caller {index}\" = \"i{index}\"").unwrap();
    }
    text
}
