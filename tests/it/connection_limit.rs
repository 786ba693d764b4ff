//! Connection limits per upstream, across all identities.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::time::Duration;

use tokio::task::JoinSet;
use tower::Layer;
use tower_mtls::{IdentityLayer, outbound::ClientErrorKind};

use crate::support::{
    Http, Tls,
    world::{Gate, Route, World, ask, kind_of_failure},
};

/// Two routes with different identities through one client.
fn routes(world: &World, connections: usize, connect_timeout: Duration) -> [Route; 2] {
    let client = world.client_with(|builder| {
        builder.with_max_connections(connections).with_connect_timeout(connect_timeout)
    });
    ["orders", "billing"].map(|name| IdentityLayer::new(world.identity(name)).layer(client.clone()))
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_for_a_connection_and_use_it_again() {
    let world = World::new();
    for (http, at_a_time) in [(Http::One, 2), (Http::Two, 6)] {
        let gate = Gate::new();
        let upstream = world.upstream().http(http).streams(3).handler(gate.handler()).start();
        let [route, _] = routes(&world, 2, Duration::from_secs(5));
        let answers: JoinSet<_> = (0..24)
            .map(|_| {
                let (route, uri) = (route.clone(), upstream.uri("/wait"));
                async move { ask(&route, &uri).await }
            })
            .collect();
        for round in 1..=24 / at_a_time {
            gate.arrived(round * at_a_time).await;
            assert!(upstream.open() <= 2, "{http:?}");
            gate.let_go(at_a_time);
        }
        assert_eq!(answers.join_all().await.len(), 24);
        assert_eq!(upstream.peers().len(), 2, "{http:?}: as many handshakes as connections");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identities_share_the_limit_and_neither_starves() {
    let world = World::new();
    for (http, connections) in [(Http::One, 2), (Http::Two, 2), (Http::One, 1), (Http::Two, 1)] {
        let gate = Gate::new();
        let upstream = world.upstream().http(http).streams(2).handler(gate.handler()).start();
        let routes = routes(&world, connections, Duration::from_secs(20));
        let mut senders = JoinSet::new();
        for sender in 0..20 {
            let (route, uri) = (routes[sender % 2].clone(), upstream.uri("/"));
            let expected = ["CN=orders,O=Contoso", "CN=billing,O=Contoso"][sender % 2];
            senders.spawn(async move {
                for _ in 0..10 {
                    assert_eq!(ask(&route, &uri).await.subject, expected);
                }
            });
        }
        senders.join_all().await;
        assert!(upstream.open() <= connections, "{http:?}");
        assert_eq!(upstream.requests(), 200);
    }
}

#[tokio::test]
async fn idle_connection_of_another_identity_makes_room() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Gate::new();
        let upstream = world.upstream().tls(Tls::V12).http(http).handler(gate.handler()).start();
        let [orders, billing] = routes(&world, 1, Duration::from_secs(5));
        for _ in 0..5 {
            assert_eq!(ask(&orders, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
            assert_eq!(ask(&billing, &upstream.uri("/")).await.subject, "CN=billing,O=Contoso");
        }

        // A connection that becomes idle while a request waits makes room as well.
        let busy = tokio::spawn({
            let (route, uri) = (orders.clone(), upstream.uri("/wait"));
            async move { ask(&route, &uri).await }
        });
        gate.arrived(1).await;
        let mut waiting = tokio::spawn({
            let (route, uri) = (billing.clone(), upstream.uri("/"));
            async move { ask(&route, &uri).await }
        });
        let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(early.is_err(), "{http:?}: the only connection is in use");
        gate.let_go(1);
        busy.await.unwrap();
        assert_eq!(waiting.await.unwrap().subject, "CN=billing,O=Contoso");
    }
}

#[tokio::test]
async fn connections_to_all_upstreams_can_be_limited_and_idle_ones_make_room() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Gate::new();
        let upstreams = [(); 4].map(|()| world.upstream().http(http).handler(gate.handler()).start());
        let client = world.client_with(|builder| builder.with_max_total_connections(2));
        let route = IdentityLayer::new(world.identity("orders")).layer(client);
        for _ in 0..3 {
            for upstream in &upstreams {
                ask(&route, &upstream.uri("/")).await;
            }
        }
        let open: usize = upstreams.iter().map(|upstream| upstream.open()).sum();
        assert!(open <= 2, "{http:?}: {open}");
    }
}

#[tokio::test]
async fn request_that_gets_no_connection_in_time_is_not_sent() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Gate::new();
        let upstream = world.upstream().http(http).streams(1).handler(gate.handler()).start();
        let [orders, billing] = routes(&world, 1, Duration::from_millis(300));
        let busy = tokio::spawn({
            let (route, uri) = (orders.clone(), upstream.uri("/wait"));
            async move { ask(&route, &uri).await }
        });
        gate.arrived(1).await;
        for route in [&orders, &billing] {
            let kind = kind_of_failure(route, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::TooManyConnections, "{http:?}");
        }
        gate.let_go(1);
        busy.await.unwrap();
        assert_eq!(upstream.requests(), 1);
        for route in [&orders, &billing] {
            ask(route, &upstream.uri("/")).await;
        }
    }
}
