//! Shares of the open files that the process may have.

/// A connection that is forwarded takes two descriptors; some are left for everything else.
const RESERVED: usize = 64;

/// How many connections and handshakes fit into the open files that the process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionLimit {
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    /// Whether one more closes the connection that has been idle for longest, and does not wait.
    pub(super) makes_room: bool,
}

/// The most connections to upstreams, all together.
pub(crate) fn upstream_connections() -> usize {
    places().connections
}

/// Share of the listener for callers.
pub(super) fn places() -> ConnectionLimit {
    fit(open_files())
}

/// Share of the management listener.
pub(super) fn of_management() -> ConnectionLimit {
    let most = most_of_management(files(open_files()));
    ConnectionLimit { connections: most - most / 4, handshakes: most / 4, makes_room: true }
}

/// Raises the limit of open files to what the system allows.
#[cfg(unix)]
fn open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // None means unlimited.
    let limit = if raised.is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
fn open_files() -> u64 {
    2_048
}

fn files(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Descriptors of the management listener: an eighth.
fn most_of_management(files: usize) -> usize {
    (files / 8).clamp(8, 256)
}

fn fit(limit: u64) -> ConnectionLimit {
    let all = files(limit);
    let files = all.saturating_sub(RESERVED + most_of_management(all));
    // A handshake, and a connection that waits to be served, take one descriptor each.
    let handshakes = (files / 8).clamp(8, 1_024);
    let connections = (files.saturating_sub(handshakes) / 2).clamp(16, 1_000_000);
    ConnectionLimit { connections, handshakes, makes_room: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_two_descriptors_and_handshakes_one() {
        for (files, connections, handshakes) in [
            (0, 16, 8),
            (512, 168, 48),
            (1_024, 364, 104),
            (65_536, 32_096, 1_024),
            (u64::MAX, 1_000_000, 1_024),
        ] {
            assert_eq!(fit(files), ConnectionLimit { connections, handshakes, makes_room: false }, "{files}");
        }
    }

    #[test]
    fn management_takes_an_eighth_and_at_most_256() {
        for (files, most) in [(0, 8), (512, 64), (1_024, 128), (2_048, 256), (65_536, 256)] {
            assert_eq!(most_of_management(files), most, "{files}");
        }
    }
}
