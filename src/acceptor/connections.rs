//! The connections of one listener.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::connection_state::{Closing, ConnectionState};

/// The open connections of one listener, handshakes in progress included.
pub(crate) struct Connections {
    open: Mutex<Table>,
    /// True while no connections are accepted.
    is_paused: watch::Sender<bool>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Table {
    by_number: HashMap<u64, Arc<ConnectionState>>,
    next_number: u64,
}

/// The place of a connection in the table, until dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), is_paused: watch::Sender::new(false), count: watch::Sender::new(0) })
    }

    /// Adds a connection.
    pub(super) fn add(self: &Arc<Self>, remote: SocketAddr) -> (Arc<ConnectionState>, Place) {
        let state = Arc::new(ConnectionState::new(remote));
        let mut table = self.table();
        let number = table.next_number;
        table.next_number += 1;
        table.by_number.insert(number, state.clone());
        self.count.send_replace(table.by_number.len());
        (state, Place { connections: self.clone(), number })
    }

    /// Returns the number of open connections.
    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Pauses or resumes accepting.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.send_replace(is_paused);
    }

    /// Waits while accepting is paused.
    pub(super) async fn resumed(&self) {
        if *self.is_paused.borrow() {
            // The sender is alive, so this cannot fail.
            let _ = self.is_paused.subscribe().wait_for(|is_paused| !is_paused).await;
        }
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_closed(&self) {
        // The sender is alive, so this cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Closes all connections.
    pub(crate) fn close_all(&self, closing: Closing) {
        let open: Vec<_> = self.table().by_number.values().cloned().collect();
        for connection in open {
            connection.close(closing);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        let removed = table.by_number.remove(&self.number);
        self.connections.count.send_replace(table.by_number.len());
        drop((table, removed));
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.count()).finish_non_exhaustive()
    }
}
