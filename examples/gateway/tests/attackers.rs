//! Separate binary: response times of good callers while attackers hold connections at every stage.
//!
//! 200 attackers, or 2,000 with `TOWER_MTLS_LONG`, each sending or reading at most a byte per second.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[allow(dead_code, reason = "shared with the attack table")]
#[path = "it/attacks/world.rs"]
mod world;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{
    attackers::{
        Attackers,
        Protocol::{self, Http1, Http2},
        Stage, Target,
    },
    get, raise_open_files, whole,
};
use tokio::{task::JoinSet, time};
use world::{Listener, World};

const GOOD: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The attackers of a stage have an address of their own.
const ATTACKERS: [u8; 3] = [127, 0, 1];

/// Time between the bytes of an attacker.
const PACE: Duration = Duration::from_secs(1);

/// Time between two calls of each kind: 50 calls a second in all.
const INTERVAL: Duration = Duration::from_millis(80);

/// Difference of response times that other work on the machine can cause. Handshakes of an unoptimised build are slow.
const NOISE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 10 });

/// Longest response time of `/healthz`.
const MAX_HEALTH: Duration = Duration::from_secs(1);

/// Time that a connection may be held beyond its deadline.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Buffered bytes of all connections, in MiB, and the bound of the process's growth.
const MAX_BUFFERED: u64 = 256;

#[rustfmt::skip]
const STAGES: &[(Stage, &[Protocol])] = &[
    (Stage::SilentTcp,     &[Http1]),
    (Stage::SlowHandshake, &[Http1, Http2]),
    (Stage::SilentTls,     &[Http1, Http2]),
    (Stage::SlowHead,      &[Http1, Http2]),
    (Stage::SlowBody,      &[Http1, Http2]),
    (Stage::Unread,        &[Http2]),
    (Stage::SlowRead,      &[Http1, Http2]),
    (Stage::WindowZero,    &[Http2]),
];

/// Attackers of one stage.
#[derive(Clone, Copy)]
struct Kind {
    stage: Stage,
    protocol: Protocol,
    source: Ipv4Addr,
}

fn kinds() -> Vec<Kind> {
    let [a, b, c] = ATTACKERS;
    let kinds =
        STAGES.iter().flat_map(|(stage, protocols)| protocols.iter().map(move |http| (*stage, *http)));
    let kind = |(d, (stage, protocol))| Kind { stage, protocol, source: Ipv4Addr::new(a, b, c, d) };
    (1..).zip(kinds).map(kind).collect()
}

/// Returns the stages that hold connections, with their numbers.
fn held(attackers: &Attackers, kinds: &[Kind]) -> Vec<(Stage, Protocol, usize)> {
    let held = |kind: &Kind| (kind.stage, kind.protocol, attackers.open_from(kind.source));
    kinds.iter().map(held).filter(|(.., open)| *open > 0).collect()
}

/// Response times since the last reading.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<Duration>>>);

impl Times {
    fn add(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
    }

    /// Takes the times, and returns their number, the 99th percentile and the maximum.
    fn take(&self) -> (usize, Duration, Duration) {
        let mut times = std::mem::take(&mut *self.0.lock().unwrap());
        times.sort();
        (times.len(), times[times.len() * 99 / 100], *times.last().unwrap())
    }
}

