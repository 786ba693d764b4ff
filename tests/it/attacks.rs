//! Attacks on small servers of axum and tonic that are built with `serve`: their bounds, good callers meanwhile, and
//! their ends.
#![cfg(all(
    target_os = "linux",
    feature = "serve",
    feature = "axum",
    feature = "tonic",
    feature = "aws-lc-rs"
))]

mod files;
mod row;
mod world;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tower_mtls::serve::TimeoutKind::{self, Flood, Head, Rate, Unread};

use self::{
    row::{Row, survive},
    world::World,
};
use crate::support::{
    Http,
    attackers::{
        Attackers, Flood as Frames, PACE,
        Protocol::{self, Http1, Http2},
        Stage,
    },
};

/// Each timeout of the servers, unless another one is stated.
const SECOND: Duration = Duration::from_secs(1);

/// `handshake_timeout` and `idle_timeout`: good callers share the processor with their attackers.
const HANDSHAKE: Duration = SECOND.saturating_mul(2);

/// Time that a connection may be held beyond its deadline.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Longest response time of a good caller, with a new connection, in an unoptimised build.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(3);

/// Connections of a server.
const CONNECTIONS: usize = 64;

/// A part of a large response.
static PIECE: [u8; 16_384] = [b'x'; 16_384];

const ANY: &[Protocol] = &[Http1, Http2];
const HTTP1: &[Protocol] = &[Http1];
const HTTP2: &[Protocol] = &[Http2];

/// An idle HTTP/2 connection gets GOAWAY, and another `idle_timeout`.
const IDLE: Duration = HANDSHAKE.saturating_mul(2);

/// After `body_timeout` the rest of the body is discarded for a second, and an HTTP/2 connection becomes idle.
const BODY: Duration = IDLE.saturating_add(TWICE);

/// Streams that are served when others have timed out.
const TWICE: Duration = SECOND.saturating_mul(2);

/// Duration of an attack that does not end.
const CHURN: Duration = SECOND.saturating_mul(3);

/// `body_timeout` of callers of a byte a second.
const PATIENCE: Duration = SECOND.saturating_mul(3);

/// `min_data_rate` applies after 5 s; an HTTP/2 connection then becomes idle.
const RATE: Duration = IDLE.saturating_add(SECOND.saturating_mul(5));

/// Stage and protocols; connections, maximum number of exchanges of each; deadline, and the reason that closes the
/// connections, if it is not their idleness or an error.
#[rustfmt::skip]
const STALLS: &[Row] = &[
    row("silent TCP",             Stage::SilentTcp,          ANY,   10,  0, HANDSHAKE, None),
    row("slow handshake",         Stage::SlowHandshake,      ANY,   10,  0, HANDSHAKE, None),
    row("silent TLS",             Stage::SilentTls,          ANY,   10,  0, IDLE,   None),
    row("slow head",              Stage::SlowHead,           HTTP1, 10,  0, SECOND, Some(Head)),
    row("slow head",              Stage::SlowHead,           HTTP2, 10,  0, IDLE,   None),
    row("slow header block",      Stage::SlowHeaderBlock,    HTTP2, 10,  1, SECOND, None),
    row("silent body",            Stage::SilentBody,         ANY,   10,  1, BODY,   None),
    row("unread response",        Stage::Unread,             ANY,   10,  1, SECOND, Some(Unread)),
    row("slowly read socket",     Stage::SlowRead,           HTTP1, 10,  1, SECOND, Some(Unread)),
    row("window 0",               Stage::WindowZero,         HTTP2, 10,  1, SECOND, Some(Unread)),
    row("window 0, rejected",     Stage::WindowZeroRejected, HTTP2, 10,  1, SECOND, Some(Unread)),
    row("unread 250 streams",     Stage::UnreadStreams,      HTTP2,  3, 20, TWICE,  Some(Unread)),
    row("vanished peer",          Stage::Vanished,           ANY,   10,  0, IDLE,   None),
    row("vanished reader",        Stage::VanishedReader,     ANY,   10,  1, SECOND, Some(Unread)),
    row("self-made certificates", Stage::OwnCertificate,     ANY,   20,  1, IDLE,   None),
];

/// Only axum switches protocols.
#[rustfmt::skip]
const TUNNELS: &[Row] = &[
    row("idle tunnel",            Stage::IdleTunnel,         HTTP1, 10,  1, SECOND, None),
];

/// A byte a second of each caller.
#[rustfmt::skip]
const DRIPS: &[Row] = &[
    drip("slow handshake",        Stage::SlowHandshake,      ANY,   10,  0, HANDSHAKE, None),
    drip("slow head",             Stage::SlowHead,           HTTP1, 10,  0, SECOND, Some(Head)),
    drip("slow head",             Stage::SlowHead,           HTTP2, 10,  0, IDLE,   None),
    drip("slow header block",     Stage::SlowHeaderBlock,    HTTP2, 10,  1, SECOND, Some(Head)),
    drip("slow body",             Stage::SlowBody,           ANY,   10,  1, RATE,   None),
    drip("slowly read socket",    Stage::SlowRead,           HTTP1, 10,  1, PATIENCE, Some(Unread)),
    drip("window by the byte",    Stage::SlowRead,           HTTP2, 10,  1, RATE,   Some(Rate)),
];

