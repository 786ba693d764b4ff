//! How many connections the process can hold.

/// A connection that is forwarded takes two descriptors; some are left for everything else.
const RESERVED: u64 = 64;

/// Raises the limit of open files to what the system allows, and returns how many connections fit.
#[cfg(unix)]
pub(super) fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // None means unlimited.
    let limit = if raised.is_ok() { maximum } else { current };
    fit(limit.unwrap_or(u64::MAX))
}

#[cfg(not(unix))]
pub(super) fn connections() -> usize {
    fit(2_048)
}

fn fit(files: u64) -> usize {
    let connections = files.saturating_sub(RESERVED) / 2;
    usize::try_from(connections).unwrap_or(usize::MAX).clamp(16, 1_000_000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn connections_take_two_descriptors_each() {
        for (files, expected) in [(0, 16), (1_024, 480), (65_536, 32_736), (u64::MAX, 1_000_000)] {
            assert_eq!(super::fit(files), expected, "{files}");
        }
    }
}
