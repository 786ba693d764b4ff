//! Timeouts that are due on a connection.

use tokio::time::Instant;

use crate::serve::{Lapse, TimeoutKind};

/// Response that is cut if its caller does not read it.
pub(in crate::serve) trait Expire: Send + Sync {
    /// Cuts the response if its caller exceeds a limit. Returns the cut, also an earlier one.
    fn expire(&self, now: Instant) -> Option<Cut>;
}

/// End of a response that was not read.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct Cut {
    pub(in crate::serve) lapse: Lapse,
    /// Time from which the response had unread bytes.
    pub(in crate::serve) since: Instant,
    pub(in crate::serve) at: Instant,
}

/// Step that is due on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Expiry {
    Close(TimeoutKind),
    /// Responses that cannot be reset are unread: the connection ends with the others.
    GoAway,
}

/// Timeout of a connection by what its caller exceeded.
pub(super) fn kind_of(lapse: Lapse) -> TimeoutKind {
    match lapse {
        Lapse::Stall => TimeoutKind::Unread,
        Lapse::Rate => TimeoutKind::Rate,
    }
}
