//! The shares that have streams on an HTTP/2 connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::connection_use::{Claim, ConnectionUse};
use crate::generation::Generation;

/// The shares with streams on one connection. Empty without limits.
#[derive(Default)]
pub(super) struct StreamUsers(Mutex<Vec<StreamUser>>);

struct StreamUser {
    share: Generation,
    streams: usize,
    connection: ConnectionUse,
}

impl StreamUsers {
    /// Keeps a new connection for the share that opened it, until its first stream has ended.
    pub(super) fn reserve(&self, connection: ConnectionUse) {
        if let Some(share) = connection.share() {
            self.users().push(StreamUser { share, streams: 0, connection });
        }
    }

    /// Ends the uses of shares without streams.
    pub(super) fn end_reserved(&self) {
        let ended: Vec<_> = self.users().extract_if(.., |user| user.streams == 0).collect();
        drop(ended);
    }

    /// Begins a stream. Returns false if the share may not use the connection now.
    pub(super) fn begin(&self, claim: &mut Claim<'_>) -> bool {
        let Some(share) = claim.share() else { return true };
        let mut users = self.users();
        if let Some(user) = users.iter_mut().find(|user| user.share == share) {
            user.streams += 1;
            return true;
        }
        let connection = if users.is_empty() { claim.take() } else { claim.join() };
        let Some(connection) = connection else { return false };
        users.push(StreamUser { share, streams: 1, connection });
        true
    }

    /// Ends a stream.
    pub(super) fn end(&self, share: Generation) {
        let mut users = self.users();
        let Some(at) = users.iter().position(|user| user.share == share) else { return };
        users[at].streams -= 1;
        if users[at].streams > 0 {
            return;
        }
        let mut ended = users.swap_remove(at);
        if let Some(other) = users.first_mut()
            && ended.connection.counts_connection()
        {
            other.connection.replace(&mut ended.connection);
        }
        drop(users);
        drop(ended);
    }

    fn users(&self) -> MutexGuard<'_, Vec<StreamUser>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
