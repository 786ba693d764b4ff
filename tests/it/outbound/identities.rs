//! Client identities of the pooled client.

use std::{net::Ipv4Addr, sync::Arc};

use http::Request;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tower::{Layer, ServiceExt};
use tower_mtls::{
    ClientIdentity, IdentityLayer, Shared,
    outbound::{ClientErrorKind, RequestIdentity},
};

use crate::support::{
    Http, Tls, empty, every_version, full, in_time,
    pki::{Authority, Leaf},
    upstream::{CLOSE, Facts, facts, handler},
    world::{Route, World, ask, ask_with, get, identity, kind_of_failure, send, thumbprint},
};

#[tokio::test]
async fn identities_with_the_same_serial_number_are_never_mixed_up() {
    const REQUESTS: usize = 10_000;
    const AT_A_TIME: usize = 16;
    let world = World::new();
    for http in Http::BOTH {
        let upstream = world.upstream().http(http).start();
        let client = world.client();
        let routes: Arc<[_]> = ["orders", "billing"]
            .map(|name| {
                let identity = identity(&world.clients.issue(&Leaf::client(name).serial(7)));
                let expected = thumbprint(&identity);
                (IdentityLayer::new(identity).layer(client.clone()), expected)
            })
            .into();
        assert_ne!(routes[0].1, routes[1].1);

        let mut senders = JoinSet::new();
        for sender in 0..AT_A_TIME {
            let (routes, uri) = (routes.clone(), upstream.uri("/"));
            senders.spawn(async move {
                for number in (sender..REQUESTS).step_by(AT_A_TIME) {
                    // Pseudo-random, the same in every run.
                    let (route, expected) = &routes[number.wrapping_mul(2_654_435_761) >> 7 & 1];
                    let request = Request::get(&uri).header("x-expected", expected);
                    let saw = ask_with(route, request.body(empty()).unwrap()).await;
                    assert_eq!(saw.certificate, *expected, "request {number}");
                }
            });
        }
        senders.join_all().await;

        let seen = upstream.take_seen();
        assert_eq!(seen.len(), REQUESTS);
        for request in &seen {
            assert_eq!(request.peer.http, http);
            let certificate = request.peer.certificate.unwrap().to_string();
            assert_eq!(certificate, request.head.headers["x-expected"]);
        }
        let billing = seen.iter().filter(|request| request.peer.subject == "CN=billing,O=Contoso");
        assert!(billing.count() > REQUESTS / 4);
    }
}

/// Lets the upstream close the connection after a request; returns the next request seen on another connection.
pub(super) async fn ask_on_another_connection(route: &Route, uri: &str) -> Facts {
    let close = Request::get(uri).header(CLOSE, "1").body(empty()).unwrap();
    let first = ask_with(route, close).await;
    loop {
        // In HTTP/2 a request can still start on a connection that is about to close.
        let next = ask(route, uri).await;
        if next.connection != first.connection {
            return next;
        }
    }
}

#[tokio::test]
async fn request_after_a_replacement_presents_the_new_identity_with_resumption_on() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let uri = upstream.uri("/");
        let first = world.identity("orders-0");
        let shared = Shared::new(first.clone());
        let route = IdentityLayer::new(shared.clone()).layer(world.client());

        let mut expected = thumbprint(&first);
        drop(first);
        for round in 1..=50 {
            let saw = ask(&route, &uri).await;
            assert_eq!(saw.certificate, expected, "{tls:?} {http:?} {round}");
            let again = ask_on_another_connection(&route, &uri).await;
            assert!(again.resumed, "{tls:?} {http:?} {round}: sessions of one identity are resumed");
            assert_eq!(again.certificate, expected, "{tls:?} {http:?} {round}");

            let next = world.identity(&format!("orders-{round}"));
            expected = thumbprint(&next);
            shared.replace(next);
            let saw = ask(&route, &uri).await;
            assert_eq!(saw.subject, format!("CN=orders-{round},O=Contoso"));
            assert_eq!(saw.certificate, expected, "{tls:?} {http:?} {round}");
            assert!(!saw.resumed, "{tls:?} {http:?} {round}: the old identity's session is not resumed");
        }
    }
}

#[tokio::test]
async fn repeated_replacement_presents_the_current_identity() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let both = ["orders", "billing"].map(|name| world.identity(name));
        let shared = Shared::new(both[0].clone());
        let route = IdentityLayer::new(shared.clone()).layer(world.client());
        for identity in both.iter().cycle().take(50) {
            shared.replace(identity.clone());
            let saw = ask(&route, &upstream.uri("/")).await;
            assert_eq!(saw.certificate, thumbprint(identity), "{tls:?} {http:?}");
        }
    }
}

