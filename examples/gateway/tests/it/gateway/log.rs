//! The log is bounded in lines and bytes, and never blocks a request.
#![cfg(unix)]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinSet};

use crate::support::{Demo, Running, get, metrics, replace, soon, value, whole};

const REFUSED: &str = " tower_mtls::inbound::report: request refused";
const DROPPED: &str = "gateway_log_lines_dropped_total";

struct World {
    demo: Demo,
    running: Running,
    config: PathBuf,
    text: String,
}

impl World {
    /// A gateway over the demo's configuration with this log filter.
    fn start(log: &str) -> Self {
        let demo = Demo::start();
        let config = demo.dir().join("log.toml");
        let unreachable = "[[routes]]\npath = \"/unreachable\"\nupstream = \"http://127.0.0.1:9\"\n";
        let text = format!("{}\n{unreachable}", demo.toml());
        fs::write(&config, &text).unwrap();
        let (running, port) = Running::start_logging(&config, log);
        Self { demo: demo.on_port(port), running, config, text }
    }

    /// Sends this many requests for this path on one connection, without a certificate.
    async fn flood(&self, count: usize, path: &str, expected: u16) {
        let sender = self.demo.http2(None).await;
        let mut requests = JoinSet::new();
        for _ in 0..count {
            let (mut sender, request) = (sender.clone(), get(path));
            sender.ready().await.unwrap();
            requests.spawn(async move { sender.send_request(request).await.unwrap().status().as_u16() });
            if requests.len() >= 50 {
                assert_eq!(soon(requests.join_next()).await.unwrap().unwrap(), expected, "{path}");
            }
        }
        while let Some(status) = soon(requests.join_next()).await {
            assert_eq!(status.unwrap(), expected, "{path}");
        }
    }

    async fn status(&self, path: &str) -> u16 {
        soon(async { whole(self.demo.http1(None).await.send_request(get(path)).await.unwrap()).await.0 })
            .await
    }

    async fn healthz(&self) -> u16 {
        let management = async {
            let socket = TcpStream::connect(("127.0.0.1", self.demo.management_port)).await.unwrap();
            let stream = self.demo.handshake(socket, None, b"http/1.1").await.unwrap();
            let stream = hyper_util::rt::TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let request = http::Request::get("/healthz")
                .header("host", "localhost")
                .body(http_body_util::Empty::<bytes::Bytes>::new());
            whole(sender.send_request(request.unwrap()).await.unwrap()).await.0
        };
        soon(management).await
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        value(&soon(metrics(&self.demo, self.demo.management_port)).await, name)
    }
}

#[tokio::test]
async fn stalled_reader_of_the_log_blocks_nothing_and_finds_errors_and_reloads_afterwards() {
    let mut world = World::start("info,gateway=debug,tower_mtls=debug");
    world.demo.management_port = world.running.management_port();
    let from = world.running.lines();
    world.running.stall(true);
    // Debug lines are not limited in number: they exceed the pipe and the queue.
    let long = format!("/nowhere/{}", "x".repeat(200));
    world.flood(4_000, &long, 404).await;
    world.flood(400, "/orders", 403).await;

    assert_eq!(world.healthz().await, 200);
    assert_eq!(world.status("/open").await, 200);
    replace(&world.config, world.text.replace("path = \"/open\"", "path = \"/moved\""));
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.status("/moved").await != 200 {
        assert!(Instant::now() < deadline, "nothing was reloaded");
    }
    replace(&world.config, world.text.replace("address =", "adress ="));
    while world.metric("config_stale_seconds").await == Some(0.0) || world.metric(DROPPED).await == Some(0.0)
    {
        assert!(Instant::now() < deadline, "the configuration is current");
    }

    world.running.stall(false);
    world.running.logged(from, "INFO gateway::server::follow: reloaded");
    world.running.logged(from, "ERROR gateway::server::follow: configuration not reloaded: ");
    let dropped = world.running.logged(from, "WARN gateway::log: log lines dropped");
    assert!(dropped.contains(" lines="), "{dropped}");
    world.flood(30, "/orders", 403).await;
    world.running.logged(from, " refusals not logged in the last second");

    world.running.stall(true);
    world.flood(4_000, &long, 404).await;
    let start = Instant::now();
    world.running.terminate();
    assert_eq!(world.running.ended().await, Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn refusals_and_failures_leave_twenty_lines_a_second_and_a_summary_and_long_paths_are_cut() {
    let world = World::start("info");
    let long = format!("/orders/{}", "x".repeat(8_000));
    for (path, status, line, summary) in [
        (&*long, 403, REFUSED, " refusals not logged in the last second"),
        (
            "/unreachable",
            502,
            " gateway::routing::respond: ",
            " failed requests not logged in the last second",
        ),
    ] {
        let (from, start) = (world.running.lines(), Instant::now());
        world.flood(600, path, status).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = world.running.log();
            let lines = || log.lines().skip(from);
            let logged = lines().filter(|logged| logged.contains(line)).count();
            let counts =
                lines().filter_map(|line| line.strip_suffix(summary)?.rsplit(' ').next()?.parse().ok());
            let counts: Vec<usize> = counts.collect();
            if logged + counts.iter().sum::<usize>() == 600 && !counts.is_empty() {
                let seconds = usize::try_from(start.elapsed().as_secs()).unwrap();
                assert!(logged <= 20 * (seconds + 2), "{logged} lines in {seconds} s");
                assert!(counts.len() <= seconds + 2, "one summary a second: {counts:?}");
                assert!(lines().all(|line| line.len() < 1_000), "{log}");
                break;
            }
            assert!(Instant::now() < deadline, "{path}: {logged} lines and {counts:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
