//! Good callers: curl on new connections, with and without a certificate, on both listeners.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::world::World;

/// Time between two calls.
const INTERVAL: Duration = Duration::from_millis(50);

/// Longest response time of a good caller.
const MAX_TIME: Duration = Duration::from_secs(2);

/// Calls until [`stop`](Self::stop), at least one of each kind.
pub(super) struct GoodCallers {
    stopped: Arc<AtomicBool>,
    /// Number of calls, and the calls that failed or were late.
    calls: JoinHandle<(usize, Vec<String>)>,
}

impl GoodCallers {
    pub(super) fn start(world: &World) -> Self {
        Self::start_with(world, false)
    }

    /// The same with callers that connect again if their connection is closed before a response: at the maximum number of
    /// connections, one without an admitted request can lose its place.
    pub(super) fn start_with_retry(world: &World) -> Self {
        Self::start_with(world, true)
    }

    fn start_with(world: &World, tries_again: bool) -> Self {
        let file = |name: &str| world.demo.dir().join(name).to_str().unwrap().to_owned();
        let certificate = ["--cert".to_owned(), file("client.pem"), "--key".to_owned(), file("client.key")];
        let (main, management) = (world.demo.port, world.running.management_port());
        let calls = [
            (format!("https://localhost:{main}/small"), &certificate[..]),
            (format!("https://localhost:{main}/open/small"), &[]),
            (format!("https://localhost:{management}/healthz"), &[]),
        ]
        .map(|(url, certificate)| {
            let mut arguments = ["--silent", "--ipv4", "--output", "/dev/null", "--max-time", "10"]
                .map(ToOwned::to_owned)
                .to_vec();
            arguments.extend(["--cacert".to_owned(), file("ca.pem"), url]);
            arguments.extend(["--write-out".to_owned(), "%{http_code} %{time_total} %{errormsg}".to_owned()]);
            arguments.extend_from_slice(certificate);
            arguments
        });
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = stopped.clone();
        let calls = thread::spawn(move || {
            let versions = ["--http1.1", "--http2"].into_iter().cycle();
            let (mut count, mut bad) = (0, Vec::new());
            for (version, arguments) in versions.zip(calls.iter().cycle()) {
                if is_stopped.load(Ordering::SeqCst) && count >= calls.len() {
                    break;
                }
                let start = Instant::now();
                let printed = loop {
                    let output = Command::new("curl").arg(version).args(arguments).output().unwrap();
                    let printed = String::from_utf8(output.stdout).unwrap();
                    let is_closed = printed.starts_with("000");
                    if !(is_closed && tries_again && start.elapsed() < MAX_TIME) {
                        break printed;
                    }
                };
                if !printed.starts_with("200") || start.elapsed() > MAX_TIME {
                    bad.push(format!("{printed}: curl {version} {}", arguments.join(" ")));
                }
                count += 1;
                thread::sleep(INTERVAL);
            }
            (count, bad)
        });
        Self { stopped, calls }
    }

    /// Returns the number of calls. An error: a call that failed or was late.
    pub(super) fn stop(self) -> Result<usize, String> {
        self.stopped.store(true, Ordering::SeqCst);
        let (count, bad) = self.calls.join().unwrap();
        if let Some(first) = bad.first() {
            return Err(format!("{} of {count} good calls: {first}", bad.len()));
        }
        Ok(count)
    }
}
