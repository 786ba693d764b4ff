//! Run with: cargo run --example outbound --all-features
//!
//! Calls to an upstream that demands a client certificate, in two ways: through a custom hyper client with the connector
//! layer, and through the pooled client with an identity for each route. The upstream runs in the same process and
//! responds with the subject that it saw.

mod support;

use std::{error::Error, net::SocketAddr};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Body;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, Service, ServiceExt};
use tower_mtls::{
    ClientCertificate, ClientIdentity, IdentityLayer, MtlsClient, MtlsConnectorLayer, MtlsListener, Policy,
    RequireCertificateLayer, ServerTls, Shared, TrustAnchors, UpstreamTrust, capture,
    outbound::ClientErrorKind,
};

use self::support::Authority;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ca = Authority::new("Upstreams CA")?;
    let address = upstream(&ca).await?;
    let url = format!("https://{address}/");

    let identity = |name| -> Result<ClientIdentity, Box<dyn Error>> {
        let issued = ca.client(name)?;
        Ok(ClientIdentity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?)
    };
    let (orders, billing) = (identity("orders-gateway")?, identity("billing-gateway")?);
    let trust = UpstreamTrust::from_pem(ca.pem().as_bytes())?;

    // A hyper client of one's own: all of its connections are made under one identity.
    let connector = MtlsConnectorLayer::new(orders.clone(), &trust)?.layer(HttpConnector::new());
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let seen = text(client.get(url.parse()?).await?).await?;
    println!("a hyper client with the connector layer was seen as {seen}");
    assert_eq!(seen, "CN=orders-gateway,O=Contoso");

    // The pooled client: routes share it, and each route has its own replaceable identity.
    let client: MtlsClient<Empty<Bytes>> = MtlsClient::builder().trust(trust).build();
    let shared = Shared::new(orders);
    let mut route = IdentityLayer::new(shared.clone()).layer(client.clone());
    let request = || Request::get(&url).body(Empty::new());

    let seen = text(route.ready().await?.call(request()?).await?).await?;
    println!("the pooled client was seen as {seen}");
    assert_eq!(seen, "CN=orders-gateway,O=Contoso");

    shared.replace(billing);
    let seen = text(route.ready().await?.call(request()?).await?).await?;
    println!("and on the first request after its identity was replaced as {seen}");
    assert_eq!(seen, "CN=billing-gateway,O=Contoso");

    // Without a certificate the upstream rejects the request; without a chosen identity nothing is sent.
    let anonymous = IdentityLayer::anonymous().layer(client.clone());
    assert_eq!(anonymous.oneshot(request()?).await?.status(), StatusCode::FORBIDDEN);
    let Err(error) = client.oneshot(request()?).await else {
        return Err("a request without an identity was sent".into());
    };
    assert_eq!(error.kind(), ClientErrorKind::NoIdentity);
    println!("without a choice: {error}");
    Ok(())
}

/// Serves the subject of the caller, to holders of this CA's certificates only.
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

async fn text<B>(response: Response<B>) -> Result<String, Box<dyn Error>>
where
    B: Body<Error: Error + 'static>,
{
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}
