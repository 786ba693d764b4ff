//! A TLS upstream scripted byte by byte.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{ServerConfig, sign::SingleCertAndKey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Http, certified, pki::Issued, provider, server::Server};

pub struct Raw {
    server: Server,
    count: Arc<Count>,
}

#[derive(Default)]
struct Count {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Raw {
    /// Runs `script` on each connection; connections are numbered from 0.
    pub fn start<F, A>(certificate: &Issued, http: Http, script: F) -> Self
    where
        F: Fn(usize, TcpStream, TlsAcceptor) -> A + Send + 'static,
        A: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(certificate))));
        config.alpn_protocols = vec![http.alpn()];
        let tls = TlsAcceptor::from(Arc::new(config));
        let count = Arc::new(Count::default());
        let counting = count.clone();
        let server = Server::start(async move |socket| {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = counting.accepted.fetch_add(1, Ordering::Relaxed);
                counting.open.fetch_add(1, Ordering::Relaxed);
                let (exchange, counting) = (script(number, stream, tls.clone()), counting.clone());
                tokio::spawn(async move {
                    // The script does not care about a client that gives up.
                    let _ = exchange.await;
                    counting.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { server, count }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn uri(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    pub fn accepted(&self) -> usize {
        self.count.accepted.load(Ordering::Relaxed)
    }

    pub fn open(&self) -> usize {
        self.count.open.load(Ordering::Relaxed)
    }
}

/// Reads a request head; an error if the client has closed.
pub async fn read_head(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// The value of a field in a head.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Closes with a RST.
pub fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Writes a response at once.
pub async fn answer(stream: &mut TlsStream<TcpStream>, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

/// Waits until the client closes.
pub async fn stall(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