async fn connect1(target: &Target) -> http1::SendRequest<Empty<Bytes>> {
    let stream = target.handshake(target.connect(GOOD, false).await.unwrap(), Http1).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn connect2(target: &Target) -> http2::SendRequest<Empty<Bytes>> {
    let stream = target.handshake(target.connect(GOOD, false).await.unwrap(), Http2).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Calls at a steady rate, until the set is dropped: over new and kept connections of both versions, and `/healthz` over
/// new ones.
async fn good_callers(main: Target, management: Target) -> (JoinSet<()>, Times, Times) {
    let (times, health, mut calling) = (Times::default(), Times::default(), JoinSet::new());
    let (mut kept1, mut kept2) = (connect1(&main).await, connect2(&main).await);
    let tick = || time::interval(INTERVAL);
    let (noted, mut ticks) = (times.clone(), tick());
    calling.spawn(async move {
        loop {
            let start = ticks.tick().await;
            kept1.ready().await.unwrap();
            let response = kept1.send_request(get("/open/small")).await.unwrap();
            assert_eq!(whole(response).await.0, 200);
            noted.add(start.elapsed());
        }
    });
    let (noted, mut ticks) = (times.clone(), tick());
    calling.spawn(async move {
        loop {
            let start = ticks.tick().await;
            let response = kept2.send_request(get("/open/small")).await.unwrap();
            assert_eq!(whole(response).await.0, 200);
            noted.add(start.elapsed());
        }
    });
    let kinds = [(Http1, "/open/small", &main, &times), (Http2, "/open/small", &main, &times)];
    for (protocol, path, target, times) in
        kinds.into_iter().chain([(Http1, "/healthz", &management, &health)])
    {
        let (target, noted, mut ticks) = (target.clone(), times.clone(), tick());
        calling.spawn(async move {
            loop {
                let start = ticks.tick().await;
                let response = match protocol {
                    Http1 => connect1(&target).await.send_request(get(path)).await.unwrap(),
                    Http2 => connect2(&target).await.send_request(get(path)).await.unwrap(),
                };
                assert_eq!(whole(response).await.0, 200, "{path}");
                noted.add(start.elapsed());
            }
        });
    }
    (calling, times, health)
}

#[tokio::test(flavor = "multi_thread")]
async fn attackers_at_every_stage_delay_no_good_caller() {
    raise_open_files();
    let is_long = std::env::var_os("TOWER_MTLS_LONG").is_some();
    let (count, seconds) = if is_long { (2_000, 20) } else { (200, 5) };
    let deadline = Duration::from_secs(seconds);
    // An idle HTTP/2 connection gets GOAWAY, and another `idle_timeout`.
    let idle = seconds * 500;
    let limits = format!(
        "handshake_timeout = \"{seconds}s\"\nhead_timeout = \"{seconds}s\"\nbody_timeout = \"{seconds}s\"\n\
         idle_timeout = \"{idle}ms\"\nmax_buffered_bytes = \"{MAX_BUFFERED}MiB\"\n"
    );
    let world = World::logging(&["http/1.1"], &limits, "info").await;
    let (main, management) = (world.target(Listener::Main), world.target(Listener::Management));
    let (mut calling, times, health) = good_callers(main.clone(), management).await;

    // One-time allocations and first connections to the upstream.
    time::sleep(Duration::from_secs(1)).await;
    times.take();
    time::sleep(deadline).await;
    let (calls, quiet, _) = times.take();
    health.take();
    println!("quiet: {calls} calls, 99th percentile {quiet:?}");
    let memory = world.running.resident_memory();

    let kinds: Vec<Kind> = kinds();
    let sources: Vec<Ipv4Addr> = kinds.iter().map(|kind| kind.source).collect();
    let mut attackers = Attackers::new(&main, &sources).with_default_buffers();
    // At a rate that leaves the machine time for handshakes: all are open at half of the deadline.
    let mut opening = time::interval(deadline / (2 * u32::try_from(count).unwrap()));
    for Kind { stage, protocol, source } in kinds.iter().copied().cycle().take(count) {
        opening.tick().await;
        attackers.add(&main, protocol, stage, source, PACE);
    }
    attackers.reached().await;
    let (_, connecting, _) = times.take();
    let start = Instant::now();
    let (mut open, mut most_memory) = (0, 0);
    loop {
        let now = attackers.open();
        open = open.max(now);
        most_memory = most_memory.max(world.running.resident_memory());
        let elapsed = start.elapsed();
        assert!(elapsed < deadline + TOLERANCE, "after {elapsed:?}: {:?}", held(&attackers, &kinds));
        if now == 0 {
            break;
        }
        time::sleep(Duration::from_millis(250)).await;
    }
    let (calls, attacked, slowest) = times.take();
    let (health_checks, _, slowest_health) = health.take();
    let growth = most_memory.saturating_sub(memory) / 1_024;
    println!(
        "{count} attackers, {open} connections, {growth} MiB, freed after {:?}\n\
         {calls} calls, 99th percentile {attacked:?}, slowest {slowest:?}; while attackers connect {connecting:?}\n\
         {health_checks} health checks, slowest {slowest_health:?}",
        start.elapsed()
    );
    assert!(calling.try_join_next().is_none(), "a good caller failed");
    assert!(open > count / 2, "{open} connections of {count} attackers");
    assert!(attacked <= 2 * quiet + NOISE, "99th percentile {attacked:?}, without attackers {quiet:?}");
    assert!(slowest_health <= MAX_HEALTH, "/healthz after {slowest_health:?}");
    assert!(growth <= MAX_BUFFERED, "{growth} MiB");
}
