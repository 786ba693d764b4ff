//! Callers that send or connect as fast as the gateway lets them.

use super::{
    LIMITS,
    row::{Row, survive},
    world,
    world::{
        Listener::{self, Main, Management},
        World,
    },
};
use crate::support::attackers::{
    Protocol::{self, Http1, Http2},
    Stage,
};

const BOTH: &[Listener] = &[Main, Management];
const ANY: &[Protocol] = &[Http1, Http2];

/// Attacks that end with their attackers: attackers, and maximum number of exchanges of each with the upstream.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("churn of connections", Stage::Churn,    ANY, BOTH, 10, 0),
    row("log flood",            Stage::Rejected, ANY, BOTH, 10, 0),
];

const fn row(
    attack: &'static str,
    stage: Stage,
    protocols: &'static [Protocol],
    listeners: &'static [Listener],
    connections: usize,
    exchanges: usize,
) -> Row {
    Row { attack, stage, protocols, listeners, connections, exchanges, freed: None, timeout: "" }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_connections_and_rejections_are_bounded() {
    let world = world().await;
    for listener in [Main, Management] {
        for protocol in [Http1, Http2] {
            survive(&world, TABLE, listener, protocol).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_reader_of_a_flooded_log_delays_no_caller() {
    // Debug lines are not limited in number: they fill the pipe.
    let world = World::logging(&["http/1.1"], LIMITS, "debug").await;
    world.running.stall(true);
    for protocol in [Http1, Http2] {
        survive(&world, TABLE, Main, protocol).await;
    }
    world.running.stall(false);
    world.running.logged(0, "log lines dropped");
}
