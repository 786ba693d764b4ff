//! Swapped links, edits in place, and broken files.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use super::*;
use crate::support::{Demo, get, metrics, replace, value, whole};

/// A pipe without a writer.
fn make_pipe(file: &Path) {
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
}

#[tokio::test]
async fn certificate_swapped_by_kubernetes_is_presented_in_the_next_handshake() {
    let other = Demo::start();
    let world = World::start_with(|dir| {
        // As a mounted secret: each file is a link through `..data`, which is swapped as a whole.
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
    assert_eq!(whole(response).await.0, 200, "an open connection continues");
}

#[tokio::test]
async fn half_written_pair_is_never_presented_until_it_is_complete() {
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
    // The management listener presents the same certificate from now on.
    let demo = other.on_port(world.demo.port);
    fs::copy(world.file("management.token"), demo.dir().join("management.token")).unwrap();
    let metrics = metrics(&demo, world.running.management_port()).await;
    assert_eq!(value(&metrics, "config_stale_seconds"), Some(0.0));
}

#[tokio::test]
async fn old_state_serves_until_a_broken_file_is_fixed() {
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
        // Loading is retried without another log line.
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
async fn configuration_edited_in_place_is_loaded_when_replaced_or_on_sighup() {
    let world = World::start();
    let guarded =
        format!("{}\n[[routes]]\npath = \"/late\"\nupstream = \"http://127.0.0.1:9\"\n", world.text);
    let whole = format!("{guarded}[routes.client_certificate]\ntrust = \"partners\"\n");
    replace(&world.config, &whole);
    world.running.logged(0, RELOADED);
    assert_eq!(world.ask(None, "/late").await.0, 403);

    // The first half of the file is valid, and its route is open.
    let from = world.running.lines();
    fs::write(&world.config, &guarded).unwrap();
    let reported = world.running.logged(from, EDITED);
    assert!(
        reported.contains("WARN gateway::server::follow: live.toml: ") && reported.contains("kill -HUP "),
        "{reported}"
    );
    assert!(world.stale_seconds().await > 0.0);
    // A file that it names is read again, the configuration is not.
    let ca = world.file("partners-ca.pem");
    replace(&ca, fs::read(&ca).unwrap());
    let reported = world.running.logged(from, RELOADED);
    let without = "reloaded, without the edit in place of live.toml; load it with `kill -HUP ";
    assert!(reported.contains(without), "{reported}");
    assert_eq!(world.ask(None, "/late").await.0, 403);
    assert!(world.stale_seconds().await > 0.0, "the edit is not loaded yet");
    assert_eq!(world.running.count(from, EDITED), 1, "once for each edit");

    // Back to the loaded text.
    fs::write(&world.config, &whole).unwrap();
    world.running.logged(from, "INFO gateway::server::follow: live.toml: is again what was loaded");
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
    let reported = world.running.logged(from, "this route no longer requires a certificate");
    assert!(reported.contains("WARN") && reported.contains("path=\"/late\""), "{reported}");
    while world.stale_seconds().await > 0.0 {}
    assert_eq!(world.ask(None, "/late").await.0, 502, "the upstream is down, and the route is open");

    let from = world.running.lines();
    replace(&world.config, &whole);
    world.running.logged(from, RELOADED);
    assert_eq!(world.ask(None, "/late").await.0, 403);
    assert_eq!(world.running.count(from, EDITED), 0);
}

#[tokio::test]
async fn configuration_behind_a_swapped_link_is_loaded_and_a_touched_one_is_not() {
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
    // The time in which an edit is noticed.
    replace(&world.file("management.token"), "another-token-of-16-bytes\n");
    world.running.logged(from, RELOADED);
    replace(&world.file("management.token"), "another-token-of-17-bytes\n");
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
