//! Connection limits derived from the process's limit of open files.

use std::{num::NonZero, thread};

/// Descriptors reserved for other purposes than connections: files, sockets of listeners, and the runtimes of a few threads.
const RESERVED: usize = 64;

/// Descriptors of each further thread's runtime.
const OF_WORKER: usize = 4;

/// Limits of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionLimit {
    pub(crate) connections: usize,
    pub(crate) handshakes: usize,
}

/// Returns the maximum number of connections to all upstreams together.
pub(crate) fn upstream_connections() -> usize {
    caller_limit().connections
}

/// Returns the limits of the listener for callers.
pub(crate) fn caller_limit() -> ConnectionLimit {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    caller_share(open_files(), RESERVED + OF_WORKER * workers)
}

/// Returns the limits of the management listener.
pub(crate) fn management_limit() -> ConnectionLimit {
    let files = management_files(saturate(open_files()));
    ConnectionLimit { connections: files - files / 4, handshakes: files / 4 }
}

/// Raises the limit of open files to the system's maximum, and returns it.
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

fn saturate(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Returns the number of descriptors of the management listener: an eighth of `files`, from 8 to 256.
fn management_files(files: usize) -> usize {
    (files / 8).clamp(8, 256)
}

/// `reserved`: descriptors for other purposes.
fn caller_share(limit: u64, reserved: usize) -> ConnectionLimit {
    let all = saturate(limit);
    let files = all.saturating_sub(reserved + management_files(all));
    // A handshake takes one descriptor, a forwarded connection two.
    let handshakes = (files / 8).clamp(8, 1_024);
    let connections = (files.saturating_sub(handshakes) / 2).clamp(16, 1_000_000);
    ConnectionLimit { connections, handshakes }
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
            assert_eq!(caller_share(files, 64), ConnectionLimit { connections, handshakes }, "{files}");
        }
    }

    #[test]
    fn management_listener_takes_an_eighth_and_at_most_256() {
        for (files, expected) in [(0, 8), (512, 64), (1_024, 128), (2_048, 256), (65_536, 256)] {
            assert_eq!(management_files(files), expected, "{files}");
        }
    }
}
