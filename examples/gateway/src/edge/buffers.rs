//! Bytes that are buffered for callers.

use std::{convert::Infallible, fs, future::pending, sync::LazyLock, time::Duration};

use metrics::gauge;
use tower_mtls::serve::BufferBudget;

const BUFFERED: &str = "gateway_buffered_bytes";

/// Interval at which the gauge is set.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// The smallest default limit, in bytes.
const MIN_DEFAULT: u64 = 64 * 1024 * 1024;

/// Budget of the process.
static BUDGET: LazyLock<BufferBudget> = LazyLock::new(|| BufferBudget::new(default_limit()));

/// Returns the budget of the process, with this limit in bytes. None: the default.
pub(super) fn budget(limit: Option<usize>) -> BufferBudget {
    BUDGET.set_limit(limit.unwrap_or_else(default_limit));
    BUDGET.clone()
}

/// Reports the buffered bytes for as long as this is polled. None: reports nothing.
pub(super) async fn report(budget: Option<BufferBudget>) -> Infallible {
    let Some(budget) = budget else { return pending().await };
    let buffered = gauge!(BUFFERED);
    let mut interval = tokio::time::interval(GAUGE_INTERVAL);
    loop {
        interval.tick().await;
        buffered.set(budget.used() as f64);
    }
}

/// Returns an eighth of the memory of the machine or of the control group, and at least [`MIN_DEFAULT`].
fn default_limit() -> usize {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    usize::try_from(share(&meminfo, &group)).unwrap_or(usize::MAX)
}

/// `meminfo` and `group` are the contents of the system's files, empty if there is none.
fn share(meminfo: &str, group: &str) -> u64 {
    let machine = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let machine = machine.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let machine = machine.map(|kib| kib.saturating_mul(1_024));
    // `max` if the group is unlimited.
    let group = group.trim().parse().ok();
    machine.into_iter().chain(group).min().map_or(MIN_DEFAULT, |memory| (memory / 8).max(MIN_DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_limit_is_an_eighth_of_the_memory() {
        const GIB: u64 = 1 << 30;
        let meminfo = "MemTotal:        8388608 kB\nMemFree:          123456 kB\n";
        for (meminfo, group, expected) in [
            (meminfo, "", GIB),
            (meminfo, "max\n", GIB),
            (meminfo, "2147483648\n", GIB / 4),
            (meminfo, "1048576\n", MIN_DEFAULT),
            ("", "2147483648\n", GIB / 4),
            ("", "", MIN_DEFAULT),
            ("MemTotal: many kB", "", MIN_DEFAULT),
        ] {
            assert_eq!(share(meminfo, group), expected, "{meminfo} {group}");
        }
    }
}
