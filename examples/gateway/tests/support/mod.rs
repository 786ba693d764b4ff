//! The gateway as a process, and its clients.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    missing_debug_implementations,
    clippy::unwrap_used,
    reason = "shared by test files"
)]

#[cfg(target_os = "linux")]
#[path = "../../../../tests/support/attackers/mod.rs"]
pub mod attackers;
pub mod callers;
#[path = "../../../../tests/support/folder.rs"]
mod folder;
pub mod fronted;
#[path = "../../../../tests/support/pki.rs"]
pub mod pki;
pub mod process_memory;
#[path = "../../../../tests/support/raw_http2.rs"]
pub mod raw_http2;
pub mod slow_upstream;
mod stall;
pub mod upstream;
#[path = "../../../../tests/support/wait.rs"]
mod wait;

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub use self::{
    folder::Folder,
    wait::{eventually, in_time},
};

/// Returns the output of `future`; panics after a minute.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    in_time("an event", future).await
}

/// Raises the limit of open files to the hard limit.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

pub fn gateway() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gateway"))
}

/// A running demo on a free port.
pub struct Demo {
    process: Child,
    pub tour: String,
    pub port: u16,
    pub management_port: u16,
    folder: Folder,
}

impl Demo {
    pub fn start() -> Self {
        let folder = Folder::new();
        let mut process = gateway()
            .args(["demo", "--port", "0", "--management-port", "0", "--dir"])
            .arg(folder.path().join("demo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut tour = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("the demo ended before its tour did").unwrap();
            tour.push_str(&line);
            tour.push('\n');
            if line.starts_with("curl ") && line.ends_with("/elsewhere") {
                break;
            }
        }
        let port = |address: &str| {
            let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        };
        let management = tour.split("/healthz").next().unwrap().rsplit("https://localhost:").next().unwrap();
        let management_port = port(management);
        let port = port(tour.split("https://localhost:").nth(1).unwrap());
        Self { process, tour, port, management_port, folder }
    }

    /// The demo's configuration without the store, which only one process can open.
    pub fn toml(&self) -> String {
        let text = std::fs::read_to_string(self.dir().join("gateway.toml")).unwrap();
        let (before, rest) = text.split_once("[store]").unwrap();
        let (_, rest) = rest.split_once("# CAs that routes refer to").unwrap();
        format!("{before}#{rest}")
    }

    /// The same folder, for clients of another gateway on this port.
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("demo")
    }

