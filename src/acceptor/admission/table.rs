//! The open connections of one listener.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::{
    address::{counted_address, is_exempt},
    class::class_of,
    order::{Candidate, Class, YOUNG, closing_order},
};
use crate::{
    acceptor::{
        ListenerLimits,
        connection_state::{Closing, ConnectionState},
    },
    shared::Shared,
};

/// Maximum age of a computed order.
const MAX_ORDER_AGE: Duration = Duration::from_millis(100);

/// Interval at which another connection is closed while there is no room.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Minimum interval of two computations, per connection: a tenth of a processor at most.
const COMPUTE_INTERVAL: Duration = Duration::from_micros(2);

/// Maximum number of connections in a computed order.
const MAX_ORDERED: usize = 256;

/// Of stalled connections, one of this number is closed at a time while too many bytes are buffered.
#[cfg(feature = "serve")]
const STALLED_SHARE: usize = 32;

/// The open connections of one listener, handshakes in progress included.
pub(crate) struct Connections {
    open: Mutex<Table>,
    /// True while no connections are accepted.
    is_paused: watch::Sender<bool>,
    counts: watch::Sender<Counts>,
}

/// Numbers of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Handshakes included.
    open: usize,
    /// Handshakes in progress, or completed and waiting to be accepted.
    handshakes: usize,
}

#[derive(Default)]
struct Table {
    by_number: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, Held>,
    /// Numbers of the connections whose handshake is in progress, or waits to be accepted.
    handshakes: BTreeSet<u64>,
    /// Number of connections that have been closed to make room, and have not ended yet.
    evicted: usize,
    next_number: u64,
    /// Connections to close, in order, and their class.
    order: VecDeque<u64>,
    order_class: Option<Class>,
    ordered: Option<Instant>,
}

struct Entry {
    state: Arc<ConnectionState>,
    /// None: exempt.
    address: Option<IpAddr>,
    /// Bytes at the last computation of the order, and its time.
    measured: (u64, Instant),
    /// Bytes at the last measurement that found progress, and its time.
    progress: (u64, Instant),
}

/// Connections of one address.
#[derive(Default)]
struct Held {
    connections: usize,
    handshakes: usize,
}

/// The place of a connection in the table, until dropped.
pub(in crate::acceptor) struct Place {
    connections: Arc<Connections>,
    number: u64,
    is_handshake: bool,
}

/// An address has reached its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::acceptor) struct AddressFull;

impl Connections {
    pub(in crate::acceptor) fn new() -> Arc<Self> {
        let (is_paused, counts) = (watch::Sender::new(false), watch::Sender::default());
        Arc::new(Self { open: Mutex::default(), is_paused, counts })
    }

    /// Adds a connection, and closes another one if three quarters of the limit are reached.
    ///
    /// # Errors
    ///
    /// Its address has reached its own limit.
    pub(in crate::acceptor) fn add(
        self: &Arc<Self>,
        remote: SocketAddr,
        limits: &ListenerLimits,
    ) -> Result<(Arc<ConnectionState>, Place), AddressFull> {
        let address =
            (!is_exempt(remote.ip(), &limits.exempt_networks)).then(|| counted_address(remote.ip()));
        let mut table = self.table();
        if let Some(held) = address.and_then(|address| table.by_address.get(&address)) {
            let is_full = |held: usize, most: Option<usize>| most.is_some_and(|most| held >= most);
            if is_full(held.connections, limits.connections_per_address)
                || is_full(held.handshakes, limits.handshakes_per_address)
            {
                return Err(AddressFull);
            }
        }
        if table.remaining() >= limits.connections - limits.connections / 4 {
            table.close_next(limits.connections);
        }
        let (state, now) = (Arc::new(ConnectionState::new(remote)), Instant::now());
        let number = table.next_number;
        table.next_number += 1;
        table.handshakes.insert(number);
        let entry = Entry { state: state.clone(), address, measured: (0, now), progress: (0, now) };
        table.by_number.insert(number, entry);
        if let Some(address) = address {
            let held = table.by_address.entry(address).or_default();
            held.connections += 1;
            held.handshakes += 1;
        }
        self.publish(&table);
        Ok((state, Place { connections: self.clone(), number, is_handshake: true }))
    }

