//! Attackers of the maximum numbers of connections.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use super::{
    LIMITS,
    good_callers::GoodCallers,
    world::{
        Listener::{Main, Management},
        World,
    },
};
use crate::support::{
    attackers::{
        Attackers,
        Protocol::{Http1, Http2},
        Stage,
    },
    eventually,
};

/// Attackers connect again whenever they lose their connection: from one address, and from 200.
#[tokio::test(flavor = "multi_thread")]
async fn renewed_connections_beyond_the_maximum_delay_no_caller() {
    let world = World::with_limits(&["http/1.1"], &format!("{LIMITS}\nmax_connections = 64")).await;
    let many: Vec<_> = (2..202).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
    for (addresses, listener, protocol) in
        [(1, Main, Http1), (1, Main, Http2), (200, Main, Http1), (200, Main, Http2), (200, Management, Http1)]
    {
        let good = GoodCallers::start_with_retry(&world);
        let sources = &many[..addresses];
        let mut attackers =
            Attackers::start_from(sources, &world.target(listener), protocol, Stage::Renewed, 120);
        let (start, mut most) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(3) {
            most = most.max(attackers.open());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let calls = good.stop().unwrap();
        println!("{addresses} addresses, {listener:?} {protocol:?}: {most} connections, {calls} good calls");
        assert!(most >= 32, "{most} connections");
        attackers.stop().await;
        assert!(attackers.freed(Duration::from_secs(2)).await.is_some(), "{} connections", attackers.open());
    }
}

/// Each maximum by its own, with timeouts that do not end the connections meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn configured_maximum_of_connections_bounds_its_attackers() {
    for (key, maximum, stage) in [
        ("max_connections", 16, Stage::SilentTls),
        ("max_connections_per_address", 4, Stage::SilentTls),
        ("max_handshakes", 16, Stage::SilentTcp),
        ("max_handshakes_per_address", 4, Stage::SilentTcp),
    ] {
        let limits = format!("{key} = {maximum}\nhandshake_timeout = \"60s\"\nidle_timeout = \"60s\"");
        let world = World::with_limits(&["http/1.1"], &limits).await;
        let good = GoodCallers::start(&world);
        let attackers = Attackers::start(&world.target(Main), Http1, stage, 40);
        eventually(&format!("{key} to bound its attackers"), || {
            (1..=maximum).contains(&attackers.open()) && attackers.connected() == 40
        })
        .await;
        good.stop().unwrap_or_else(|problem| panic!("{key}: {problem}"));
    }
}
