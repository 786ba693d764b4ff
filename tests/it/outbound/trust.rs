//! Server trust of the pooled client, and its protocols.

use std::net::Ipv4Addr;

use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::Layer;
use tower_mtls::{
    IdentityLayer, MtlsConnectorLayer, Shared, UpstreamTrust,
    danger::UpstreamVerification,
    outbound::{ClientErrorKind, RequestTrust},
};

use super::identities::ask_on_another_connection;
use crate::support::{
    Body, Http, Tls, every_version, in_time,
    pki::{Authority, Leaf},
    upstream::{Facts, Upstream},
    world::{World, ask, ask_with, get, kind_of_failure, send, thumbprint},
};

#[tokio::test]
async fn requests_of_one_route_with_different_trusts_never_share_a_connection() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let uri = upstream.uri("/");
        let with = |trust: &RequestTrust| {
            let mut request = get(&uri);
            request.extensions_mut().insert(trust.clone());
            request
        };
        // All of them trust this upstream.
        let [routes, one, other] = [(); 3].map(|()| world.trust());
        let own = [one, other].map(RequestTrust::new);
        let route = IdentityLayer::new(world.identity("orders")).with_trust(routes).layer(world.client());
        let mut connections = Vec::new();
        for round in 0..3 {
            let mut seen = vec![ask(&route, &uri).await];
            for trust in &own {
                seen.push(ask_with(&route, with(trust)).await);
            }
            for saw in &seen {
                assert_eq!(saw.subject, "CN=orders,O=Contoso");
                assert!(!saw.resumed, "{tls:?} {http:?} {round}: no session of another trust");
            }
            connections.push(seen.iter().map(|saw| saw.connection).collect::<Vec<_>>());
        }
        // Each trust has its own connection, which its next request reuses.
        assert_eq!(connections, [[0, 1, 2]; 3], "{tls:?} {http:?}");
    }
}

#[tokio::test]
async fn trust_of_one_request_replaces_that_of_its_route() {
    let world = World::new();
    let upstream = world.upstream().start();
    let strangers = || UpstreamTrust::from_pem(Authority::root("Strangers").pem().as_bytes()).unwrap();
    let with = |trust: &RequestTrust| {
        let mut request = get(&upstream.uri("/"));
        request.extensions_mut().insert(trust.clone());
        request
    };
    let lenient = IdentityLayer::new(world.identity("orders")).with_trust(world.trust());
    let strict = IdentityLayer::new(world.identity("orders")).with_trust(strangers());
    let none = IdentityLayer::new(world.identity("orders"));
    let (sound, odd) = (RequestTrust::new(world.trust()), RequestTrust::new(strangers()));
    for layer in [lenient, strict.clone(), none] {
        let route = layer.layer(world.client());
        let saw = ask_with(&route, with(&sound)).await;
        assert_eq!(saw.subject, "CN=orders,O=Contoso");
        // Even with an open connection.
        let failure = send(&route, with(&odd)).await.expect_err("not trusted");
        assert_eq!(failure.kind(), ClientErrorKind::UpstreamNotTrusted);
    }
    // The next request uses the route's trust again.
    let route = strict.layer(world.client());
    assert_eq!(ask_with(&route, with(&sound)).await.subject, "CN=orders,O=Contoso");
    assert_eq!(kind_of_failure(&route, &upstream.uri("/")).await, ClientErrorKind::UpstreamNotTrusted);
}

#[tokio::test]
async fn trust_of_requests_can_be_replaced() {
    let world = World::new();
    let upstream = world.upstream().start();
    let shared = Shared::new(world.trust());
    let route = IdentityLayer::anonymous().layer(world.client());
    let with = || {
        let mut request = get(&upstream.uri("/"));
        request.extensions_mut().insert(RequestTrust::new(shared.clone()));
        request
    };
    assert_eq!(ask_with(&route, with()).await.connection, 0);
    shared.replace(UpstreamTrust::from_pem(Authority::root("Strangers").pem().as_bytes()).unwrap());
    let failure = send(&route, with()).await.expect_err("not trusted");
    assert_eq!(failure.kind(), ClientErrorKind::UpstreamNotTrusted);
}

#[tokio::test]
async fn untrusted_upstream_gets_no_request() {
    let world = World::new();
    let impostors = Authority::root("Server Root");
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["elsewhere.example.com".into()];
    for (tls, http) in every_version() {
        for certificate in
            [impostors.issue(&Leaf::server()), Leaf::server().self_signed(), world.servers.issue(&elsewhere)]
        {
            let upstream = Upstream::builder(&certificate).tls(tls).http(http).start();
            let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
            let kind = kind_of_failure(&route, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?}");
            assert_eq!(upstream.requests(), 0);
        }
    }
}

