//! What changes in the files is served from the next request on, whole or not at all.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use support::{Demo, Running, get, metrics, replace, slow_upstream::SlowUpstream, value, whole};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};

/// A gateway that serves a copy of the demo's configuration on free ports, and the demo behind it.
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

    /// Replaces the configuration by one with the first text, where it stands first, replaced by the second.
    fn change(&self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from}");
        replace(&self.config, self.text.replacen(from, to, 1));
    }

    /// Asks on a connection of its own.
    async fn ask(&self, certificate: Option<&str>, path: &str) -> (u16, String) {
        let response = self.demo.http1(certificate).await.send_request(get(path)).await.unwrap();
        let (status, _, body) = whole(response).await;
        (status, body)
    }

    async fn stale_seconds(&self) -> f64 {
        let metrics = metrics(&self.demo, self.running.management_port()).await;
        value(&metrics, "config_stale_seconds").unwrap()
    }

    /// Whether it shows a certificate of this demo's making.
    async fn shows(&self, demo: &Demo) -> bool {
        let socket = TcpStream::connect(("127.0.0.1", self.demo.port)).await.unwrap();
        demo.handshake(socket, None, b"http/1.1").await.is_ok()
    }
}

/// A pipe that nobody writes into.
fn make_pipe(file: &Path) {
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
}

const NOT: &str = "ERROR gateway::live: configuration not reloaded: ";
const EDITED: &str = ": edited in place, not loaded; ";
const RELOADED: &str = "INFO gateway::live: reloaded";

#[tokio::test]
async fn a_changed_route_is_served_on_open_connections_within_two_seconds() {
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
    // The identity's own files change, and who may call.
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
    world.change("issuer = [\"", "issuer = [\"CN=Nobody, ");
    world.running.hang_up();
    world.running.logged(from, RELOADED);
    assert_eq!(world.ask(Some("client"), "/orders").await.0, 403);
}

#[tokio::test]
async fn a_shorter_idle_timeout_closes_connections_that_are_open_and_what_stays_is_said() {
    let world = World::start();
    let mut idle = world.demo.http1(None).await;
    assert_eq!(whole(idle.send_request(get("/open")).await.unwrap()).await.0, 200);
    let from = world.running.lines();
    replace(
        &world.config,
        format!("{}[limits]\nidle_timeout = \"100ms\"\nmax_connections = 500\n", world.text),
    );
    world.running.logged(from, RELOADED);
    assert_eq!(world.running.count(from, "WARN gateway::serve: limits.max_connections changed"), 1);
    support::until("the idle connection to close", || idle.is_closed()).await;
}

#[tokio::test]
async fn requests_fail_by_no_reload_and_show_the_new_identity_after_it() {
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
        assert!(count.unwrap() > 12, "it was asked all the time");
    }
}

#[tokio::test]
async fn a_certificate_that_kubernetes_swaps_is_shown_in_the_next_handshake() {
    let other = Demo::start();
    let world = World::start_with(|dir| {
        // As a mounted secret: each file is a link through ..data, which is swapped as a whole.
        for (version, demo) in [("..v1", dir), ("..v2", &other.dir())] {
            fs::create_dir(dir.join(version)).unwrap();
            for name in ["server.pem", "server.key"] {
                fs::copy(demo.join(name), dir.join(version).join(name)).unwrap();
            }
        }
        symlink("..v1", dir.join("..data")).unwrap();
        for name in ["server.pem", "server.key"] {
            fs::remove_file(dir.join(name)).unwrap();
            symlink(Path::new("..data").join(name), dir.join(name)).unwrap();
        }
    });
    assert!(world.shows(&world.demo).await && !world.shows(&other).await);
    let mut open = world.demo.http1(None).await;
    let from = world.running.lines();
    symlink("..v2", world.file("..data_tmp")).unwrap();
    fs::rename(world.file("..data_tmp"), world.file("..data")).unwrap();
    world.running.logged(from, RELOADED);
    assert!(!world.shows(&world.demo).await && world.shows(&other).await);
    let response = open.send_request(get("/open")).await.unwrap();
    assert_eq!(whole(response).await.0, 200, "an open connection goes on");
}

