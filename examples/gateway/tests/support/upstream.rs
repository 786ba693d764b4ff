//! A scripted upstream behind TLS that demands the gateway's identity.

use std::{
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub type Connection = TlsStream<TcpStream>;

/// Stops on drop, which fails the test if the task of a connection has panicked.
pub struct Upstream {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    panicked: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Serves each connection with `serve`. `dir` is the demo's folder; the gateway must call as `orders`.
    pub async fn start<F, Served>(dir: &Path, alpn: &[&str], serve: F) -> Self
    where
        F: Fn(Connection) -> Served + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = CertificateDer::from_pem_file(dir.join("orders.pem")).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls(dir, alpn)));
        let (accepted, panicked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, noticed, serve) = (accepted.clone(), panicked.clone(), Arc::new(serve));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, serve, identity) = (acceptor.clone(), serve.clone(), identity.clone());
                let served = tokio::spawn(async move {
                    // The gateway can be gone already.
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().unwrap();
                    assert_eq!(shown.first(), Some(&identity), "the gateway calls as orders");
                    serve(stream).await;
                });
                let noticed = noticed.clone();
                tokio::spawn(async move {
                    if served.await.is_err_and(|error| error.is_panic()) {
                        noticed.store(true, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { address, accepted, panicked, task }
    }

    /// The number of accepted connections.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
        if !std::thread::panicking() {
            assert!(!self.panicked.load(Ordering::SeqCst), "the upstream panicked");
        }
    }
}

pub fn tls(dir: &Path, alpn: &[&str]) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("backend-ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let chain = CertificateDer::pem_file_iter(dir.join("backend.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(dir.join("backend.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}
