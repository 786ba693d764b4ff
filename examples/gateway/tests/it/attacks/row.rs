//! Rows of the attack table, and their check.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    good_callers::GoodCallers,
    world::{Listener, World},
};
use crate::support::{
    attackers::{Attackers, Protocol, Stage},
    metrics, value,
};

/// Time that a resource may be held beyond its deadline.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Duration of an attack without a deadline.
const ATTACK: Duration = Duration::from_secs(2);

/// Time for all attackers to reach their stage.
const OPENING: Duration = Duration::from_secs(20);

/// Interval at which the effects are recorded.
const INTERVAL: Duration = Duration::from_millis(20);

/// Connections of good callers that a reading of the gauge can include.
const GOOD_CONNECTIONS: f64 = 4.0;

/// An attack, and the bounds of its effects.
pub(super) struct Row {
    pub(super) attack: &'static str,
    pub(super) stage: Stage,
    pub(super) protocols: &'static [Protocol],
    pub(super) listeners: &'static [Listener],
    /// Connections of the attackers.
    pub(super) connections: usize,
    /// Maximum number of exchanges with the upstream, of each connection.
    pub(super) exchanges: usize,
    /// Deadline of the connections. None: they end with the attack.
    pub(super) freed: Option<Duration>,
    /// The timeout that closes each connection, as counted by the metric. Empty: another end.
    pub(super) timeout: &'static str,
}

/// Runs the rows of this listener and protocol one after the other; panics with the failures of all rows.
pub(super) async fn survive(world: &World, table: &[Row], listener: Listener, protocol: Protocol) {
    let rows = table.iter().filter(|row| row.listeners.contains(&listener));
    let mut failed = Vec::new();
    for row in rows.filter(|row| row.protocols.contains(&protocol)) {
        match row.check(world, listener, protocol).await {
            Ok(effects) => println!("{listener:?} {protocol:?} {}: {effects}", row.attack),
            Err(problem) => failed.push(format!("{}: {problem}", row.attack)),
        }
    }
    assert!(failed.is_empty(), "{listener:?} {protocol:?}:\n{}", failed.join("\n"));
    assert_eq!(world.running.count(0, "request in flight cut"), 0, "a rejection is not judged again");
}

impl Row {
    /// Runs the attack; returns its effects.
    async fn check(&self, world: &World, listener: Listener, protocol: Protocol) -> Result<String, String> {
        let timed_out = self.timed_out(world).await;
        let good = GoodCallers::start(world);
        let mut attackers = Attackers::start(&world.target(listener), protocol, self.stage, self.connections);
        let effects = self.effects(world, listener, &mut attackers).await;
        attackers.stop().await;
        let calls = good.stop();
        let (effects, calls) = (effects?, calls?);
        let timed_out = self.timed_out(world).await - timed_out;
        if !self.timeout.is_empty() && timed_out != self.connections as f64 {
            let text = metrics(&world.demo, world.running.management_port()).await;
            let all =
                text.lines().filter(|line| line.starts_with("gateway_caller_connections_timed_out_total"));
            let all = all.collect::<Vec<_>>().join(", ");
            return Err(format!(
                "{timed_out} connections closed by the timeout {} ({effects}): {all}",
                self.timeout
            ));
        }
        let deadline = Instant::now() + TOLERANCE;
        loop {
            let open = world.connections(listener.name()).await;
            if open <= 0.0 {
                return Ok(format!("{effects}, {calls} good calls"));
            }
            if Instant::now() > deadline {
                return Err(format!("the gauge of connections is {open} after the attack"));
            }
        }
    }

    /// Number of connections that the row's timeout has closed.
    async fn timed_out(&self, world: &World) -> f64 {
        let series = format!("gateway_caller_connections_timed_out_total{{timeout=\"{}\"}}", self.timeout);
        let text = metrics(&world.demo, world.running.management_port()).await;
        value(&text, &series).unwrap_or(0.0)
    }

    /// Checks that the attackers hold no more than the row allows, and no longer.
    async fn effects(
        &self,
        world: &World,
        listener: Listener,
        attackers: &mut Attackers,
    ) -> Result<String, String> {
        let (mut held, opening) = (Held::default(), Instant::now());
        while !attackers.have_reached() {
            if opening.elapsed() > OPENING {
                return Err("the attackers do not reach their stage".to_owned());
            }
            held.record(world, attackers);
            tokio::time::sleep(INTERVAL).await;
        }
        let start = Instant::now();
        held.record(world, attackers);
        let gauge = world.connections(listener.name()).await;
        let (since, deadline) = match self.freed {
            Some(deadline) => (start, deadline),
            None => {
                while start.elapsed() < ATTACK {
                    held.record(world, attackers);
                    tokio::time::sleep(INTERVAL).await;
                }
                attackers.stop().await;
                (Instant::now(), Duration::ZERO)
            }
        };
        // Good callers have one exchange at a time.
        while attackers.open() > 0 || world.open.load(Ordering::SeqCst) > 1 {
            held.record(world, attackers);
            if since.elapsed() > deadline + TOLERANCE {
                let (open, exchanges) = (attackers.open(), world.open.load(Ordering::SeqCst));
                return Err(format!(
                    "{open} connections and {exchanges} exchanges after {:?}",
                    since.elapsed()
                ));
            }
            tokio::time::sleep(INTERVAL).await;
        }
        let elapsed = since.elapsed();
        let Held { connections, exchanges } = held;
        // A flood can end before its connections are counted. Attackers that connect in a loop have others that close.
        let maximum = if self.freed.is_some() { self.connections } else { 4 * self.connections };
        if attackers.connected() < self.connections || connections > maximum {
            return Err(format!("{connections} connections of {} attackers", self.connections));
        }
        if exchanges > self.connections * self.exchanges + 1 {
            return Err(format!("{exchanges} exchanges, more than {} for each connection", self.exchanges));
        }
        if gauge > maximum as f64 + GOOD_CONNECTIONS {
            return Err(format!("the gauge of connections is {gauge}"));
        }
        Ok(format!("{connections} connections, {exchanges} exchanges, freed after {elapsed:?}"))
    }
}

/// The most that attackers have held.
#[derive(Default)]
struct Held {
    connections: usize,
    exchanges: usize,
}

impl Held {
    fn record(&mut self, world: &World, attackers: &Attackers) {
        self.connections = self.connections.max(attackers.open());
        self.exchanges = self.exchanges.max(world.open.load(Ordering::SeqCst));
    }
}
