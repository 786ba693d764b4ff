//! Changed files apply to the next request, completely or not.
#![cfg(unix)]

mod files;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, sync::watch, task::JoinSet};

use crate::support::{
    Demo, Running, eventually, get, metrics, replace, slow_upstream::SlowUpstream, value, whole,
};

/// A gateway on free ports with a copy of the demo's configuration, and the demo.
struct World {
    demo: Demo,
    running: Running,
    config: PathBuf,
    text: String,
}

impl World {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// `prepare` changes the folder before the start.
    fn start_with(prepare: impl FnOnce(&Path)) -> Self {
        let demo = Demo::start();
        let dir = demo.dir();
        prepare(&dir);
        let text = demo.toml();
        let config = dir.join("live.toml");
        fs::write(&config, &text).unwrap();
        let (running, port) = Running::start(&config);
        Self { demo: demo.on_port(port), running, config, text }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.demo.dir().join(name)
    }

    /// Replaces the configuration by a copy in which the first occurrence of `from` is replaced by `to`.
    fn change(&self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from}");
        replace(&self.config, self.text.replacen(from, to, 1));
    }

    /// Sends a request on a new connection.
    async fn ask(&self, certificate: Option<&str>, path: &str) -> (u16, String) {
        let response = self.demo.http1(certificate).await.send_request(get(path)).await.unwrap();
        let (status, _, body) = whole(response).await;
        (status, body)
    }

    async fn stale_seconds(&self) -> f64 {
        let metrics = metrics(&self.demo, self.running.management_port()).await;
        value(&metrics, "config_stale_seconds").unwrap()
    }

    /// True if the listener presents a certificate of this demo.
    async fn shows(&self, demo: &Demo) -> bool {
        let socket = TcpStream::connect(("127.0.0.1", self.demo.port)).await.unwrap();
        demo.handshake(socket, None, b"http/1.1").await.is_ok()
    }
}

const NOT: &str = "ERROR gateway::server::follow: configuration not reloaded: ";
const EDITED: &str = ": edited in place, not loaded; ";
const RELOADED: &str = "INFO gateway::server::follow: reloaded";

#[tokio::test]
async fn changed_route_is_served_on_open_connections_within_two_seconds() {
    let world = World::start();
    let mut one = world.demo.http1(None).await;
    let mut two = world.demo.http2(None).await;
    for path in ["/open", "/open/42"] {
        assert_eq!(whole(one.send_request(get(path)).await.unwrap()).await.0, 200);
        assert_eq!(whole(two.send_request(get(path)).await.unwrap()).await.0, 200);
        one.ready().await.unwrap();
    }
    let from = world.running.lines();
    let start = Instant::now();
    world.change("path = \"/open\"", "path = \"/moved\"");
    world.running.logged(from, RELOADED);
    // Twice the promise: other tests run on the same processors.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    for (path, expected) in [("/open", 404), ("/moved", 200)] {
        assert_eq!(whole(one.send_request(get(path)).await.unwrap()).await.0, expected, "{path}");
        assert_eq!(whole(two.send_request(get(path)).await.unwrap()).await.0, expected, "{path}");
        one.ready().await.unwrap();
    }
}

#[tokio::test]
async fn sighup_reloads_rules_and_identities() {
    let world = World::start();
    let (status, body) = world.ask(Some("client"), "/orders").await;
    assert!(status == 200 && body.contains("CN=orders-gateway"), "{body}");
    // Both the identity's files and the rules change.
    for extension in ["pfx", "password"] {
        let billing = fs::read(world.file(&format!("billing.{extension}"))).unwrap();
        replace(&world.file(&format!("orders.{extension}")), billing);
    }
    let from = world.running.lines();
    world.running.hang_up();
    world.running.logged(from, RELOADED);
    let (status, body) = world.ask(Some("client"), "/orders").await;
    assert!(status == 200 && body.contains("CN=billing-gateway"), "{body}");

    let from = world.running.lines();
    world.change("issuer = [\"", "issuer = [\"CN=Unknown, ");
    world.running.hang_up();
    world.running.logged(from, RELOADED);
    assert_eq!(world.ask(Some("client"), "/orders").await.0, 403);
}

#[tokio::test]
async fn shorter_idle_timeout_closes_open_connections() {
    let world = World::start();
    let mut idle = world.demo.http1(None).await;
    assert_eq!(whole(idle.send_request(get("/open")).await.unwrap()).await.0, 200);
    let from = world.running.lines();
    replace(&world.config, format!("{}[limits]\nidle_timeout = \"100ms\"\n", world.text));
    world.running.logged(from, RELOADED);
    eventually("the idle connection to close", || idle.is_closed()).await;
}

#[tokio::test]
async fn requests_survive_reloads_and_use_the_new_identity_afterwards() {
    let world = Arc::new(World::start());
    let files = |name: &str| ["pfx", "password"].map(|extension| world.file(&format!("{name}.{extension}")));
    let identities = ["orders", "billing"].map(|name| files(name).map(|file| fs::read(file).unwrap()));
    let (stop, stopped) = watch::channel(false);
    let mut callers = JoinSet::new();
    for is_http2 in [false, true] {
        let (world, stopped) = (world.clone(), stopped.clone());
        callers.spawn(async move {
            let (mut one, mut two) = (world.demo.http1(None).await, world.demo.http2(None).await);
            let mut count = 0;
            while !*stopped.borrow() {
                let response = if is_http2 {
                    two.send_request(get("/open")).await
                } else {
                    one.ready().await.unwrap();
                    one.send_request(get("/open")).await
                };
                assert_eq!(whole(response.unwrap()).await.0, 200);
                count += 1;
            }
            count
        });
    }
    for turn in 0..12 {
        for (file, contents) in files("orders").iter().zip(&identities[(turn + 1) % 2]) {
            replace(file, contents);
        }
        let from = world.running.lines();
        world.running.hang_up();
        world.running.logged(from, RELOADED);
        let expected = ["CN=orders-gateway", "CN=billing-gateway"][(turn + 1) % 2];
        for _ in 0..3 {
            let (status, body) = world.ask(Some("client"), "/orders").await;
            assert!(status == 200 && body.contains(expected), "{turn}: {body}");
        }
    }
    stop.send_replace(true);
    while let Some(count) = callers.join_next().await {
        assert!(count.unwrap() > 12, "requests were sent throughout");
    }
}

