//! Tests of the upstreams, over real connections.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::{DemoUpstream, start, tls};
use crate::demo::pki;
use crate::scratch::Scratch;

/// An upstream with its PKI.
struct TestUpstream {
    scratch: Scratch,
    address: SocketAddr,
    upstream: DemoUpstream,
}

impl TestUpstream {
    async fn new() -> Self {
        let scratch = Scratch::new();
        pki::ensure(scratch.path(), time::OffsetDateTime::now_utc()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = start(listener, tls(scratch.path()).unwrap(), "first");
        Self { scratch, address, upstream }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestIdentity = Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>;

fn from_pfx(dir: &Path, stem: &str) -> TestIdentity {
    let pfx = fs::read(dir.join(format!("{stem}.pfx"))).unwrap();
    let password = fs::read_to_string(dir.join(format!("{stem}.password"))).unwrap();
    let store = KeyStore::from_pkcs12(&pfx, password.trim_end(), Pkcs12ImportPolicy::Strict).unwrap();
    let (_, chain) = store.private_key_chain().unwrap();
    let certificates = chain.certs().iter().map(|one| one.as_der().to_vec().into()).collect();
    Some((certificates, PrivateKeyDer::try_from(chain.key().as_der().to_vec()).unwrap()))
}

fn from_pem(dir: &Path, stem: &str) -> TestIdentity {
    let certificate = CertificateDer::from_pem_file(dir.join(format!("{stem}.pem"))).unwrap();
    Some((vec![certificate], PrivateKeyDer::from_pem_file(dir.join(format!("{stem}.key"))).unwrap()))
}

/// Sends one request on a new connection.
async fn call(
    upstream: &TestUpstream,
    identity: TestIdentity,
    h2: bool,
) -> Result<Response<Incoming>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(upstream.scratch.path().join("backend-ca.pem"))?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![if h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let stream = TcpStream::connect(upstream.address).await?;
    let name = ServerName::try_from("localhost")?;
    let stream = TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?);
    let request = Request::post("https://localhost/orders/42?a=b").body(Full::<Bytes>::from("hello"))?;
    if h2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

async fn description(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Returns an error with all its causes as text.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[tokio::test]
async fn each_identity_is_received_over_http_1_and_http_2() {
    let upstream = TestUpstream::new().await;
    for (stem, h2, version, subject) in [
        ("orders", false, "HTTP/1.1", "CN=orders-gateway, O=Contoso"),
        ("orders", true, "HTTP/2.0", "CN=orders-gateway, O=Contoso"),
        ("billing", false, "HTTP/1.1", "CN=billing-gateway, O=Contoso"),
        ("billing", true, "HTTP/2.0", "CN=billing-gateway, O=Contoso"),
    ] {
        let response = call(&upstream, from_pfx(upstream.scratch.path(), stem), h2).await.unwrap();
        let description = description(response).await;
        assert_eq!(description["upstream"], "first", "{stem} {version}");
        assert_eq!(description["version"], version, "{stem} {version}");
        assert_eq!(description["path"], "/orders/42?a=b", "{stem} {version}");
        assert_eq!(description["body_bytes"], 5, "{stem} {version}");
        assert_eq!(description["client_certificate"]["subject"], subject, "{stem} {version}");
        assert_eq!(
            description["client_certificate"]["issuer"], "CN=Upstreams CA, O=Contoso",
            "{stem} {version}"
        );
        assert_eq!(
            description["client_certificate"]["sha256"].as_str().map(str::len),
            Some(64),
            "{stem} {version}"
        );
    }
}

#[tokio::test]
async fn caller_without_an_accepted_certificate_fails_in_the_handshake() {
    let upstream = TestUpstream::new().await;
    let dir = upstream.scratch.path();
    for (case, identity, alert) in [
        ("no certificate", None, "CertificateRequired"),
        ("a partner's certificate", from_pem(dir, "client"), "UnknownCA"),
        ("the upstream's own certificate, a server certificate", from_pem(dir, "backend"), "alert"),
    ] {
        for h2 in [false, true] {
            let error = call(&upstream, identity.as_ref().map(|(c, k)| (c.clone(), k.clone_key())), h2).await;
            let error = causes(error.unwrap_err().as_ref());
            assert!(error.contains(alert), "{case}, HTTP/2 {h2}: {error}");
        }
    }
}

#[tokio::test]
async fn silent_connections_do_not_delay_others() {
    let upstream = TestUpstream::new().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(upstream.address).await.unwrap());
    }
    let call = call(&upstream, from_pfx(upstream.scratch.path(), "orders"), false);
    let response = tokio::time::timeout(super::HANDSHAKE_TIMEOUT / 2, call).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn dropped_upstream_stops_listening() {
    let upstream = TestUpstream::new().await;
    drop(upstream.upstream);
    for _ in 0..100 {
        if TcpStream::connect(upstream.address).await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still listening");
}

#[test]
fn missing_certificates_are_an_error_that_names_the_file() {
    let scratch = Scratch::new();
    let error = tls(scratch.path()).unwrap_err().to_string();
    assert!(error.contains("backend-ca.pem"), "{error}");
}