#[tokio::test]
async fn a_half_written_pair_is_never_shown_and_its_other_half_mends_it() {
    let other = Demo::start();
    let world = World::start();
    assert_eq!(world.stale_seconds().await, 0.0);
    let from = world.running.lines();
    replace(&world.file("server.pem"), fs::read(other.dir().join("server.pem")).unwrap());
    let error = world.running.logged(from, NOT);
    assert!(error.contains("live.toml:") && error.contains(": listener.private_key: "), "{error}");
    assert!(world.shows(&world.demo).await, "the old certificate with the old key");
    assert_eq!(world.ask(Some("client"), "/orders").await.0, 200);
    let before = world.stale_seconds().await;
    assert!(before > 0.0 && world.stale_seconds().await > before);

    replace(&world.file("server.key"), fs::read(other.dir().join("server.key")).unwrap());
    world.running.logged(from, RELOADED);
    assert!(world.shows(&other).await);
    // The management listener shows the same certificate from now on.
    let demo = other.on_port(world.demo.port);
    fs::copy(world.file("management.token"), demo.dir().join("management.token")).unwrap();
    let metrics = metrics(&demo, world.running.management_port()).await;
    assert_eq!(value(&metrics, "config_stale_seconds"), Some(0.0));
}

#[tokio::test]
async fn whatever_is_broken_the_old_state_serves_on_until_it_is_mended() {
    let world = World::start();
    type Change<'a> = &'a dyn Fn();
    let (ca, password) = (world.file("partners-ca.pem"), world.file("orders.password"));
    let aside = world.file("aside");
    let written = fs::read(&password).unwrap();
    let mend_config = || replace(&world.config, &world.text);
    let put_back = || {
        if ca.is_dir() {
            fs::remove_dir(&ca).unwrap();
        } else if ca.exists() {
            fs::remove_file(&ca).unwrap();
        }
        fs::rename(&aside, &ca).unwrap();
    };
    let cases: [(&str, Change<'_>, &str, Change<'_>); 8] = [
        ("no TOML", &|| world.change("[listener]", "[listener"), ": listener: not TOML", &mend_config),
        (
            "an unknown key",
            &|| world.change("address =", "adress ="),
            "listener.adress: is not a known key",
            &mend_config,
        ),
        (
            "the configuration is away",
            &|| fs::rename(&world.config, &aside).unwrap(),
            "live.toml:1: cannot be read",
            &|| {
                fs::rename(&aside, &world.config).unwrap();
            },
        ),
        (
            "a file is away",
            &|| fs::rename(&ca, &aside).unwrap(),
            ": trust.partners.ca: \"partners-ca.pem\" cannot be read",
            &put_back,
        ),
        (
            "a folder in place of a file",
            &|| {
                fs::rename(&ca, &aside).unwrap();
                fs::create_dir(&ca).unwrap();
            },
            ": trust.partners.ca: \"partners-ca.pem\" cannot be read",
            &put_back,
        ),
        (
            "a pipe in place of a file",
            &|| {
                fs::rename(&ca, &aside).unwrap();
                make_pipe(&ca);
            },
            ": trust.partners.ca: \"partners-ca.pem\" cannot be read: not a regular file",
            &put_back,
        ),
        (
            "a pipe in place of the configuration",
            &|| {
                fs::remove_file(&world.config).unwrap();
                make_pipe(&world.config);
            },
            "live.toml:1: cannot be read: not a regular file",
            &|| {
                fs::remove_file(&world.config).unwrap();
                mend_config();
            },
        ),
        (
            "another password",
            &|| replace(&password, "another"),
            ": identities.orders.password_file: ",
            &|| {
                replace(&password, &written);
            },
        ),
    ];
    for (case, break_it, expected, mend) in cases {
        let from = world.running.lines();
        break_it();
        let error = world.running.logged(from, NOT);
        assert!(error.contains(expected), "{case}: {error}");
        assert!(!error.contains(&*world.demo.dir().to_string_lossy()), "{case}: {error}");
        assert_eq!(world.ask(Some("client"), "/orders").await.0, 200, "{case}");
        assert_eq!(world.ask(None, "/orders").await.0, 403, "{case}");
        assert!(world.stale_seconds().await > 0.0, "{case}");
        // It is tried again, and not told again.
        world.running.hang_up();
        world.running.logged(from, "retried with the same errors");
        mend();
        world.running.logged(from, RELOADED);
        assert_eq!(world.stale_seconds().await, 0.0, "{case}");
        assert_eq!(world.running.count(from, NOT), 1, "{case}");
        assert_eq!(world.running.count(from, "another"), 0, "{case}: a password");
    }
}