#[tokio::test]
async fn missing_upstream_is_unreachable() {
    let world = World::new();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = format!("https://{}/", gone.local_addr().unwrap());
    drop(gone);
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    assert_eq!(kind_of_failure(&route, &uri).await, ClientErrorKind::Unreachable);
}

#[tokio::test]
async fn dangerous_modes_skip_only_their_own_checks() {
    use UpstreamVerification::{ChainOnly, NameOnly, Nothing};
    let world = World::new();
    let impostors = Authority::root("Server Root");
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["elsewhere.example.com".into()];
    for tls in Tls::BOTH {
        let [wrong_name, other_ca, both_wrong] =
            [world.servers.issue(&elsewhere), impostors.issue(&Leaf::server()), impostors.issue(&elsewhere)]
                .map(|certificate| Upstream::builder(&certificate).tls(tls).start());
        for (mode, upstream, accepted) in [
            (ChainOnly, &wrong_name, true),
            (ChainOnly, &other_ca, false),
            (ChainOnly, &both_wrong, false),
            (NameOnly, &wrong_name, false),
            (NameOnly, &other_ca, true),
            (NameOnly, &both_wrong, false),
            (Nothing, &wrong_name, true),
            (Nothing, &other_ca, true),
            (Nothing, &both_wrong, true),
        ] {
            let trust = UpstreamTrust::builder()
                .add_roots_pem(world.servers.pem().as_bytes())
                .dangerous(mode)
                .build()
                .unwrap();
            let layer = IdentityLayer::new(world.identity("orders")).with_trust(trust);
            let answer = send(&layer.layer(world.client()), get(&upstream.uri("/"))).await;
            match answer {
                Ok(_) => assert!(accepted, "{mode:?} accepted {tls:?}"),
                Err(error) => {
                    assert!(!accepted, "{mode:?} refused {tls:?}");
                    assert_eq!(error.kind(), ClientErrorKind::UpstreamNotTrusted);
                }
            }
        }
    }
}

#[tokio::test]
async fn strict_route_uses_neither_connection_nor_session_of_a_lenient_one() {
    let world = World::new();
    let impostors = Authority::root("Server Root");
    for (tls, http) in every_version() {
        let upstream = Upstream::builder(&impostors.issue(&Leaf::server())).tls(tls).http(http).start();
        let uri = upstream.uri("/");
        let client = world.client();
        let orders = world.identity("orders");
        let nothing = UpstreamTrust::builder().dangerous(UpstreamVerification::Nothing).build().unwrap();
        let strict = IdentityLayer::new(orders.clone()).layer(client.clone());
        let lenient = IdentityLayer::new(orders).with_trust(nothing).layer(client);

        // The lenient route has a resumable session and an open connection.
        ask(&lenient, &uri).await;
        assert!(ask_on_another_connection(&lenient, &uri).await.resumed);
        let open = ask(&lenient, &uri).await;
        upstream.take_seen();
        for _ in 0..3 {
            let kind = kind_of_failure(&strict, &uri).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?}");
        }
        assert_eq!(upstream.requests(), 0);
        assert_eq!(ask(&lenient, &uri).await.connection, open.connection);
    }
}

#[tokio::test]
async fn trust_can_name_its_server() {
    let world = World::new();
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["orders.internal".into()];
    let upstream = Upstream::builder(&world.servers.issue(&elsewhere)).start();
    let trust = UpstreamTrust::builder()
        .add_roots_pem(world.servers.pem().as_bytes())
        .with_server_name("orders.internal")
        .build()
        .unwrap();
    let route = IdentityLayer::new(world.identity("orders")).with_trust(trust).layer(world.client());
    assert_eq!(ask(&route, &upstream.numeric_uri("/")).await.subject, "CN=orders,O=Contoso");
}

#[tokio::test]
async fn http_1_can_be_demanded_of_an_upstream_that_offers_both() {
    let world = World::new();
    let upstream = world.upstream().start();
    let orders = world.identity("orders");
    let client = world.client();
    let layer = IdentityLayer::new(orders);
    for (layer, http) in [(layer.clone(), Http::Two), (layer.only_http1(), Http::One)] {
        ask(&layer.layer(client.clone()), &upstream.uri("/")).await;
        assert_eq!(upstream.take_seen()[0].peer.http, http);
    }
}

#[tokio::test]
async fn connector_layer_uses_tls_for_any_scheme() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let orders = world.identity("orders");
        let connector =
            MtlsConnectorLayer::new(orders.clone(), &world.trust()).unwrap().layer(HttpConnector::new());
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
        let https = upstream.uri("/");
        for uri in [https.replacen("https", "http", 1), https] {
            let response = in_time("an answer", client.request(get(&uri))).await.unwrap();
            let saw = Facts::of(response.headers());
            assert_eq!(saw.certificate, thumbprint(&orders), "{uri} {tls:?} {http:?}");
        }
        assert_eq!(upstream.peers().len(), 2);
    }
}
