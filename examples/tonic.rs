//! Run with: cargo run --example tonic --all-features
//!
//! A tonic server with the layer, and tonic clients with the connector: calls gRPC's health service, unary and streaming,
//! as a partner, as a stranger and without a certificate, and asserts the outcomes.

mod support;

use std::error::Error;

use hyper_util::client::legacy::connect::HttpConnector;
use tonic::{
    Code, Request, Status,
    service::{InterceptorLayer, Routes},
    transport::{Channel, Endpoint},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    ClientIdentity, MtlsConnectorLayer, MtlsListener, Policy, RequireCertificateLayer, Rule, ServerTls,
    TrustAnchors, UpstreamTrust, acceptor::tonic::TonicCaptureLayer, admitted, serve,
};

use self::support::{Authority, Issued};

/// Inside the layer, in an interceptor or a method: the admitted certificate. None without the layer.
fn greet(request: Request<()>) -> Result<Request<()>, Status> {
    let caller = admitted(request.extensions())
        .ok_or_else(|| Status::internal("this call was not authorized by the layer"))?;
    println!("the server is called by {}", caller.subject());
    Ok(request)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let partners = Authority::new("Partners CA")?;

    // Admission.
    let policy = Policy::builder()
        .trust(TrustAnchors::from_pem(partners.pem().as_bytes())?)
        .require(Rule::common_name(["orders-client"]))
        .build()?;

    // The server. The first layer is the outermost: the caller's address for tonic, then admission, then the interceptor.
    let server = partners.server()?;
    let tls = ServerTls::from_pem(server.certificate.as_bytes(), server.key.as_bytes())?;
    let listener = MtlsListener::bind("127.0.0.1:0", tls).await?;
    let port = listener.local_addr().port();
    let (reporter, health) = tonic_health::server::health_reporter();
    let service = ServiceBuilder::new()
        .layer(TonicCaptureLayer::new())
        .layer(RequireCertificateLayer::new(policy))
        .layer(InterceptorLayer::new(greet))
        .service(Routes::new(health));
    tokio::spawn(async move { serve(listener, service).await });

    // The clients. tonic refuses `https` with a custom connector while its TLS features are on; the connector uses
    // TLS for any scheme, and verifies the host's name.
    let trust = UpstreamTrust::from_pem(partners.pem().as_bytes())?;
    let endpoint = Endpoint::from_shared(format!("http://localhost:{port}"))?;
    let client = |connector: MtlsConnectorLayer| {
        let channel = endpoint.connect_with_connector_lazy(connector.layer(HttpConnector::new()));
        HealthClient::new(channel)
    };
    let identity = |issued: &Issued| -> Result<MtlsConnectorLayer, Box<dyn Error>> {
        let identity = ClientIdentity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?;
        Ok(MtlsConnectorLayer::new(identity, &trust)?)
    };
    let partner = identity(&partners.client("orders-client")?)?;
    let stranger = identity(&Authority::new("Partners CA")?.client("orders-client")?)?;
    let anonymous = MtlsConnectorLayer::anonymous(&trust)?;

    for (who, connector, expected) in [
        ("a partner", partner.clone(), Code::Ok),
        ("a stranger", stranger, Code::PermissionDenied),
        ("anonymous", anonymous, Code::PermissionDenied),
    ] {
        let mut client = client(connector);
        let unary = code(client.check(HealthCheckRequest::default()).await);
        println!("{who}, unary: {unary:?}");
        assert_eq!(unary, expected, "{who}, unary");
        // A rejected stream ends before its first message.
        let streaming = code(client.watch(HealthCheckRequest::default()).await);
        println!("{who}, streaming: {streaming:?}");
        assert_eq!(streaming, expected, "{who}, streaming");
    }

    let seen =
        watch(client(partner), async || reporter.set_service_status("", ServingStatus::NotServing).await);
    println!("the partner's stream says {:?}", seen.await?);
    Ok(())
}

fn code<T>(outcome: Result<T, Status>) -> Code {
    outcome.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Two messages of one stream: the status at its start, and after a change.
async fn watch(
    mut client: HealthClient<Channel>,
    change: impl AsyncFnOnce(),
) -> Result<[i32; 2], Box<dyn Error>> {
    let mut stream = client.watch(HealthCheckRequest::default()).await?.into_inner();
    let first = stream.message().await?.ok_or("the stream ended before its first message")?;
    change().await;
    let second = stream.message().await?.ok_or("the stream ended before its second message")?;
    assert_ne!(first.status, second.status);
    Ok([first.status, second.status])
}