#[tokio::test]
async fn a_listener_moves_without_losing_a_request_and_stays_if_it_cannot() {
    let upstream = SlowUpstream::start().await;
    let world = World::start();
    let slow =
        format!("{}\n[[routes]]\npath = \"/slow\"\nupstream = \"http://{}\"\n", world.text, upstream.address);
    replace(&world.config, &slow);
    world.running.logged(0, RELOADED);
    let mut asking = world.demo.http1(None).await;
    let asked = tokio::spawn(async move { whole(asking.send_request(get("/slow")).await.unwrap()).await });
    upstream.asked(1).await;

    // Somebody else has the port.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let from = world.running.lines();
    let listener = "address = \"127.0.0.1:0\"\ncertificate";
    let moved = slow.replace(listener, &format!("address = \"{address}\"\ncertificate"));
    assert_ne!(moved, slow);
    replace(&world.config, moved.replace("path = \"/open\"", "path = \"/moved\""));
    let error = world.running.logged(from, NOT);
    assert!(error.contains(": listener.address: cannot listen on ") && error.contains(&address), "{error}");
    assert_eq!(world.ask(None, "/open").await.0, 200, "nothing of it was published");

    drop(taken);
    world.running.logged(from, RELOADED);
    let old = world.demo.port;
    support::until("the old address to close", || std::net::TcpStream::connect(("127.0.0.1", old)).is_err())
        .await;
    upstream.release();
    assert_eq!(asked.await.unwrap().0, 200, "what was in flight there is answered");
    let world =
        World { demo: world.demo.on_port(address.rsplit(':').next().unwrap().parse().unwrap()), ..world };
    assert_eq!(world.ask(None, "/moved").await.0, 200);
}

#[tokio::test]
async fn the_management_listener_comes_changes_its_token_and_goes() {
    let world = World::start();
    let management = world.running.management_port();
    assert_eq!(world.stale_seconds().await, 0.0);
    let from = world.running.lines();
    replace(&world.file("management.token"), "another token of 16 octets\n".replace(' ', "-"));
    world.running.logged(from, RELOADED);
    assert_eq!(world.stale_seconds().await, 0.0, "the new token is taken");

    let from = world.running.lines();
    let (before, after) = world.text.split_once("[management]").unwrap();
    let (_, after) = after.split_once("[trust.").unwrap();
    replace(&world.config, format!("{before}[trust.{after}"));
    world.running.logged(from, RELOADED);
    support::until("the management listener to close", || {
        std::net::TcpStream::connect(("127.0.0.1", management)).is_err()
    })
    .await;
    assert_eq!(world.ask(None, "/open").await.0, 200);
}

