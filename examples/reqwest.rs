//! Run with: cargo run --example reqwest --all-features
//!
//! A reqwest client with the identity of a .pfx file, for an upstream that requires one. The upstream runs inside
//! the process and responds with the subject of the client certificate.

mod support;

use std::{error::Error, net::SocketAddr};

use axum::{Router, routing::get};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use reqwest::{Client, StatusCode};
use tower_mtls::{
    ClientCertificate, ClientIdentity, MtlsListener, Policy, RequireCertificateLayer, ServerTls,
    TrustAnchors, UpstreamTrust, capture, outbound::client_config,
};

use self::support::{Authority, Issued};

const PASSWORD: &str = "secret";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ca = Authority::new("Partners CA")?;
    let url = format!("https://localhost:{}/", upstream(&ca).await?.port());
    let trust = UpstreamTrust::from_pem(ca.pem())?;

    let client = |pfx: Vec<u8>, trust: &UpstreamTrust| -> Result<Client, Box<dyn Error>> {
        let identity = ClientIdentity::from_pfx(pfx, PASSWORD)?;
        Ok(Client::builder().tls_backend_preconfigured(client_config(&identity, trust)?).build()?)
    };

    let orders = client(pfx(&ca.client("orders-gateway")?)?, &trust)?;
    let response = orders.get(&url).send().await?;
    assert_eq!(response.status(), StatusCode::OK);
    let subject = response.text().await?;
    println!("the upstream saw {subject}");
    assert_eq!(subject, "CN=orders-gateway,O=Contoso");

    // The same name, issued by another CA: the upstream responds with 403.
    let others = Authority::new("Partners CA")?;
    let stranger = client(pfx(&others.client("orders-gateway")?)?, &trust)?;
    let status = stranger.get(&url).send().await?.status();
    println!("another CA's certificate: {status}");
    assert_eq!(status, StatusCode::FORBIDDEN);

    // An upstream of another CA: nothing is sent.
    let distrustful = client(pfx(&ca.client("orders-gateway")?)?, &UpstreamTrust::from_pem(others.pem())?)?;
    let Err(error) = distrustful.get(&url).send().await else {
        return Err("a request was sent to an untrusted upstream".into());
    };
    println!("an untrusted upstream is a connect error: {}", error.is_connect());
    assert!(error.is_connect());
    Ok(())
}

/// A .pfx file, as `openssl pkcs12 -export` writes it.
fn pfx(issued: &Issued) -> Result<Vec<u8>, Box<dyn Error>> {
    let [certificate, key] = [&issued.certificate, &issued.key].map(pem::parse);
    let certificate = Certificate::from_der(certificate?.contents())?;
    let chain = PrivateKeyChain::new("1", PrivateKey::from_der(key?.contents())?, [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("orders", KeyStoreEntry::PrivateKeyChain(chain));
    Ok(store.writer(PASSWORD).encryption_iterations(2_048).mac_iterations(2_048).write()?)
}

/// Serves, to holders of this CA's certificates only, the subject of the caller.
async fn upstream(ca: &Authority) -> Result<SocketAddr, Box<dyn Error>> {
    let policy = Policy::builder().trust(TrustAnchors::from_pem(ca.pem().as_bytes())?).build()?;
    let app = Router::new()
        .route("/", get(|caller: ClientCertificate| async move { caller.subject().to_string() }))
        .layer(RequireCertificateLayer::new(policy));
    let server = ca.server()?;
    let tls = ServerTls::from_pem(server.certificate.as_bytes(), server.key.as_bytes())?;
    let listener = MtlsListener::bind("127.0.0.1:0", tls).await?;
    let address = listener.local_addr();
    tokio::spawn(async move { axum::serve(listener, capture(app)).await });
    Ok(address)
}