    /// Pauses or resumes accepting.
    #[cfg(feature = "serve")]
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.send_replace(is_paused);
    }

    /// Waits while accepting is paused.
    pub(in crate::acceptor) async fn resumed(&self) {
        // The sender is alive, so this cannot fail.
        let _ = self.is_paused.subscribe().wait_for(|is_paused| !is_paused).await;
    }

    /// Waits until a connection can be added within the limits. Closes others meanwhile.
    pub(in crate::acceptor) async fn room(&self, limits: &Shared<ListenerLimits>) {
        let mut counts = self.counts.subscribe();
        loop {
            let Counts { open, handshakes } = *counts.borrow_and_update();
            let (connection_limit, handshake_limit) = {
                let limits = limits.load();
                (limits.connections, limits.handshakes)
            };
            if open < connection_limit && handshakes < handshake_limit {
                return;
            }
            self.table().make_room(connection_limit, handshake_limit);
            // The sender is alive; a timeout tries again.
            let _ = time::timeout(RETRY_INTERVAL, counts.changed()).await;
        }
    }

    /// Closes a share of the connections whose callers do not read their responses: of the address that holds most, the
    /// longest unread first.
    #[cfg(feature = "serve")]
    pub(crate) fn close_stalled(&self) {
        self.table().close_stalled();
    }

    /// Closes connections without an HTTP server that reports their occupancy, after a timeout.
    pub(in crate::acceptor) fn close_silent(&self, limits: &ListenerLimits) {
        let now = Instant::now();
        for entry in self.table().by_number.values_mut().filter(|entry| entry.state.is_established()) {
            entry.measure(now);
            let timeout =
                if entry.state.is_write_blocked() { limits.stall_timeout } else { limits.idle_timeout };
            let is_silent = timeout.is_some_and(|timeout| now - entry.progress.1 >= timeout);
            if is_silent && entry.state.occupancy().is_none() {
                entry.state.close(Closing::Silent);
            }
        }
    }

    /// Returns the number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.counts.borrow().open
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_closed(&self) {
        // The sender is alive, so this cannot fail.
        let _ = self.counts.subscribe().wait_for(|counts| counts.open == 0).await;
    }

    /// Closes all connections.
    pub(crate) fn close_all(&self, closing: Closing) {
        let open: Vec<_> = self.table().by_number.values().map(|entry| entry.state.clone()).collect();
        for connection in open {
            connection.close(closing);
        }
    }

    fn publish(&self, table: &Table) {
        self.counts.send_replace(Counts { open: table.by_number.len(), handshakes: table.handshakes.len() });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Returns the number of connections that have not been closed to make room.
    fn remaining(&self) -> usize {
        self.by_number.len() - self.evicted
    }

    /// Closes a connection if a limit is reached.
    fn make_room(&mut self, connections: usize, handshakes: usize) {
        if self.handshakes.len() >= handshakes {
            self.close_handshake();
        } else if self.remaining() >= connections {
            self.close_next(connections);
        }
    }

    /// Closes the next connection in order, if there is one.
    fn close_next(&mut self, limit: usize) {
        let age = self.ordered.map_or(Duration::MAX, |ordered| ordered.elapsed());
        let least = COMPUTE_INTERVAL * u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
        if age >= MAX_ORDER_AGE || (self.order.is_empty() && age >= least) {
            self.compute_order(limit);
        }
        let now = Instant::now();
        while let Some(number) = self.order.pop_front() {
            // Its state can have changed since.
            if let Some(entry) = self.by_number.get(&number)
                && entry.class(now).map(|(class, _)| class) == self.order_class
                && entry.evict()
            {
                self.evicted += 1;
                return;
            }
        }
    }

    #[cfg(feature = "serve")]
    fn close_stalled(&mut self) {
        let now = Instant::now();
        let mut stalled = Vec::new();
        for (&number, entry) in &mut self.by_number {
            entry.measure(now);
            if let Some((Class::Stalled, waiting)) = entry.class(now) {
                let address = entry.address.and_then(|address| self.by_address.get(&address));
                let held = address.map_or(0, |held| held.connections);
                stalled.push((Reverse((held, waiting)), number));
            }
        }
        stalled.sort_unstable();
        stalled.truncate(stalled.len().div_ceil(STALLED_SHARE));
        let stalled = stalled.iter().filter_map(|(_, number)| self.by_number.get(number));
        self.evicted += stalled.filter(|entry| entry.evict()).count();
    }

    /// Closes a handshake of the address that holds most, the oldest first.
    fn close_handshake(&mut self) {
        let entries = self.handshakes.iter().filter_map(|number| self.by_number.get_key_value(number));
        let handshakes = entries.filter(|(_, entry)| {
            let state = &entry.state;
            !state.is_established() && state.closing().is_none() && state.age() >= YOUNG
        });
        let held = |entry: &Entry| {
            let address = entry.address.and_then(|address| self.by_address.get(&address));
            address.map_or(0, |held| held.handshakes)
        };
        let next = handshakes.min_by_key(|(number, entry)| (Reverse(held(entry)), **number));
        if next.is_some_and(|(_, entry)| entry.evict()) {
            self.evicted += 1;
        }
    }

    fn compute_order(&mut self, limit: usize) {
        let now = Instant::now();
        let newest = self.next_number.saturating_sub(1);
        let mut candidates = Vec::new();
        for (&number, entry) in &mut self.by_number {
            let bytes = entry.measure(now);
            let (before, since) = std::mem::replace(&mut entry.measured, (bytes, now));
            if number == newest || entry.state.closing().is_some() {
                continue;
            }
            let Some((class, waiting)) = entry.class(now) else { continue };
            let millis = u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = if class == Class::Open { (bytes - before).saturating_mul(1_000) / millis } else { 0 };
            let (address, age) = (entry.address, entry.state.age());
            candidates.push(Candidate { number, class, address, age, waiting, rate });
        }
        let held = self.by_address.iter().map(|(address, held)| (*address, held.connections)).collect();
        self.order = closing_order(candidates, &held, (limit / 8).max(1), MAX_ORDERED).into();
        let first = self.order.front().and_then(|number| self.by_number.get(number));
        self.order_class = first.and_then(|entry| entry.class(now)).map(|(class, _)| class);
        self.ordered = Some(now);
    }
}

