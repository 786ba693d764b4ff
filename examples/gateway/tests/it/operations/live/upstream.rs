//! An upstream that reports the gateway's identity, and keeps requests in flight until the test releases them.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::support::pki::{Authority, Issued};

type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// Path of a response that begins with `begun`, and ends with `more` once it is released.
pub(super) const DOWNLOAD: &str = "/download";

/// Path whose response begins at the end of the request.
pub(super) const UPLOAD: &str = "/upload";

pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    is_released: watch::Sender<bool>,
    /// Paths of requests that ended before their release.
    ends: mpsc::UnboundedReceiver<String>,
}

impl Upstream {
    /// `identities` issued the gateway's identities.
    pub(super) async fn start(certificate: &Issued, identities: &Authority) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls(certificate, identities)));
        let (is_released, released) = watch::channel(false);
        let (end_tx, ends) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, released, end_tx) = (acceptor.clone(), released.clone(), end_tx.clone());
                tokio::spawn(async move {
                    // The gateway does not trust this upstream in one of the tests.
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let identity = identity(&stream);
                    let service = service_fn(move |request| {
                        let guard = EndGuard {
                            path: path_of(&request),
                            released: released.clone(),
                            end_tx: end_tx.clone(),
                        };
                        let (released, identity) = (released.clone(), identity.clone());
                        async move { Ok::<_, Infallible>(respond(request, guard, released, identity).await) }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, is_released, ends }
    }

    /// Completes all requests in flight.
    pub(super) fn release(&self) {
        self.is_released.send_replace(true);
    }

    /// Waits for the end of a request before its release; returns its path.
    pub(super) async fn end(&mut self) -> String {
        crate::support::soon(self.ends.recv()).await.unwrap()
    }

    /// Path of a request that has ended before its release, and was not returned.
    pub(super) fn other_end(&mut self) -> Option<String> {
        self.ends.try_recv().ok()
    }
}

fn path_of(request: &Request<Incoming>) -> String {
    request.uri().path().to_owned()
}

/// Reports the end of a request that was not released.
struct EndGuard {
    path: String,
    released: watch::Receiver<bool>,
    end_tx: mpsc::UnboundedSender<String>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        let is_long = [DOWNLOAD, UPLOAD, "/tunnel"].iter().any(|long| self.path.ends_with(long));
        if is_long && !*self.released.borrow() {
            let _ = self.end_tx.send(std::mem::take(&mut self.path));
        }
    }
}

fn tls(certificate: &Issued, identities: &Authority) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(identities.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let chain = vec![CertificateDer::from(certificate.der.clone())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// The common name of the gateway's certificate, or `anonymous`.
fn identity<T>(stream: &TlsStream<T>) -> HeaderValue {
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let name = certificates.first().map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).unwrap();
        let name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned();
        HeaderValue::from_str(&name).unwrap()
    });
    name.unwrap_or(HeaderValue::from_static("anonymous"))
}

async fn respond(
    mut request: Request<Incoming>,
    guard: EndGuard,
    mut released: watch::Receiver<bool>,
    identity: HeaderValue,
) -> Response<ResponseBody> {
    let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
    let is_grpc = content_type.as_ref().is_some_and(|value| value == "application/grpc");
    let body = if guard.path.ends_with(DOWNLOAD) {
        download(guard, released)
    } else if guard.path.ends_with(UPLOAD) {
        while let Some(Ok(_)) = request.body_mut().frame().await {}
        Full::from("received").boxed_unsync()
    } else if let Some(protocol) = request.headers().get(header::UPGRADE).cloned() {
        let switched = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(switched.await.unwrap());
            io.write_all(b"begun").await.unwrap();
            let mut end = [0; 1];
            tokio::select! {
                _ = io.read(&mut end) => {}
                () = async { drop(released.wait_for(|is_released| *is_released).await) } => {
                    io.write_all(b"more").await.unwrap();
                }
            }
            drop(guard);
        });
        let mut response = Response::new(Full::default().boxed_unsync());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, protocol);
        return response;
    } else {
        Full::from("whole").boxed_unsync()
    };
    let mut response = Response::new(body);
    response.headers_mut().insert("identity", identity);
    if let Some(content_type) = content_type.filter(|_| is_grpc) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// A body that begins at once, and ends once it is released.
fn download(guard: EndGuard, released: watch::Receiver<bool>) -> ResponseBody {
    let frames = stream::unfold((guard, released, 0), async |(guard, mut released, index)| {
        let frame = match index {
            0 => Frame::data(Bytes::from_static(b"begun")),
            1 => {
                // Fails at the end of the test.
                released.wait_for(|is_released| *is_released).await.ok()?;
                let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
                Frame::trailers(HeaderMap::from_iter([status]))
            }
            _ => return None,
        };
        Some((Ok(frame), (guard, released, index + 1)))
    });
    StreamBody::new(frames).boxed_unsync()
}
