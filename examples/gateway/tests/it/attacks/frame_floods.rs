//! Floods of HTTP/2 frames.

use std::time::Duration;

use super::{
    row::{Row, survive},
    world,
    world::Listener::{Main, Management},
};
use crate::support::attackers::{Flood, Protocol::Http2, Stage};

/// A flood ends as soon as it exceeds its rate.
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

/// Maximum number of exchanges of each connection with the upstream.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("flood of PING",          Flood::Ping,          0),
    row("flood of SETTINGS",      Flood::Settings,      0),
    row("flood of PRIORITY",      Flood::Priority,      0),
    row("flood of WINDOW_UPDATE", Flood::WindowUpdate,  0),
    row("flood of RST_STREAM",    Flood::RstStream,    64),
    row("flood of empty DATA",    Flood::EmptyData,     1),
    row("flood of CONTINUATION",  Flood::Continuation,  0),
];

const fn row(attack: &'static str, flood: Flood, exchanges: usize) -> Row {
    Row {
        attack,
        stage: Stage::Flood(flood),
        protocols: &[Http2],
        listeners: &[Main, Management],
        connections: 3,
        exchanges,
        freed: AT_ONCE,
        timeout: "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_frames_end_their_connection() {
    survive(&world().await, TABLE, Main, Http2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_frames_end_their_connection_to_the_management_listener() {
    survive(&world().await, TABLE, Management, Http2).await;
}
