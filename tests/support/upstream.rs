//! A TLS upstream that requests a client certificate and records it for each request.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, Request, Response, header, request::Parts};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, HandshakeKind, ProtocolVersion, RootCertStore,
    ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use tokio_rustls::TlsAcceptor;
use tower_mtls::{Certificate, certificate::Thumbprint};

use super::{
    Body, Http, Tls, certified, empty, in_time,
    pki::{Authority, Issued},
    provider,
    server::Server,
};

/// A request header that closes the connection after the response.
pub const CLOSE: &str = "x-close";

pub type Handler = Arc<
    dyn Fn(Arc<Peer>, Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>>
        + Send
        + Sync,
>;

pub fn handler<F, A>(handle: F) -> Handler
where
    F: Fn(Arc<Peer>, Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    Arc::new(move |peer, request| Box::pin(handle(peer, request)))
}

/// Facts of a connection's handshake.
#[derive(Debug)]
pub struct Peer {
    /// Counted from 0 in the order of completed handshakes.
    pub connection: usize,
    pub certificate: Option<Thumbprint>,
    pub subject: String,
    /// The number of certificates sent.
    pub chain: usize,
    pub resumed: bool,
    pub tls: Tls,
    pub http: Http,
    close: Notify,
    hang_up: Notify,
}

/// A received request.
pub struct ReceivedRequest {
    pub peer: Arc<Peer>,
    pub head: Parts,
}

#[derive(Default)]
struct Record {
    is_forgetful: bool,
    seen: Mutex<Vec<ReceivedRequest>>,
    peers: Mutex<Vec<Arc<Peer>>>,
    attempts: AtomicUsize,
    closed: watch::Sender<HashSet<usize>>,
}

pub struct Upstream {
    server: Server,
    record: Arc<Record>,
}

pub struct Builder {
    certificate: Arc<rustls::sign::CertifiedKey>,
    tls: Tls,
    protocols: Vec<Http>,
    verifier: Arc<dyn ClientCertVerifier>,
    handler: Handler,
    streams: u32,
    is_forgetful: bool,
}

impl Upstream {
    /// TLS 1.3, HTTP/2 and HTTP/1.1, any client certificate or none; responds with [`facts`].
    pub fn builder(certificate: &Issued) -> Builder {
        Builder {
            certificate: certified(certificate),
            tls: Tls::V13,
            protocols: vec![Http::Two, Http::One],
            verifier: Arc::new(AcceptAny),
            handler: handler(|peer, _| async move { facts(&peer) }),
            streams: 200,
            is_forgetful: false,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A URI with the upstream's host name.
    pub fn uri(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    /// A URI with the upstream's address.
    pub fn numeric_uri(&self, path: &str) -> String {
        format!("https://{}{path}", self.address())
    }

    pub fn requests(&self) -> usize {
        self.record.seen.lock().unwrap().len()
    }

    /// The requests received since the last call.
    pub fn take_seen(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut *self.record.seen.lock().unwrap())
    }

    /// The completed handshakes.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.record.peers.lock().unwrap().clone()
    }

    /// The number of accepted connections, including failed handshakes.
    pub fn attempts(&self) -> usize {
        self.record.attempts.load(Ordering::Relaxed)
    }

    /// Waits until a connection has ended.
    pub async fn closed(&self, connection: usize) {
        let mut closed = self.record.closed.subscribe();
        let waiting = closed.wait_for(|closed| closed.contains(&connection));
        in_time("the end of a connection", waiting).await.unwrap();
    }

    /// The number of open connections.
    pub fn open(&self) -> usize {
        let closed = self.record.closed.borrow().len();
        self.record.peers.lock().unwrap().len() - closed
    }

    /// Closes a connection without a response.
    pub fn hang_up(&self, connection: usize) {
        self.record.peers.lock().unwrap()[connection].hang_up.notify_one();
    }

    pub fn is_closed(&self, connection: usize) -> bool {
        self.record.closed.borrow().contains(&connection)
    }
}

impl Builder {
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    pub fn http(mut self, http: Http) -> Self {
        self.protocols = vec![http];
        self
    }

    /// Rejects handshakes without a certificate of this authority.
    pub fn only_for(mut self, authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        self.verifier = builder.build().unwrap();
        self
    }

    pub fn handler(mut self, handler: Handler) -> Self {
        self.handler = handler;
        self
    }

    /// Concurrent requests of an HTTP/2 connection.
    pub fn streams(mut self, streams: u32) -> Self {
        self.streams = streams;
        self
    }

    /// Does not record requests, to save memory.
    pub fn forgetful(mut self) -> Self {
        self.is_forgetful = true;
        self
    }

    pub fn start(self) -> Upstream {
        let record = Arc::new(Record { is_forgetful: self.is_forgetful, ..Record::default() });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.tls.versions())
            .unwrap()
            .with_client_cert_verifier(self.verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certificate)));
        config.alpn_protocols = self.protocols.iter().map(|http| http.alpn()).collect();
        let tls = TlsAcceptor::from(Arc::new(config));
        let (handler, streams, recording) = (self.handler, self.streams, record.clone());
        let server = Server::start(move |socket| serve(socket, tls, handler, streams, recording));
        Upstream { server, record }
    }
}

