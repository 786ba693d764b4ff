//! Run with: cargo run --example axum --all-features
//!
//! An axum application that authorizes by client certificate: serves on a free port, calls itself as a partner, as a
//! stranger and without a certificate, and asserts the responses. With `-- --serve` it keeps serving and prints `curl`
//! lines.

mod support;

use std::{error::Error, fs, path::Path};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt};
use tower_mtls::{
    ClientCertificate, ClientIdentity, IdentityLayer, MtlsClient, MtlsListener, Policy,
    RequireCertificateLayer, ServerTls, TrustAnchors, UpstreamTrust, serve,
};

use self::support::{Authority, Issued};

/// The argument is a certificate that the layer admitted, never one that was merely presented.
async fn orders(caller: ClientCertificate) -> String {
    format!("hello {}\n", caller.subject())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let partners = Authority::new("Partners CA")?;
    let partner = partners.client("orders-client")?;

    // Admission: a chain to the partners' CA, and this name.
    let policy = Policy::builder()
        .trust(TrustAnchors::from_pem(partners.pem().as_bytes())?)
        .subject("CN=orders-client, O=Contoso".parse()?)
        .build()?;
    // `route_layer` guards the routes above it; `/open` and unknown paths need no certificate.
    let app = Router::new()
        .route("/orders", get(orders))
        .route_layer(RequireCertificateLayer::new(policy))
        .route("/open", get(|| async { "open to everyone\n" }));

    // The server.
    let server = partners.server()?;
    let tls = ServerTls::from_pem(server.certificate.as_bytes(), server.key.as_bytes())?;
    let listener = MtlsListener::bind("127.0.0.1:0", tls).await?;
    let origin = format!("https://{}", listener.local_addr());
    let serving = tokio::spawn(async move { serve(listener, app).await });

    // Requests: each line is a separate caller over TLS.
    let trust = UpstreamTrust::from_pem(partners.pem().as_bytes())?;
    let client = MtlsClient::builder().trust(trust).build();
    let stranger = Authority::new("Partners CA")?.client("orders-client")?;
    let callers = [
        ("a partner", identity(&partner)?, "/orders", StatusCode::OK),
        ("a stranger", identity(&stranger)?, "/orders", StatusCode::FORBIDDEN),
        ("anonymous", IdentityLayer::anonymous(), "/orders", StatusCode::FORBIDDEN),
        ("anonymous", IdentityLayer::anonymous(), "/open", StatusCode::OK),
    ];
    for (who, layer, path, expected) in callers {
        let request = Request::get(format!("{origin}{path}")).body(Empty::<Bytes>::new())?;
        let response = layer.layer(client.clone()).oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("{who} asks for {path}: {status} {}", body.escape_ascii());
        assert_eq!(status, expected, "{who} asks for {path}");
    }

    if std::env::args().any(|argument| argument == "--serve") {
        print_curl_lines(&origin, &partners, &partner)?;
        serving.await?;
    }
    Ok(())
}

fn identity(issued: &Issued) -> Result<IdentityLayer, Box<dyn Error>> {
    let identity = ClientIdentity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?;
    Ok(IdentityLayer::new(identity))
}

/// `curl` reads certificates from files, so they are written to a new folder.
fn print_curl_lines(origin: &str, ca: &Authority, partner: &Issued) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("tower-mtls-axum-{}", std::process::id()));
    create_private(&folder)?;
    fs::write(folder.join("ca.pem"), ca.pem())?;
    fs::write(folder.join("client.pem"), &partner.certificate)?;
    fs::write(folder.join("client.key"), &partner.key)?;
    let folder = folder.display();
    println!("\nServing until it is stopped. Try:\n");
    println!(
        "curl -i --cacert {folder}/ca.pem --cert {folder}/client.pem --key {folder}/client.key {origin}/orders"
    );
    println!("curl -i --cacert {folder}/ca.pem {origin}/orders");
    Ok(())
}

/// A new folder that only the current user can read.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