impl Entry {
    /// Returns the number of bytes, and records progress.
    fn measure(&mut self, now: Instant) -> u64 {
        let bytes = self.state.bytes();
        if bytes != self.progress.0 {
            self.progress = (bytes, now);
        }
        bytes
    }

    fn class(&self, now: Instant) -> Option<(Class, Duration)> {
        class_of(&self.state, now.saturating_duration_since(self.progress.1))
    }

    /// Closes the connection to make room. Returns false if it was closed before.
    fn evict(&self) -> bool {
        let is_first = self.state.close(Closing::Evicted);
        if is_first {
            tracing::debug!(remote = %self.state.remote(), "connection closed: others need its place");
            #[cfg(feature = "metrics")]
            metrics::counter!("tower_mtls_connections_closed_total", "reason" => "evicted").increment(1);
        }
        is_first
    }
}

impl Place {
    /// The connection has been accepted.
    pub(in crate::acceptor) fn end_handshake(&mut self) {
        let connections = self.connections.clone();
        let mut table = connections.table();
        self.release_handshake(&mut table);
        connections.publish(&table);
    }

    fn release_handshake(&mut self, table: &mut Table) {
        if !std::mem::take(&mut self.is_handshake) {
            return;
        }
        table.handshakes.remove(&self.number);
        let address = table.by_number.get(&self.number).and_then(|entry| entry.address);
        if let Some(held) = address.and_then(|address| table.by_address.get_mut(&address)) {
            held.handshakes -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = self.connections.clone();
        let mut table = connections.table();
        self.release_handshake(&mut table);
        let removed = table.by_number.remove(&self.number);
        if removed.as_ref().is_some_and(|entry| entry.state.closing() == Some(Closing::Evicted)) {
            table.evicted -= 1;
        }
        if let Some(address) = removed.as_ref().and_then(|entry| entry.address)
            && let Some(held) = table.by_address.get_mut(&address)
        {
            held.connections -= 1;
            if held.connections == 0 {
                table.by_address.remove(&address);
            }
        }
        connections.publish(&table);
        drop((table, removed));
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.count()).finish_non_exhaustive()
    }
}