    /// Sends SIGTERM; returns the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let signalled =
            Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(signalled.success());
        self.process.wait().unwrap().code()
    }

    /// A TLS connection to the gateway, with or without one of the demo's certificates.
    pub async fn connect(&self, certificate: Option<&str>, alpn: &[u8]) -> TlsStream<TcpStream> {
        self.connect_to(self.port, certificate, alpn).await
    }

    /// A TLS connection to a listener on this port.
    pub async fn connect_to(
        &self,
        port: u16,
        certificate: Option<&str>,
        alpn: &[u8],
    ) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        self.handshake(socket, certificate, alpn).await.unwrap()
    }

    /// The same on a connected socket.
    pub async fn handshake(
        &self,
        socket: TcpStream,
        certificate: Option<&str>,
        alpn: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let dir = self.dir();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::pem_file_iter(dir.join(format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }

    /// An HTTP/2 connection.
    pub async fn http2(&self, certificate: Option<&str>) -> http2::SendRequest<Empty<Bytes>> {
        let stream = TokioIo::new(self.connect(certificate, b"h2").await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// An HTTP/1.1 connection.
    pub async fn http1(&self, certificate: Option<&str>) -> http1::SendRequest<Empty<Bytes>> {
        let stream = TokioIo::new(self.connect(certificate, b"http/1.1").await);
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends bytes verbatim and reads the response to its end.
    pub async fn send_raw(&self, certificate: Option<&str>, request: &[u8]) -> String {
        let mut stream = self.connect(certificate, b"http/1.1").await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A response without `close_notify` is accepted.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request for this path.
pub fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://localhost{path}")).header("host", "localhost").body(Empty::new()).unwrap()
}

/// The metrics of the management listener on this port, with the token of `management.token`.
pub async fn metrics(demo: &Demo, port: u16) -> String {
    let token = std::fs::read_to_string(demo.dir().join("management.token")).unwrap();
    let mut request = get("/metrics");
    let value = format!("Bearer {}", token.trim());
    request.headers_mut().insert("authorization", value.parse().unwrap());
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let stream = TokioIo::new(demo.handshake(socket, None, b"http/1.1").await.unwrap());
    let (mut sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let (status, _, text) = whole(sender.send_request(request).await.unwrap()).await;
    assert_eq!(status, 200, "{text}");
    text
}

/// The value of this series.
pub fn value(metrics: &str, series: &str) -> Option<f64> {
    let line =
        metrics.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// Replaces a file atomically.
pub fn replace(file: &Path, contents: impl AsRef<[u8]>) {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, contents).unwrap();
    std::fs::rename(&new, file).unwrap();
}

/// The whole response: status, headers, body.
pub async fn whole(response: http::Response<hyper::body::Incoming>) -> (u16, http::HeaderMap, String) {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
}

/// Runs a command line in bash; returns its standard output.
pub fn shell(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and standard output of `gateway check`.
pub fn check(config: &Path) -> (Option<i32>, String) {
    let mut process =
        gateway().arg("check").arg("--config").arg(config).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = String::new();
    process.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    (process.wait().unwrap().code(), printed)
}

/// The lines that a process has logged, and whether its log has ended.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
    is_stalled: AtomicBool,
}

/// `gateway run`, killed on drop.
pub struct Running {
    process: Child,
    log: Arc<Log>,
}

impl Running {
    pub fn start(config: &Path) -> (Self, u16) {
        Self::start_logging(config, "info,gateway::server=debug")
    }

    /// Starts with this log filter.
    pub fn start_logging(config: &Path, log: &str) -> (Self, u16) {
        Self::start_by(gateway(), config, log)
    }

    /// Starts with this command, which takes the gateway's arguments.
    pub fn start_by(mut command: Command, config: &Path, log: &str) -> (Self, u16) {
        command.env("RUST_LOG", log);
        let mut process =
            command.args(["run", "--config"]).arg(config).stderr(Stdio::piped()).spawn().unwrap();
        let printed = BufReader::new(process.stderr.take().unwrap()).lines();
        let log = Arc::new(Log::default());
        let running = Self { process, log: log.clone() };
        std::thread::spawn(move || {
            for line in printed.map_while(Result::ok) {
                let lines = log.lines.lock().unwrap();
                let is_stalled = |_: &mut _| log.is_stalled.load(Ordering::SeqCst);
                log.more.wait_while(lines, is_stalled).unwrap().0.push(line);
                log.more.notify_all();
            }
            log.lines.lock().unwrap().1 = true;
            log.more.notify_all();
        });
        let serving = running.logged(0, " address=127.0.0.1:");
        (running, serving.rsplit(':').next().unwrap().parse().unwrap())
    }

    /// The port of the management listener.
    pub fn management_port(&self) -> u16 {
        let serving = self.logged(0, " management=127.0.0.1:");
        let port = serving.split(" management=127.0.0.1:").nth(1).unwrap();
        port.split(' ').next().unwrap().parse().unwrap()
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The number of logged lines.
    pub fn lines(&self) -> usize {
        self.log.lines.lock().unwrap().0.len()
    }

    /// All logged lines.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().0.join("\n")
    }

    /// The number of lines, from this one on, that contain this text.
    pub fn count(&self, from: usize, text: &str) -> usize {
        self.log.lines.lock().unwrap().0[from..].iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line, from this one on, that contains this text.
    pub fn logged(&self, from: usize, text: &str) -> String {
        let mut lines = self.log.lines.lock().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(line) = lines.0[from..].iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !lines.1, "no line with {text:?} in\n{}", lines.0[from..].join("\n"));
            lines = self.log.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
    }

    /// Waits for the end of the process; returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.exited() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process is still running");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// The status of the process, if it has ended.
    pub fn exited(&mut self) -> Option<std::process::ExitStatus> {
        self.process.try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
