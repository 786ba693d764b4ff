//! Clients of upstreams, their identities and requests.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, watch};
use tower::{Layer, ServiceExt};
use tower_mtls::{
    ClientIdentity, IdentityLayer, MtlsClient, UpstreamTrust,
    outbound::{ClientError, ClientErrorKind, IdentityService, MtlsClientBuilder, UpstreamBody},
};

use super::{
    Body, empty, full, in_time,
    pki::{Authority, Issued, Leaf},
    upstream::{Builder, Facts, Handler, Upstream, facts, handler},
};

pub type Route = IdentityService<MtlsClient<Body>>;

/// The issuers of client and server certificates, and the upstream's certificate.
pub struct World {
    pub clients: Authority,
    pub servers: Authority,
    pub server: Issued,
}

impl World {
    pub fn new() -> Self {
        let servers = Authority::root("Server Root");
        Self { clients: Authority::root("Client CA"), server: servers.issue(&Leaf::server()), servers }
    }

    pub fn upstream(&self) -> Builder {
        Upstream::builder(&self.server)
    }

    pub fn trust(&self) -> UpstreamTrust {
        UpstreamTrust::from_pem(self.servers.pem().as_bytes()).unwrap()
    }

    pub fn client(&self) -> MtlsClient<Body> {
        self.client_with(|builder| builder)
    }

    pub fn client_with(
        &self,
        settings: impl FnOnce(MtlsClientBuilder) -> MtlsClientBuilder,
    ) -> MtlsClient<Body> {
        settings(MtlsClient::builder().trust(self.trust())).build()
    }

    pub fn identity(&self, common_name: &str) -> ClientIdentity {
        identity(&self.clients.issue(&Leaf::client(common_name)))
    }

    /// A route with a new client and a new identity.
    pub fn route(&self) -> Route {
        IdentityLayer::new(self.identity("orders")).layer(self.client())
    }
}

pub fn identity(issued: &Issued) -> ClientIdentity {
    ClientIdentity::from_pem(issued.chain_pem().as_bytes(), issued.key_pem().as_bytes()).unwrap()
}

pub fn thumbprint(identity: &ClientIdentity) -> String {
    identity.certificate().sha256_thumbprint().to_string()
}

pub fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(empty()).unwrap()
}

pub fn post(uri: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::post(uri).body(full(body)).unwrap()
}

pub fn send(
    route: &Route,
    request: Request<Body>,
) -> impl Future<Output = Result<Response<UpstreamBody>, ClientError>> + use<> {
    let route = route.clone();
    in_time("an answer", route.oneshot(request))
}

/// The facts that the upstream reports about a request.
pub async fn ask(route: &Route, uri: &str) -> Facts {
    ask_with(route, get(uri)).await
}

pub async fn ask_with(route: &Route, request: Request<Body>) -> Facts {
    let (head, body) = send(route, request).await.unwrap().into_parts();
    // A connection is free for the next request once the body is read.
    in_time("a body", body.collect()).await.unwrap();
    Facts::of(&head.headers)
}

pub async fn kind_of_failure(route: &Route, uri: &str) -> ClientErrorKind {
    send(route, get(uri)).await.expect_err("refused").kind()
}

/// Keeps requests waiting at the upstream.
pub struct Gate {
    arrived: watch::Sender<usize>,
    permits: Semaphore,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { arrived: watch::Sender::new(0), permits: Semaphore::new(0) })
    }

    /// Responds with [`facts`]; to `/wait` once it is released.
    pub fn handler(self: &Arc<Self>) -> Handler {
        let gate = self.clone();
        handler(move |peer, request| {
            let gate = gate.clone();
            async move {
                if request.uri().path() == "/wait" {
                    gate.arrived.send_modify(|arrived| *arrived += 1);
                    gate.permits.acquire().await.unwrap().forget();
                }
                facts(&peer)
            }
        })
    }

    /// Waits until this many have arrived in total.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        in_time("requests", arrived.wait_for(|arrived| *arrived >= count)).await.unwrap();
    }

    pub fn let_go(&self, count: usize) {
        self.permits.add_permits(count);
    }
}
