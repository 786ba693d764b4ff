//! The gateway as a process, and callers of other makes.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    reason = "shared by test files"
)]

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A folder of this test's own, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gateway-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn gateway() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gateway"))
}

/// A running demo on a free port.
pub struct Demo {
    process: Child,
    pub tour: String,
    pub port: u16,
    folder: Folder,
}

impl Demo {
    pub fn start() -> Self {
        let folder = Folder::new();
        let mut process = gateway()
            .args(["demo", "--port", "0", "--dir"])
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
        let address = tour.split("https://localhost:").nth(1).unwrap();
        let port = address.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        Self { process, tour, port, folder }
    }

    /// The same world, for callers of another gateway on this port.
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("demo")
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let signalled =
            Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(signalled.success());
        self.process.wait().unwrap().code()
    }

    /// A TLS connection to the gateway, with or without one of the demo's certificates.
    pub async fn connect(&self, certificate: Option<&str>, alpn: &[u8]) -> TlsStream<TcpStream> {
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
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
    }

    /// Sends bytes as they are and reads the answer to its end.
    pub async fn send_raw(&self, certificate: Option<&str>, request: &[u8]) -> String {
        let mut stream = self.connect(certificate, b"http/1.1").await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A peer that closes without a TLS goodbye has still answered.
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

/// Runs a `curl` line as pasted; its standard output.
pub fn shell(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and everything printed.
pub fn check(config: &Path) -> (Option<i32>, String) {
    let mut process =
        gateway().arg("check").arg("--config").arg(config).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = String::new();
    process.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    (process.wait().unwrap().code(), printed)
}

/// `gateway run`, killed at the end.
pub struct Running(Child);

impl Running {
    pub fn start(config: &Path) -> (Self, u16) {
        let mut command = gateway();
        let mut process =
            command.args(["run", "--config"]).arg(config).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let running = Self(process);
        let serving =
            log.find(|line| line.as_ref().is_ok_and(|line| line.contains("address=127.0.0.1:"))).unwrap();
        // Whoever writes to a pipe that nobody reads is stopped.
        std::thread::spawn(move || log.for_each(drop));
        (running, serving.unwrap().rsplit(':').next().unwrap().parse().unwrap())
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
    }

    /// Its status, if it has ended.
    pub fn exited(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
