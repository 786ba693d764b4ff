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
        Arc::new(Self { open: Mutex::default(), count: watch::Sender::new(0) })
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
