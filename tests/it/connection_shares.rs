//! Shares of limited connections, against upstreams that do not respond.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{sync::Arc, time::Duration};

use http::{Uri, uri::Authority};
use tokio::{task::JoinSet, time::timeout};
use tower::Layer;
use tower_mtls::{
    ClientIdentity, IdentityLayer, MtlsClient,
    outbound::{ClientErrorKind, MtlsClientBuilder},
};

use crate::support::{
    Body, Http, eventually, in_time,
    upstream::{Facts, Upstream},
    world::{Gate, Route, World, ask, kind_of_failure},
};

const LIMIT: usize = 8;

/// Streams of one HTTP/2 connection.
const STREAMS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limited {
    /// One upstream of both routes, to which they share a pool.
    Upstream,
    /// All upstreams, of which each route has one.
    Total,
}

const LIMITED: [Limited; 2] = [Limited::Upstream, Limited::Total];

/// Routes with shares of one client.
struct Shared {
    http: Http,
    gate: Arc<Gate>,
    upstreams: Vec<Upstream>,
    client: MtlsClient<Body>,
    identity: ClientIdentity,
}

impl Shared {
    fn new(world: &World, http: Http, limited: Limited, connect_timeout: Duration) -> Self {
        let gate = Gate::new();
        let builder = || world.upstream().http(http).streams(STREAMS as u32).handler(gate.handler());
        let upstreams = match limited {
            Limited::Upstream => vec![builder().start()],
            Limited::Total => vec![builder().start(), builder().start()],
        };
        let limit = |builder: MtlsClientBuilder| match limited {
            Limited::Upstream => builder.with_max_connections(LIMIT),
            Limited::Total => builder.with_max_total_connections(LIMIT),
        };
        let client = world.client_with(|builder| limit(builder).with_connect_timeout(connect_timeout));
        Self { http, gate, upstreams, client, identity: world.identity("orders") }
    }

    fn upstream(&self, route: usize) -> &Upstream {
        &self.upstreams[route % self.upstreams.len()]
    }

    fn route(&self, route: usize) -> Route {
        let uri: Uri = self.upstream(route).uri("/").parse().unwrap();
        let share = self.client.connection_share(&format!("/{route}"), uri.authority());
        let layer = IdentityLayer::new(self.identity.clone()).with_connection_share(share);
        layer.layer(self.client.clone())
    }

    /// Concurrent requests on this number of connections.
    fn requests_on(&self, connections: usize) -> usize {
        match self.http {
            Http::One => connections,
            Http::Two => connections * STREAMS,
        }
    }

    /// Sends requests to the first upstream that wait there.
    fn waiting(&self, route: &Route, requests: usize) -> JoinSet<Facts> {
        (0..requests)
            .map(|_| {
                let (route, uri) = (route.clone(), self.upstream(0).uri("/wait"));
                async move { ask(&route, &uri).await }
            })
            .collect()
    }

    fn open(&self) -> usize {
        self.upstreams.iter().map(Upstream::open).sum()
    }
}

#[tokio::test]
async fn route_whose_upstream_is_silent_leaves_connections_to_other_routes() {
    let world = World::new();
    for (http, limited) in Http::BOTH.into_iter().flat_map(|http| LIMITED.map(|limited| (http, limited))) {
        let shared = Shared::new(&world, http, limited, Duration::from_millis(300));
        let [slow, other] = [0, 1].map(|route| shared.route(route));
        let most = shared.requests_on(LIMIT - 1);
        let mut stuck = shared.waiting(&slow, most);
        shared.gate.arrived(most).await;
        for round in 0..3 {
            let kind = kind_of_failure(&slow, &shared.upstream(0).uri("/")).await;
            assert_eq!(kind, ClientErrorKind::TooManyConnections, "{http:?} {limited:?} {round}");
            ask(&other, &shared.upstream(1).uri("/")).await;
            assert!(shared.open() <= LIMIT, "{http:?} {limited:?}");
        }
        // Once its requests are complete the slow route can use connections again, those of the other one included.
        shared.gate.let_go(most);
        while stuck.join_next().await.is_some() {}
        ask(&slow, &shared.upstream(0).uri("/")).await;
        let again = shared.waiting(&slow, most);
        shared.gate.arrived(2 * most).await;
        ask(&other, &shared.upstream(1).uri("/")).await;
        shared.gate.let_go(most);
        assert_eq!(again.join_all().await.len(), most);
        let handshakes: usize = shared.upstreams.iter().map(|upstream| upstream.peers().len()).sum();
        assert_eq!(handshakes, LIMIT, "{http:?} {limited:?}: connections are kept and used again");
    }
}

#[tokio::test]
async fn only_route_can_use_all_connections() {
    let world = World::new();
    for http in Http::BOTH {
        let shared = Shared::new(&world, http, Limited::Upstream, Duration::from_secs(5));
        let only = shared.route(0);
        // A route to another upstream has no share in this one's limit.
        let elsewhere = Authority::from_static("elsewhere.example:1");
        let _other = shared.client.connection_share("/other", Some(&elsewhere));
        let most = shared.requests_on(LIMIT);
        let requests = shared.waiting(&only, most);
        shared.gate.arrived(most).await;
        assert_eq!(shared.open(), LIMIT, "{http:?}");
        shared.gate.let_go(most);
        assert_eq!(requests.join_all().await.len(), most);
    }
}

#[tokio::test]
async fn waiting_routes_take_turns_however_many_requests_wait() {
    let world = World::new();
    let shared = Shared::new(&world, Http::One, Limited::Upstream, Duration::from_secs(20));
    let [busy, other, third] = [0, 1, 2].map(|route| shared.route(route));
    let used = shared.waiting(&busy, LIMIT - 1);
    shared.gate.arrived(LIMIT - 1).await;
    let reserved = shared.waiting(&third, 1);
    shared.gate.arrived(LIMIT).await;
    let waiting = shared.waiting(&busy, 50);
    let mut asked = tokio::spawn({
        let (route, uri) = (other.clone(), shared.upstream(0).uri("/"));
        async move { ask(&route, &uri).await }
    });
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err(), "all connections are in use");
    // One connection is free: for the route that uses none.
    shared.gate.let_go(1);
    in_time("the other route", asked).await.unwrap();
    shared.gate.let_go(LIMIT - 1 + 50);
    assert_eq!(used.join_all().await.len() + reserved.join_all().await.len(), LIMIT);
    assert_eq!(waiting.join_all().await.len(), 50);
}

#[tokio::test]
async fn abandoned_requests_use_no_connections() {
    let world = World::new();
    for http in Http::BOTH {
        let shared = Shared::new(&world, http, Limited::Upstream, Duration::from_secs(20));
        let [slow, other] = [0, 1].map(|route| shared.route(route));
        let most = shared.requests_on(LIMIT - 1);
        for round in 1..=3 {
            let mut stuck = shared.waiting(&slow, most);
            shared.gate.arrived(round * most).await;
            // These wait for their turn.
            let mut waiting = shared.waiting(&slow, 20);
            assert!(timeout(Duration::from_millis(100), waiting.join_next()).await.is_err());
            waiting.shutdown().await;
            stuck.shutdown().await;
            ask(&other, &shared.upstream(0).uri("/")).await;
            eventually("few connections", || shared.open() <= LIMIT).await;
        }
    }
}