#[tokio::test]
async fn requests_in_flight_finish_under_the_old_identity_and_its_connection_closes() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Arc::new(Notify::new());
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let opened = gate.clone();
        let upstream = world
            .upstream()
            .http(http)
            .handler(handler(move |peer, request| {
                let (opened, arrived) = (opened.clone(), arrived.clone());
                async move {
                    if request.uri().path() == "/slow" {
                        arrived.send(()).unwrap();
                        opened.notified().await;
                    }
                    facts(&peer)
                }
            }))
            .start();
        let shared = Shared::new(world.identity("old"));
        let route = IdentityLayer::new(shared.clone()).layer(world.client());
        let slow = {
            let (route, uri) = (route.clone(), upstream.uri("/slow"));
            tokio::spawn(async move { ask(&route, &uri).await })
        };
        in_time("the slow request", arrivals.recv()).await.unwrap();

        shared.replace(world.identity("new"));
        for _ in 0..3 {
            let saw = ask(&route, &upstream.uri("/")).await;
            assert_eq!(saw.subject, "CN=new,O=Contoso");
        }
        gate.notify_one();
        let slow = slow.await.unwrap();
        assert_eq!(slow.subject, "CN=old,O=Contoso");
        upstream.closed(slow.connection).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=new,O=Contoso");
        assert!(!upstream.is_closed(1), "the new identity's connection stays open");
    }
}

#[tokio::test]
async fn idle_connections_of_the_old_identity_close_once_the_new_one_is_used() {
    let world = World::new();
    for http in Http::BOTH {
        let upstream = world.upstream().http(http).start();
        let shared = Shared::new(world.identity("old"));
        let route = IdentityLayer::new(shared.clone()).layer(world.client());
        let old = ask(&route, &upstream.uri("/")).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.connection, old.connection);

        shared.replace(world.identity("new"));
        let new = ask(&route, &upstream.uri("/")).await;
        assert_ne!(new.connection, old.connection);
        upstream.closed(old.connection).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.connection, new.connection);
    }
}

#[tokio::test]
async fn request_without_a_chosen_identity_is_not_sent() {
    let world = World::new();
    let upstream = world.upstream().start();
    let refused = world.client().oneshot(get(&upstream.uri("/"))).await.unwrap_err();
    assert_eq!(refused.kind(), ClientErrorKind::NoIdentity);
    assert!(upstream.peers().is_empty());
}

#[tokio::test]
async fn anonymous_identity_presents_no_certificate() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let client = world.client();
        let known = IdentityLayer::new(world.identity("orders")).layer(client.clone());
        let anonymous = IdentityLayer::anonymous().layer(client);
        // Neither uses the other's connection.
        for _ in 0..2 {
            let saw = ask(&known, &upstream.uri("/")).await;
            assert_eq!(saw.subject, "CN=orders,O=Contoso");
            let saw = ask(&anonymous, &upstream.uri("/")).await;
            assert_eq!(saw.certificate, "");
        }
    }
}

#[tokio::test]
async fn identity_of_one_request_replaces_that_of_its_route() {
    let world = World::new();
    let upstream = world.upstream().start();
    let with = |own: &RequestIdentity| {
        let mut request = get(&upstream.uri("/"));
        request.extensions_mut().insert(own.clone());
        request
    };
    let billing = RequestIdentity::new(world.identity("billing"));
    for layer in [IdentityLayer::new(world.identity("orders")), IdentityLayer::anonymous()] {
        let route = layer.layer(world.client());
        let saw = ask_with(&route, with(&billing)).await;
        assert_eq!(saw.subject, "CN=billing,O=Contoso");
        let failure = send(&route, with(&RequestIdentity::unknown())).await.expect_err("unknown");
        assert_eq!(failure.kind(), ClientErrorKind::UnknownIdentity);
    }
    // The next request uses the route's identity again.
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
}

#[tokio::test]
async fn identity_is_never_sent_over_plain_http() {
    let world = World::new();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    assert_eq!(kind_of_failure(&route, &uri).await, ClientErrorKind::PlaintextIdentity);
    assert!(listener.accept().is_err(), "no connection was made");
}

#[tokio::test]
async fn upstream_that_demands_a_certificate_of_another_authority_refuses_the_identity() {
    let world = World::new();
    let others = Authority::root("Other Client CA");
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).only_for(&others).start();
        let client = world.client();
        for (who, layer) in [
            ("a stranger", IdentityLayer::new(world.identity("orders"))),
            ("anonymous", IdentityLayer::anonymous()),
        ] {
            // On TLS 1.3 the alert can arrive before, while or after the request is written.
            for size in [0, 300_000].repeat(10) {
                let request = Request::post(upstream.uri("/")).body(full(vec![0; size])).unwrap();
                let refused = send(&layer.layer(client.clone()), request).await.unwrap_err();
                assert_eq!(
                    refused.kind(),
                    ClientErrorKind::IdentityRefused,
                    "{who} {tls:?} {http:?} {refused:?}"
                );
            }
        }
        assert_eq!(upstream.requests(), 0);

        let welcome = identity(&others.issue(&Leaf::client("orders")));
        let route = IdentityLayer::new(welcome).layer(client);
        let saw = ask(&route, &upstream.uri("/")).await;
        assert_eq!(saw.subject, "CN=orders,O=Contoso");
    }
}

#[tokio::test]
async fn chain_of_a_pfx_is_sent_whole() {
    let world = World::new();
    let intermediate = world.clients.intermediate("Issuing CA");
    let issued = intermediate.issue(&Leaf::client("orders"));
    let orders = ClientIdentity::from_pfx(issued.pfx("password"), "password").unwrap();
    for tls in Tls::BOTH {
        // Only the intermediate in the middle connects the certificate to this root.
        let upstream = world.upstream().tls(tls).only_for(&world.clients).start();
        let route = IdentityLayer::new(orders.clone()).layer(world.client());
        assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
        assert_eq!(upstream.peers()[0].chain, 2);
    }
}
