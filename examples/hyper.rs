//! Run with: cargo run --example hyper --all-features
//!
//! The layer around a plain hyper service: accepts connections in its own loop, serves HTTP/1.1 and HTTP/2, calls itself
//! as a partner, as a stranger and without a certificate, and asserts the responses.

mod support;

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_mtls::{
    ClientIdentity, IdentityLayer, MtlsClient, MtlsListener, Policy, RequireCertificateLayer, Rule,
    ServerTls, TrustAnchors, UpstreamTrust, admitted,
};

use self::support::{Authority, Issued};

/// Reached only by admitted callers; without the layer `admitted` is None.
async fn orders(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match admitted(request.extensions()) {
        Some(caller) => format!("hello {}\n", caller.subject()),
        None => "this request was not authorized by the layer\n".to_owned(),
    };
    Ok(Response::new(Full::from(text)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let partners = Authority::new("Partners CA")?;

    // Admission.
    let policy = Policy::builder()
        .trust(TrustAnchors::from_pem(partners.pem().as_bytes())?)
        .require(Rule::common_name(["orders-client"]))
        .build()?;
    let service = RequireCertificateLayer::new(policy).layer(service_fn(orders));

    // The server: a task for each connection, with the certificate that its caller presented.
    let server = partners.server()?;
    let tls = ServerTls::from_pem(server.certificate.as_bytes(), server.key.as_bytes())?;
    let mut listener = MtlsListener::bind("127.0.0.1:0", tls).await?;
    let origin = format!("https://{}", listener.local_addr());
    tokio::spawn(async move {
        loop {
            let (stream, remote) = listener.accept().await;
            let service = TowerToHyperService::new(stream.capture(service.clone()));
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                    eprintln!("connection of {remote}: {error}");
                }
            });
        }
    });

    // Requests.
    let trust = UpstreamTrust::from_pem(partners.pem().as_bytes())?;
    let client = MtlsClient::builder().trust(trust).build();
    let stranger = Authority::new("Partners CA")?.client("orders-client")?;
    let callers = [
        ("a partner", identity(&partners.client("orders-client")?)?, StatusCode::OK),
        ("a stranger", identity(&stranger)?, StatusCode::FORBIDDEN),
        ("anonymous", IdentityLayer::anonymous(), StatusCode::FORBIDDEN),
    ];
    for (who, layer, expected) in callers {
        let layer = layer.only_http1();
        let request = Request::get(&origin).body(Empty::<Bytes>::new())?;
        let response = layer.layer(client.clone()).oneshot(request).await?;
        let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
        let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
        println!("{who}: {} {}", response.status().as_u16(), reason.as_deref().unwrap_or("OK"));
        assert_eq!(response.status(), expected, "{who}");
        let refused = expected == StatusCode::FORBIDDEN;
        assert_eq!(reason.as_deref(), refused.then_some("Invalid client certificate"), "{who}");
    }
    Ok(())
}

fn identity(issued: &Issued) -> Result<IdentityLayer, Box<dyn Error>> {
    let identity = ClientIdentity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?;
    Ok(IdentityLayer::new(identity))
}
