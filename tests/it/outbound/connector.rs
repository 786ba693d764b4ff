//! The connector layer and the `rustls::ClientConfig` for other clients, over real sockets and TLS.

use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpStream;
use tower::Layer;
use tower_mtls::{MtlsConnectorLayer, Shared, UpstreamTrust, outbound::client_config};

use crate::support::{
    Body, Http, Tls, empty, every_version, in_time,
    pki::{Authority, Leaf},
    upstream::{Facts, Upstream},
    world::{World, get, thumbprint},
};

#[tokio::test]
async fn connector_presents_a_replaced_identity_and_resumes_no_session_of_the_old_one() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let first = world.identity("orders");
        let shared = Shared::new(first.clone());
        let layer = MtlsConnectorLayer::new(shared.clone(), &world.trust()).unwrap();
        // Without idle connections each request opens one. Clients of one layer share its sessions.
        let clients = [0, 1].map(|_| {
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_max_idle_per_host(0).build::<_, Body>(layer.layer(HttpConnector::new()))
        });
        for identity in [first.clone(), world.identity("billing"), first] {
            shared.replace(identity.clone());
            for (number, client) in clients.iter().cycle().take(3).enumerate() {
                let response = in_time("a response", client.request(get(&upstream.uri("/")))).await.unwrap();
                let saw = Facts::of(response.headers());
                in_time("a body", response.into_body().collect()).await.unwrap();
                assert_eq!(saw.certificate, thumbprint(&identity), "{number} {tls:?} {http:?}");
                assert_eq!(saw.resumed, number > 0, "{number} {tls:?} {http:?}");
            }
        }
        assert_eq!(upstream.peers().len(), 9);
    }
}

#[tokio::test]
async fn client_config_presents_the_identity_and_verifies_the_trust() {
    let world = World::new();
    let mut internal = Leaf::server();
    internal.dns = vec!["orders.internal".into()];
    let internal = world.servers.issue(&internal);
    let named = |name: &str| {
        let builder = UpstreamTrust::builder().add_roots_pem(world.servers.pem());
        builder.with_server_name(name).build().unwrap()
    };
    let strangers = UpstreamTrust::from_pem(Authority::root("Server Root").pem()).unwrap();
    let orders = world.identity("orders");
    for tls in Tls::BOTH {
        for (name, certificate, trust, expected) in [
            ("the URL's host", &world.server, world.trust(), true),
            ("another host", &internal, world.trust(), false),
            ("the trust's server name", &internal, named("orders.internal"), true),
            ("the trust's server name in place of the URL's", &world.server, named("orders.internal"), false),
            ("another CA", &world.server, strangers.clone(), false),
        ] {
            let upstream = Upstream::builder(certificate).tls(tls).http(Http::One).start();
            let config = client_config(&orders, &trust).unwrap();
            let address = upstream.numeric_uri("").replace("https://", "");
            let tcp = TcpStream::connect(address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let stream = connector.connect("localhost".try_into().unwrap(), tcp).await;
            assert_eq!(stream.is_ok(), expected, "{name} {tls:?}");
            let Ok(stream) = stream else { continue };
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream)).await.unwrap();
            let (response, _) = tokio::join!(
                async move {
                    sender
                        .send_request(Request::get("/").header("host", "localhost").body(empty()).unwrap())
                        .await
                },
                connection
            );
            let saw = Facts::of(response.unwrap().headers());
            assert_eq!(saw.certificate, thumbprint(&orders), "{name} {tls:?}");
        }
    }
}
