//! axum-server with this crate's acceptor.
#![cfg(all(feature = "axum-server", feature = "axum", feature = "trust"))]

use axum::{Router, routing::get};
use tower_mtls::{
    ClientCertificate, Policy, RequireCertificateLayer, ServerTls, TrustAnchors, acceptor::MtlsAcceptor,
};

use crate::support::{
    Http, Tls,
    caller::Caller,
    certified,
    pki::{Authority, Leaf},
    server::Server,
};

#[tokio::test]
async fn axum_server_admits_the_right_certificate_and_refuses_none() {
    let (servers, partners) = (Authority::root("servers"), Authority::root("partners"));
    let server = servers.issue(&Leaf::server());
    let tls = ServerTls::from_pem(server.chain_pem().as_bytes(), server.key_pem().as_bytes()).unwrap();
    let policy = Policy::builder().trust(TrustAnchors::from_der([partners.der()]).unwrap()).build().unwrap();
    let app = Router::new()
        .route("/", get(async |caller: ClientCertificate| caller.subject().to_string()))
        .layer(RequireCertificateLayer::new(policy));
    let server = Server::start(async move |socket| {
        let server = axum_server::from_tcp(socket.into_std().unwrap()).unwrap();
        server.acceptor(MtlsAcceptor::new(tls)).serve(app.into_make_service()).await.unwrap();
    });
    let orders = partners.issue(&Leaf::client("orders"));
    for http in [Http::One, Http::Two] {
        let right = Caller::new(&servers, Some(certified(&orders)), Tls::V13, http);
        let answer = right.get(server.address(), "/").await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"CN=orders,O=Contoso"[..]));
        let anonymous = Caller::new(&servers, None, Tls::V13, http);
        assert_eq!(anonymous.get(server.address(), "/").await.status, 403);
    }
}
