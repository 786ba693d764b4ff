//! How many connections the process can hold.

/// A connection that is forwarded takes two descriptors; some are left for everything else.
const RESERVED: usize = 64;

/// How many connections and handshakes fit into the open files that the process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    /// Whether one more closes the connection that has been idle for longest, and does not wait.
    pub(super) makes_room: bool,
}

/// The most connections to back ends, all together.
pub(crate) fn back_end_connections() -> usize {
    places().connections
}

/// Raises the limit of open files to what the system allows, and divides it up.
#[cfg(unix)]
pub(super) fn places() -> Places {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // None means unlimited.
    let limit = if raised.is_ok() { maximum } else { current };
    fit(limit.unwrap_or(u64::MAX))
}

#[cfg(not(unix))]
pub(super) fn places() -> Places {
    fit(2_048)
}

fn fit(files: u64) -> Places {
    let files = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(RESERVED);
    // A handshake, and a connection that waits to be served, take one descriptor each.
    let handshakes = (files / 8).clamp(8, 1_024);
    let connections = (files.saturating_sub(handshakes) / 2).clamp(16, 1_000_000);
    Places { connections, handshakes, makes_room: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_two_descriptors_and_handshakes_one() {
        for (files, connections, handshakes) in
            [(0, 16, 8), (1_024, 420, 120), (65_536, 32_224, 1_024), (u64::MAX, 1_000_000, 1_024)]
        {
            assert_eq!(fit(files), Places { connections, handshakes, makes_room: false }, "{files}");
        }
    }
}
