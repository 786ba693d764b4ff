//! Callers that stall at each stage of a connection.

use std::time::Duration;

use super::{
    SECOND,
    row::{Row, survive},
    world,
    world::Listener::{self, Main, Management},
};
use crate::support::attackers::{
    Protocol::{self, Http1, Http2},
    Stage,
};

const BOTH: &[Listener] = &[Main, Management];
const MANAGEMENT: &[Listener] = &[Management];
const ANY: &[Protocol] = &[Http1, Http2];

/// An idle HTTP/2 connection gets GOAWAY, and another `idle_timeout`.
const IDLE: Duration = SECOND.saturating_mul(2);

/// `min_data_rate` applies after 5 s; an HTTP/2 connection then becomes idle.
const RATE: Duration = SECOND.saturating_mul(5 + 4);

/// Streams that are served when others have timed out.
const TWICE: Duration = SECOND.saturating_mul(2);

/// After `body_timeout` the rest of the body is discarded for a second, and an HTTP/2 connection becomes idle.
const BODY: Duration = SECOND.saturating_mul(4);

/// Stage, protocols and listeners; connections, maximum number of exchanges of each with the upstream; deadline, and
/// the timeout that closes the connections.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("silent TCP",             Stage::SilentTcp,          ANY,      BOTH,    20,  0, SECOND, ""),
    row("slow handshake",         Stage::SlowHandshake,      ANY,      BOTH,    20,  0, SECOND, ""),
    row("silent TLS",             Stage::SilentTls,          ANY,      BOTH,    20,  0, IDLE,   ""),
    row("slow head",              Stage::SlowHead,           &[Http1], BOTH,    20,  0, SECOND, "head"),
    row("slow head",              Stage::SlowHead,           &[Http2], BOTH,    20,  0, IDLE,   ""),
    row("silent body",            Stage::SilentBody,         ANY,      BOTH,    20,  1, BODY,   ""),
    row("slow body",              Stage::SlowBody,           ANY,      BOTH,    10,  1, RATE,   ""),
    row("slow header block",      Stage::SlowHeaderBlock,    &[Http2], &[Main], 10,  1, SECOND, "flood"),
    row("window by the byte",     Stage::SlowRead,           &[Http2], BOTH,    10,  1, RATE,   ""),
    row("idle tunnel",            Stage::IdleTunnel,         &[Http1], &[Main], 10,  1, SECOND, ""),
    row("unread response",        Stage::Unread,             ANY,      &[Main], 10,  1, SECOND, "unread"),
    row("unread responses",       Stage::Unread,             &[Http1], MANAGEMENT, 10, 0, SECOND, ""),
    row("slowly read socket",     Stage::SlowRead,           &[Http1], &[Main],   10,  1, SECOND, "unread"),
    row("window 0",               Stage::WindowZero,         &[Http2], BOTH,    10,  1, SECOND, "unread"),
    row("window 0, rejected",     Stage::WindowZeroRejected, &[Http2], BOTH,    20,  0, SECOND, "unread"),
    row("unread 250 streams",     Stage::UnreadStreams,      &[Http2], BOTH,     3, 20, TWICE,  "unread"),
    row("vanished peer",          Stage::Vanished,           ANY,      BOTH,    20,  0, IDLE,   ""),
    row("vanished reader",        Stage::VanishedReader,     ANY,      &[Main], 10,  1, SECOND, "unread"),
    row("self-made certificates", Stage::OwnCertificate,     ANY,      &[Main], 20,  0, IDLE,   ""),
];

#[allow(clippy::too_many_arguments, reason = "the columns of the table")]
const fn row(
    attack: &'static str,
    stage: Stage,
    protocols: &'static [Protocol],
    listeners: &'static [Listener],
    connections: usize,
    exchanges: usize,
    freed: Duration,
    timeout: &'static str,
) -> Row {
    Row { attack, stage, protocols, listeners, connections, exchanges, freed: Some(freed), timeout }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_http1_callers_are_bounded() {
    survive(&world().await, TABLE, Main, Http1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_http2_callers_are_bounded() {
    survive(&world().await, TABLE, Main, Http2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_http1_callers_of_the_management_listener_are_bounded() {
    survive(&world().await, TABLE, Management, Http1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_http2_callers_of_the_management_listener_are_bounded() {
    survive(&world().await, TABLE, Management, Http2).await;
}
