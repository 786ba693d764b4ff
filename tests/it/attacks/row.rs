//! Rows of the attack table, and their check.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet, time};
use tower_mtls::serve::TimeoutKind;

use super::{TOLERANCE, world::World};
use crate::support::{
    Http,
    attackers::{Attackers, Protocol, Stage},
};

/// Rows that run at once, each on a server of its own.
const CONCURRENT: usize = 4;

/// Time for all attackers to reach their stage.
const OPENING: Duration = Duration::from_secs(20);

/// Interval at which the effects are recorded.
const INTERVAL: Duration = Duration::from_millis(50);

/// The address of attackers.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An attack, and the bounds of its effects.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) attack: &'static str,
    pub(super) stage: Stage,
    pub(super) protocols: &'static [Protocol],
    /// Connections of the attackers.
    pub(super) connections: usize,
    /// Maximum number of exchanges of each connection.
    pub(super) exchanges: usize,
    /// Deadline of the connections.
    pub(super) freed: Duration,
    /// The reason that closes each connection. None: another end.
    pub(super) timeout: Option<TimeoutKind>,
    /// Time between the bytes of an attacker.
    pub(super) pace: Duration,
    /// `body_timeout` of the server.
    pub(super) body_timeout: Duration,
}

/// Runs the rows of these protocols, each on a new server; panics with the failures of all rows.
pub(super) async fn survive(start: fn(Duration) -> World, table: &[Row], protocols: &[Protocol]) {
    let permits = Arc::new(Semaphore::new(CONCURRENT));
    let mut rows = JoinSet::new();
    for row in table.iter().copied() {
        for protocol in row.protocols.iter().copied().filter(|protocol| protocols.contains(protocol)) {
            let permits = permits.clone();
            rows.spawn(async move {
                let _permit = permits.acquire().await.unwrap();
                let effects = row.check(&start(row.body_timeout), protocol).await;
                (format!("{protocol:?} {}", row.attack), effects)
            });
        }
    }
    let mut failed = Vec::new();
    while let Some(row) = rows.join_next().await {
        match row.unwrap() {
            (attack, Ok(effects)) => println!("{attack}: {effects}"),
            (attack, Err(problem)) => failed.push(format!("{attack}: {problem}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

impl Row {
    /// Runs the attack beside good callers; returns its effects.
    async fn check(&self, world: &World, protocol: Protocol) -> Result<String, String> {
        let is_stopped = AtomicBool::new(false);
        let attacking = async {
            let effects = self.effects(world, protocol).await;
            is_stopped.store(true, Ordering::SeqCst);
            effects
        };
        let (effects, calls) = tokio::join!(attacking, world.call(Http::Two, &is_stopped));
        let (effects, calls) = (effects?, calls?);
        if let Some(timeout) = self.timeout {
            let timed_out = world.timed_out();
            if timed_out.iter().filter(|kind| **kind == timeout).count() != self.connections {
                return Err(format!("{effects}: closed as {timed_out:?}, not {timeout:?}"));
            }
        }
        Ok(format!("{effects}, {calls} good calls"))
    }

    /// Checks that the attackers hold no more than the row allows, and no longer.
    async fn effects(&self, world: &World, protocol: Protocol) -> Result<String, String> {
        let mut attackers = Attackers::new(world.target(), &[SOURCE]);
        for _ in 0..self.connections {
            attackers.add(world.target(), protocol, self.stage, SOURCE, self.pace);
        }
        let (mut connections, mut exchanges, opening) = (0, 0, Instant::now());
        let mut record = |attackers: &Attackers| {
            connections = connections.max(attackers.open());
            exchanges = exchanges.max(world.exchanges());
        };
        while !attackers.have_reached() {
            if opening.elapsed() > OPENING {
                return Err("the attackers do not reach their stage".to_owned());
            }
            record(&attackers);
            time::sleep(INTERVAL).await;
        }
        let start = Instant::now();
        // A good caller has one exchange at a time.
        while attackers.open() > 0 || world.exchanges() > 1 {
            record(&attackers);
            if start.elapsed() > self.freed + TOLERANCE {
                let (open, exchanges) = (attackers.open(), world.exchanges());
                return Err(format!(
                    "{open} connections and {exchanges} exchanges after {:?}",
                    start.elapsed()
                ));
            }
            time::sleep(INTERVAL).await;
        }
        let freed = start.elapsed();
        if connections == 0 && !self.freed.is_zero() {
            return Err("the attackers hold no connection".to_owned());
        }
        if connections > self.connections || attackers.connected() != self.connections {
            return Err(format!("{connections} connections of {} attackers", self.connections));
        }
        if exchanges > self.connections * self.exchanges + 1 {
            return Err(format!("{exchanges} exchanges, more than {} for each connection", self.exchanges));
        }
        // A vanished peer does not see the end of its connection.
        attackers.stop().await;
        Ok(format!("{connections} connections, {exchanges} exchanges, freed after {freed:?}"))
    }
}
