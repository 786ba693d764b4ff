//! Protection of the process's memory, which contains private keys.

/// Message of `--allow-core-dumps`.
pub(super) const ALLOWED: &str =
    "core dumps and debuggers are allowed (--allow-core-dumps): they can read private keys";

/// Disables core dumps, and on Linux access of other processes of the same user to memory (`ptrace`, `/proc/PID/mem`).
///
/// # Errors
///
/// The system rejects it.
#[cfg(unix)]
pub(super) fn disable() -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| failed("RLIMIT_CORE", error))?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| failed("PR_SET_DUMPABLE", error))?;
    }
    Ok(())
}

#[cfg(unix)]
fn failed(setting: &str, error: rustix::io::Errno) -> String {
    format!("cannot disable core dumps ({setting}): {error}; use --allow-core-dumps to run nevertheless")
}

#[cfg(not(unix))]
pub(super) fn disable() -> Result<(), String> {
    Ok(())
}