#[tokio::test]
async fn listener_moves_without_losing_a_request_and_stays_if_it_cannot() {
    let upstream = SlowUpstream::start().await;
    let world = World::start();
    let slow =
        format!("{}\n[[routes]]\npath = \"/slow\"\nupstream = \"http://{}\"\n", world.text, upstream.address);
    replace(&world.config, &slow);
    world.running.logged(0, RELOADED);
    let mut asking = world.demo.http1(None).await;
    let asked = tokio::spawn(async move { whole(asking.send_request(get("/slow")).await.unwrap()).await });
    upstream.asked(1).await;

    // Another process has the port.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let from = world.running.lines();
    let listener = "address = \"127.0.0.1:0\"\ncertificate";
    let moved = slow.replace(listener, &format!("address = \"{address}\"\ncertificate"));
    assert_ne!(moved, slow);
    replace(&world.config, moved.replace("path = \"/open\"", "path = \"/moved\""));
    let error = world.running.logged(from, NOT);
    assert!(error.contains(": listener.address: cannot listen on ") && error.contains(&address), "{error}");
    assert_eq!(world.ask(None, "/open").await.0, 200, "nothing was published");

    drop(taken);
    world.running.logged(from, RELOADED);
    let old = world.demo.port;
    eventually("the old address to close", || std::net::TcpStream::connect(("127.0.0.1", old)).is_err())
        .await;
    upstream.release();
    assert_eq!(asked.await.unwrap().0, 200, "requests in flight are answered");
    let world =
        World { demo: world.demo.on_port(address.rsplit(':').next().unwrap().parse().unwrap()), ..world };
    assert_eq!(world.ask(None, "/moved").await.0, 200);
}

#[tokio::test]
async fn management_listener_starts_changes_its_token_and_stops() {
    let world = World::start();
    let management = world.running.management_port();
    assert_eq!(world.stale_seconds().await, 0.0);
    let from = world.running.lines();
    replace(&world.file("management.token"), "another token of 16 bytes\n".replace(' ', "-"));
    world.running.logged(from, RELOADED);
    assert_eq!(world.stale_seconds().await, 0.0, "the new token is accepted");

    let from = world.running.lines();
    let (before, after) = world.text.split_once("[management]").unwrap();
    let (_, after) = after.split_once("[trust.").unwrap();
    replace(&world.config, format!("{before}[trust.{after}"));
    world.running.logged(from, RELOADED);
    eventually("the management listener to close", || {
        std::net::TcpStream::connect(("127.0.0.1", management)).is_err()
    })
    .await;
    assert_eq!(world.ask(None, "/open").await.0, 200);
}

#[tokio::test]
async fn route_opened_by_a_policy_document_is_warned_of() {
    let world = World::start();
    let route = "\n[[routes]]\npath = \"/late\"\nupstream = \"http://127.0.0.1:9\"\n";
    let demands = "<policies><inbound><validate-client-certificate validate-revocation=\"false\" /></inbound></policies>";
    let open = "<policies><inbound><base /></inbound></policies>";
    let by_rules = format!("{}{route}client_certificate = {{ trust = \"partners\" }}\n", world.text);
    let by_document = |name: &str, more: &str| {
        replace(&world.file(name), if more.is_empty() { open } else { demands });
        format!("{}{route}client_certificate = {{ policy = \"{name}\"{more} }}\n", world.text)
    };
    let demanding = by_document("demanding.xml", ", trust = \"partners\"");
    let opening = by_document("opening.xml", "");
    for (before, after, is_opened) in [
        (&by_rules, &demanding, false),
        (&demanding, &opening, true),
        (&opening, &by_rules, false),
        (&by_rules, &opening, true),
    ] {
        replace(&world.config, before);
        let from = world.running.lines();
        world.running.hang_up();
        world.running.logged(from, RELOADED);
        let from = world.running.lines();
        replace(&world.config, after);
        world.running.hang_up();
        world.running.logged(from, RELOADED);
        let warning = "this route no longer requires a certificate path=\"/late\"";
        assert_eq!(world.running.count(from, warning), usize::from(is_opened), "{before}\n{after}");
    }
}

#[tokio::test]
async fn number_of_workers_is_effective_at_a_start_and_its_change_is_reported() {
    let demo = Demo::start();
    let config = demo.dir().join("live.toml");
    let text = demo.toml();
    let one_worker = format!("workers = 1\n{text}");
    fs::write(&config, &one_worker).unwrap();
    let (running, port) = Running::start(&config);
    let world = World { demo: demo.on_port(port), running, config, text: one_worker };
    let orders = || world.ask(Some("client"), "/orders/1");
    let (first, second) = tokio::join!(orders(), orders());
    assert_eq!((first.0, second.0), (200, 200));
    world.change("workers = 1", "workers = 2");
    world.running.logged(0, "workers: the new number is effective after a restart; restart the gateway");
    world.running.logged(0, RELOADED);
    assert_eq!(orders().await.0, 200);
}