/// Floods end as soon as they exceed their rate.
#[rustfmt::skip]
const FLOODS: &[Row] = &[
    flood("flood of PING",          Frames::Ping,          0),
    flood("flood of SETTINGS",      Frames::Settings,      0),
    flood("flood of PRIORITY",      Frames::Priority,      0),
    flood("flood of WINDOW_UPDATE", Frames::WindowUpdate,  0),
    flood("flood of RST_STREAM",    Frames::RstStream,    64),
    flood("flood of empty DATA",    Frames::EmptyData,     1),
    flood("flood of CONTINUATION",  Frames::Continuation,  0),
];

const fn row(
    attack: &'static str,
    stage: Stage,
    protocols: &'static [Protocol],
    connections: usize,
    exchanges: usize,
    freed: Duration,
    timeout: Option<TimeoutKind>,
) -> Row {
    let (pace, body_timeout) = (PACE, SECOND);
    Row { attack, stage, protocols, connections, exchanges, freed, timeout, pace, body_timeout }
}

const fn drip(
    attack: &'static str,
    stage: Stage,
    protocols: &'static [Protocol],
    connections: usize,
    exchanges: usize,
    freed: Duration,
    timeout: Option<TimeoutKind>,
) -> Row {
    let (pace, body_timeout) = (SECOND, PATIENCE);
    Row { attack, stage, protocols, connections, exchanges, freed, timeout, pace, body_timeout }
}

const fn flood(attack: &'static str, frames: Frames, exchanges: usize) -> Row {
    row(attack, Stage::Flood(frames), HTTP2, 3, exchanges, Duration::ZERO, Some(Flood))
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_server_bounds_stalled_callers() {
    survive(World::axum, &[STALLS, TUNNELS].concat(), ANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tonic_server_bounds_stalled_callers() {
    survive(World::tonic, STALLS, HTTP2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_server_bounds_callers_of_a_byte_a_second() {
    survive(World::axum, DRIPS, ANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tonic_server_bounds_callers_of_a_byte_a_second() {
    survive(World::tonic, DRIPS, HTTP2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_server_ends_floods_of_http2_frames() {
    survive(World::axum, FLOODS, HTTP2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tonic_server_ends_floods_of_http2_frames() {
    survive(World::tonic, FLOODS, HTTP2).await;
}

/// Attackers hold and renew more connections than the server's limit, or connect as fast as they can, from one address
/// and from 200.
async fn survive_churn(world: World, protocols: &[Protocol]) {
    let many: Vec<_> = (2..202).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
    for (stage, sources, size, pace) in [
        (Stage::Renewed, &many[..1], 100, PACE),
        (Stage::Renewed, &many[..], many.len(), 2 * PACE),
        (Stage::Churn, &many[..1], 10, PACE),
    ] {
        for protocol in protocols {
            let is_stopped = Arc::new(AtomicBool::new(false));
            let attacking = async {
                let mut attackers = Attackers::new(world.target(), sources);
                for index in 0..size {
                    attackers.add(world.target(), *protocol, stage, sources[index % sources.len()], pace);
                }
                let (start, mut most) = (Instant::now(), 0);
                while start.elapsed() < CHURN {
                    most = most.max(attackers.open());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                is_stopped.store(true, Ordering::SeqCst);
                let connected = attackers.connected();
                attackers.stop().await;
                (most, connected, attackers.freed(TOLERANCE).await)
            };
            let (held, calls) = tokio::join!(attacking, world.call(Http::Two, &is_stopped));
            let ((most, connected, freed), calls) = (held, calls.unwrap());
            let attack = format!("{stage:?} of {} addresses over {protocol:?}", sources.len());
            println!(
                "{attack}: {connected} connections, {most} at once, freed after {freed:?}, {calls} good calls"
            );
            assert!(connected > size, "{attack}: {connected} connections");
            // Connections that wait in the kernel's queue are not accepted.
            assert!(matches!(stage, Stage::Churn) || most > CONNECTIONS / 2, "{attack}: {most} at once");
            assert!(world.connections() <= CONNECTIONS, "{attack}: {}", world.connections());
            assert!(freed.is_some(), "{attack}: {} are open", world.connections());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_churning_attackers_make_room_for_good_callers() {
    survive_churn(World::axum(SECOND), ANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_churning_attackers_make_room_for_good_grpc_callers() {
    survive_churn(World::tonic(SECOND), HTTP2).await;
}