#[tokio::test]
async fn configuration_that_is_edited_in_place_is_loaded_when_it_is_replaced_or_with_sighup() {
    let world = World::start();
    let guarded =
        format!("{}\n[[routes]]\npath = \"/late\"\nupstream = \"http://127.0.0.1:9\"\n", world.text);
    let whole = format!("{guarded}[routes.client_certificate]\ntrust = \"partners\"\n");
    replace(&world.config, &whole);
    world.running.logged(0, RELOADED);
    assert_eq!(world.ask(None, "/late").await.0, 403);

    // Half of it is valid, and open.
    let from = world.running.lines();
    fs::write(&world.config, &guarded).unwrap();
    let told = world.running.logged(from, EDITED);
    assert!(told.contains("WARN gateway::live: live.toml: ") && told.contains("kill -HUP "), "{told}");
    assert!(world.stale_seconds().await > 0.0);
    // A file that it names is read again, and the configuration is not.
    let ca = world.file("partners-ca.pem");
    replace(&ca, fs::read(&ca).unwrap());
    let told = world.running.logged(from, RELOADED);
    let without = "reloaded, without the edit in place of live.toml; load it with `kill -HUP ";
    assert!(told.contains(without), "{told}");
    assert_eq!(world.ask(None, "/late").await.0, 403);
    assert!(world.stale_seconds().await > 0.0, "the edit is not loaded yet");
    assert_eq!(world.running.count(from, EDITED), 1, "once for each edit");

    // Back to the loaded text.
    fs::write(&world.config, &whole).unwrap();
    world.running.logged(from, "INFO gateway::live: live.toml: is again what was loaded");
    assert_eq!(world.stale_seconds().await, 0.0);
    fs::write(&world.config, "[listener").unwrap();
    while world.running.count(from, EDITED) < 2 {
        assert_eq!(world.ask(None, "/late").await.0, 403);
    }
    assert_eq!(world.running.count(from, NOT), 0);

    fs::write(&world.config, &guarded).unwrap();
    let from = world.running.lines();
    world.running.hang_up();
    assert!(world.running.logged(from, RELOADED).ends_with("reloaded"), "with the edit");
    let told = world.running.logged(from, "this route no longer requires a certificate");
    assert!(told.contains("WARN") && told.contains("path=\"/late\""), "{told}");
    while world.stale_seconds().await > 0.0 {}
    assert_eq!(world.ask(None, "/late").await.0, 502, "nobody is there, but anyone may ask");

    let from = world.running.lines();
    replace(&world.config, &whole);
    world.running.logged(from, RELOADED);
    assert_eq!(world.ask(None, "/late").await.0, 403);
    assert_eq!(world.running.count(from, EDITED), 0);
}

#[tokio::test]
async fn a_route_that_a_policy_document_opens_is_warned_of() {
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
async fn configuration_behind_a_link_that_is_swapped_is_loaded_and_one_that_is_touched_is_not_news() {
    let world = World::start_with(|dir| {
        for version in ["..v1", "..v2"] {
            fs::create_dir(dir.join(version)).unwrap();
        }
        symlink("..v1", dir.join("..data")).unwrap();
        symlink("..data/live.toml", dir.join("live.toml")).unwrap();
    });
    let from = world.running.lines();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&world.config, mode).unwrap();
    fs::write(&world.config, &world.text).unwrap();
    let moved = world.text.replacen("path = \"/open\"", "path = \"/moved\"", 1);
    // As long as an edit takes to be noticed.
    replace(&world.file("management.token"), "another-token-of-16-octets\n");
    world.running.logged(from, RELOADED);
    replace(&world.file("management.token"), "another-token-of-17-octets\n");
    while world.running.count(from, RELOADED) < 2 {
        world.ask(None, "/open").await;
    }
    assert_eq!(world.running.count(from, EDITED), 0);
    assert_eq!(world.stale_seconds().await, 0.0);

    fs::write(world.file("..v2/live.toml"), moved).unwrap();
    symlink("..v2", world.file("..data_tmp")).unwrap();
    fs::rename(world.file("..data_tmp"), world.file("..data")).unwrap();
    while world.ask(None, "/moved").await.0 != 200 {}
    assert_eq!(world.ask(None, "/open").await.0, 404);
    assert_eq!(world.running.count(from, EDITED), 0);
}
