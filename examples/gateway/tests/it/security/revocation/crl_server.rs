//! An HTTPS server of revocation lists, whose responses the test chooses.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The response to each request.
#[derive(Clone)]
pub(super) enum Reply {
    List(Vec<u8>),
    /// This status line and fields, without a body.
    Head(String),
    /// The beginning of a response, and a byte of its body now and then.
    Slow,
    /// A body without an end.
    Endless,
}

/// A request: its target, and whether the gateway presented a certificate.
pub(super) type Asked = (String, bool);

pub(super) struct CrlServer {
    pub(super) address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    asked: watch::Receiver<Vec<Asked>>,
    task: JoinHandle<()>,
}

impl CrlServer {
    /// Serves as `backend` of the demo in this folder.
    pub(super) async fn start(dir: &Path, reply: Reply) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls(dir)));
        let reply = Arc::new(Mutex::new(reply));
        let (sender, asked) = watch::channel(Vec::new());
        let (replies, sender) = (reply.clone(), Arc::new(sender));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, replies, sender) = (acceptor.clone(), replies.clone(), sender.clone());
                tokio::spawn(async move {
                    // The gateway can be gone already.
                    if let Ok(stream) = acceptor.accept(socket).await {
                        let _ = serve(stream, &replies, &sender).await;
                    }
                });
            }
        });
        Self { address, reply, asked, task }
    }

    pub(super) fn reply(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// All requests so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }
}

impl Drop for CrlServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Responds to one request, and ends the connection.
async fn serve(
    stream: TlsStream<TcpStream>,
    replies: &Mutex<Reply>,
    asked: &watch::Sender<Vec<Asked>>,
) -> std::io::Result<()> {
    let is_identified = stream.get_ref().1.peer_certificates().is_some();
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    while stream.read_line(&mut request).await? > 2 {}
    asked.send_modify(|all| all.push((target, is_identified)));
    let reply = replies.lock().unwrap().clone();
    match reply {
        Reply::List(list) => {
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", list.len());
            stream.write_all(&[head.as_bytes(), &list].concat()).await?;
        }
        Reply::Head(head) => {
            stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await?;
        }
        Reply::Slow => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n").await?;
            loop {
                stream.write_all(b"0").await?;
                stream.flush().await?;
                sleep(Duration::from_millis(50)).await;
            }
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let chunk = [b"1000\r\n".as_slice(), &[0; 0x1000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    }
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// A client certificate is requested, and not required.
fn tls(dir: &Path) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("backend-ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let chain = CertificateDer::pem_file_iter(dir.join("backend.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(dir.join("backend.key")).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap()
}