async fn serve(socket: TcpListener, tls: TlsAcceptor, handler: Handler, streams: u32, record: Arc<Record>) {
    loop {
        let (stream, _) = socket.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        record.attempts.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(connection(stream, tls.clone(), handler.clone(), streams, record.clone()));
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    handler: Handler,
    streams: u32,
    record: Arc<Record>,
) {
    // The client gets the reason, where tests check it.
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let peer = record.meet(stream.get_ref().1);
    let service = service_fn(|request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let close = head.headers.contains_key(CLOSE);
        let answer = handler(peer.clone(), Request::from_parts(head.clone(), body));
        let peer = peer.clone();
        if !record.is_forgetful {
            record.seen.lock().unwrap().push(ReceivedRequest { peer: peer.clone(), head });
        }
        async move {
            let mut response = answer.await;
            if close {
                peer.close.notify_one();
                if peer.http == Http::One {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(streams);
    {
        // Tests check a failed connection by its requests.
        let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        tokio::select! {
            _ = serving.as_mut() => {}
            () = peer.close.notified() => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
            () = peer.hang_up.notified() => {}
        }
    }
    record.closed.send_modify(|closed| {
        closed.insert(peer.connection);
    });
}

impl Record {
    fn meet(&self, tls: &rustls::ServerConnection) -> Arc<Peer> {
        let chain = tls.peer_certificates().unwrap_or_default();
        let leaf = chain.first().map(|leaf| Certificate::from_der(leaf).unwrap());
        let mut peers = self.peers.lock().unwrap();
        let peer = Arc::new(Peer {
            connection: peers.len(),
            certificate: leaf.as_ref().map(Certificate::sha256_thumbprint),
            subject: leaf.map(|leaf| leaf.subject().to_string()).unwrap_or_default(),
            chain: chain.len(),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            tls: match tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => Tls::V12,
                _ => Tls::V13,
            },
            http: match tls.alpn_protocol() {
                Some(b"h2") => Http::Two,
                _ => Http::One,
            },
            close: Notify::new(),
            hang_up: Notify::new(),
        });
        peers.push(peer.clone());
        peer
    }
}

/// A response with the connection and the certificate that it saw.
pub fn facts(peer: &Peer) -> Response<Body> {
    let certificate = peer.certificate.map(|it| it.to_string()).unwrap_or_default();
    Response::builder()
        .header("x-certificate", certificate)
        .header("x-subject", &peer.subject)
        .header("x-connection", peer.connection)
        .header("x-resumed", peer.resumed.to_string())
        .body(empty())
        .unwrap()
}

/// The content of [`facts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Empty without a certificate.
    pub certificate: String,
    pub subject: String,
    pub connection: usize,
    pub resumed: bool,
}

impl Facts {
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        Self {
            certificate: text("x-certificate"),
            subject: text("x-subject"),
            connection: text("x-connection").parse().unwrap(),
            resumed: text("x-resumed") == "true",
        }
    }
}

/// Accepts any certificate whose key the client proves to possess.
#[derive(Debug)]
struct AcceptAny;

impl ClientCertVerifier for AcceptAny {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
