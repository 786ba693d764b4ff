//! Certificates for the portal's tests.

use std::{convert::Infallible, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::DnType;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    store_and_api::world::World,
    support::pki::{Leaf, now},
};

/// A file in the demo's folder with a certificate of this common name that expires in this many days.
pub(crate) fn certificate(world: &World, file: &str, common_name: &str, days: i64) -> PathBuf {
    const HOUR: i64 = 3_600;
    let leaf = Leaf::client(common_name)
        .subject(&[(DnType::CommonName, common_name)])
        .from(now() - 400 * 24 * HOUR)
        .until(now() + (24 * days + 1) * HOUR);
    let path = world.demo.dir().join(file);
    std::fs::write(&path, leaf.self_signed().chain_pem()).unwrap();
    path
}

/// The URL of an upstream with a self-signed certificate.
pub(crate) async fn self_signed_upstream() -> String {
    let issued = Leaf::server().self_signed();
    let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.der.into()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A caller that does not trust it disconnects.
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let answer = service_fn(async |_| {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    format!("https://localhost:{port}")
}
