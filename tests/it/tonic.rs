//! tonic servers and clients with gRPC's health service, unary and streaming.
#![cfg(all(feature = "tonic", feature = "outbound", feature = "aws-lc-rs"))]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hyper_util::client::legacy::connect::HttpConnector;
use tonic::{
    Code, Request, Status,
    service::{Interceptor, InterceptorLayer},
    transport::{Certificate, Channel, Endpoint, Identity, ServerTlsConfig, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;
use tower_mtls::{
    ClientIdentity, MtlsConnectorLayer, MtlsListener, Policy, RequireCertificateLayer, ServerTls,
    TrustAnchors, UpstreamTrust,
    acceptor::{ListenerLimits, tonic::TonicCaptureLayer},
    admitted,
};

use crate::support::{
    in_time,
    pki::{Authority, Issued, Leaf},
    server::Server,
};

/// The caller that a method saw: subject and address.
type Callers = Arc<Mutex<Vec<(Option<String>, Option<SocketAddr>)>>>;

#[derive(Clone, Default)]
struct Record(Callers);

impl Interceptor for Record {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let subject = admitted(request.extensions()).map(|caller| caller.subject().to_string());
        self.0.lock().unwrap().push((subject, request.remote_addr()));
        Ok(request)
    }
}

struct World {
    partners: Authority,
    servers: Authority,
    server: Issued,
    seen: Callers,
}

impl World {
    fn new() -> Self {
        let servers = Authority::root("servers");
        let server = servers.issue(&Leaf::server());
        Self { partners: Authority::root("partners"), servers, server, seen: Callers::default() }
    }

    fn policy(&self) -> Policy {
        Policy::builder().trust(TrustAnchors::from_der([self.partners.der()]).unwrap()).build().unwrap()
    }

    fn record(&self) -> InterceptorLayer<Record> {
        InterceptorLayer::new(Record(self.seen.clone()))
    }

    /// The health service behind this crate's listener and layers.
    fn serve(&self) -> Server {
        let tls = ServerTls::from_pem(self.server.chain_pem().as_bytes(), self.server.key_pem().as_bytes())
            .unwrap();
        let (policy, record) = (RequireCertificateLayer::new(self.policy()), self.record());
        Server::start(async move |socket| {
            let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
            let (_reporter, health) = tonic_health::server::health_reporter();
            tonic::transport::Server::builder()
                .layer(TonicCaptureLayer::new())
                .layer(policy)
                .layer(record)
                .add_service(health)
                .serve_with_incoming(listener.incoming())
                .await
                .unwrap();
        })
    }

    /// The same behind tonic's own TLS, which requests a certificate without demanding one.
    fn serve_by_tonic(&self) -> Server {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(self.server.chain_pem(), self.server.key_pem()))
            .client_ca_root(Certificate::from_pem(self.partners.pem()))
            .client_auth_optional(true);
        let (policy, record) = (RequireCertificateLayer::new(self.policy()), self.record());
        Server::start(async move |socket| {
            let (_reporter, health) = tonic_health::server::health_reporter();
            tonic::transport::Server::builder()
                .tls_config(tls)
                .unwrap()
                .layer(TonicCaptureLayer::new())
                .layer(policy)
                .layer(record)
                .add_service(health)
                .serve_with_incoming(TcpIncoming::from(socket))
                .await
                .unwrap();
        })
    }

    /// A tonic client whose connector presents this identity, or none.
    fn client(&self, address: SocketAddr, identity: Option<&Issued>) -> HealthClient<Channel> {
        let trust = UpstreamTrust::from_pem(self.servers.pem().as_bytes()).unwrap();
        let layer = match identity {
            Some(issued) => {
                let (chain, key) = (issued.chain_pem(), issued.key_pem());
                let identity = ClientIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
                MtlsConnectorLayer::new(&identity, &trust).unwrap()
            }
            None => MtlsConnectorLayer::anonymous(&trust).unwrap(),
        };
        // With its TLS features enabled, tonic refuses `https` with a custom connector; ours still uses TLS.
        let endpoint = Endpoint::from_shared(format!("http://localhost:{}", address.port())).unwrap();
        HealthClient::new(endpoint.connect_with_connector_lazy(layer.layer(HttpConnector::new())))
    }
}

/// The outcome of a unary call, and of the first message of a stream.
async fn call(mut client: HealthClient<Channel>) -> [Result<(), Status>; 2] {
    let unary = in_time("unary", client.check(HealthCheckRequest::default())).await.map(drop);
    let streaming = match in_time("streaming", client.watch(HealthCheckRequest::default())).await {
        Ok(stream) => in_time("a message", stream.into_inner().message()).await.map(|message| {
            message.expect("a message");
        }),
        Err(status) => Err(status),
    };
    [unary, streaming]
}

async fn right_and_wrong_callers(world: &World, server: &Server) {
    let orders = world.partners.issue(&Leaf::client("orders"));
    for outcome in call(world.client(server.address(), Some(&orders))).await {
        outcome.unwrap();
    }
    let seen = std::mem::take(&mut *world.seen.lock().unwrap());
    assert_eq!(seen.len(), 2);
    for (subject, remote) in seen {
        assert_eq!(subject.as_deref(), Some("CN=orders,O=Contoso"));
        assert!(remote.is_some_and(|remote| remote.ip().is_loopback()), "{remote:?}");
    }
    for outcome in call(world.client(server.address(), None)).await {
        let status = outcome.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "Invalid client certificate"));
    }
    assert!(world.seen.lock().unwrap().is_empty(), "rejected calls reach no method");
}

#[tokio::test]
async fn tonic_admits_the_right_certificate_and_denies_others() {
    let world = World::new();
    let server = world.serve();
    right_and_wrong_callers(&world, &server).await;
    let stranger = Authority::root("partners").issue(&Leaf::client("orders"));
    for outcome in call(world.client(server.address(), Some(&stranger))).await {
        assert_eq!(outcome.unwrap_err().code(), Code::PermissionDenied);
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tonic's own TLS accepts no explicit provider")]
async fn own_tls_of_tonic_is_captured() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let world = World::new();
    let server = world.serve_by_tonic();
    right_and_wrong_callers(&world, &server).await;
}

#[tokio::test]
async fn calls_without_the_capture_layer_are_internal_errors() {
    let world = World::new();
    let tls =
        ServerTls::from_pem(world.server.chain_pem().as_bytes(), world.server.key_pem().as_bytes()).unwrap();
    let policy = RequireCertificateLayer::new(world.policy());
    let server = Server::start(async move |socket| {
        let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let server = tonic::transport::Server::builder().layer(policy).add_service(health);
        server.serve_with_incoming(listener.incoming()).await.unwrap();
    });
    let orders = world.partners.issue(&Leaf::client("orders"));
    for outcome in call(world.client(server.address(), Some(&orders))).await {
        assert_eq!(outcome.unwrap_err().code(), Code::Internal);
    }
}
