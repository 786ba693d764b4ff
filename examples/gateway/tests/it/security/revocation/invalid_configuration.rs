//! Lists that change while the configuration is invalid.

use super::{
    crl_server::{CrlServer, Reply},
    *,
};
use crate::support::replace;

const CRLS_RELOADED: &str = "INFO gateway::server::follow::crls: CRLs reloaded";

const FILES: &str = "crl = [\"own.crl\", \"other.crl\"]\nrevocation = \"strict\"";

/// A list of another CA, which the set does not need.
fn other_list(number: u64) -> Vec<u8> {
    Authority::root("Other CA").crl(number, &[], (now() - DAY, now() + DAY))
}

/// A gateway whose lists in files have no entry.
fn start_with_files() -> (World, Running) {
    let mut world = World::new();
    fs::write(world.file("own.crl"), world.list(1, &[])).unwrap();
    fs::write(world.file("other.crl"), other_list(1)).unwrap();
    let running = world.start(FILES);
    (world, running)
}

#[tokio::test]
async fn replaced_list_is_effective_while_another_file_or_the_configuration_is_invalid() {
    type Damage = fn(&[u8]) -> Vec<u8>;
    let cases: [(&str, &str, Damage); 3] = [
        ("not TOML", "revocation.toml", |_| b"[listener".to_vec()),
        ("an unknown section", "revocation.toml", |valid| [valid, b"[unknown]\n"].concat()),
        ("another list is truncated", "other.crl", |valid| valid[..valid.len() - 40].to_vec()),
    ];
    for (case, file, damage) in cases {
        let (world, running) = start_with_files();
        let mut open = world.demo.http2(Some("listed")).await;
        assert_eq!(whole(open.send_request(get("/")).await.unwrap()).await.0, 200, "{case}");
        let valid = fs::read(world.file(file)).unwrap();
        let from = running.lines();
        replace(&world.file(file), damage(&valid));
        running.logged(from, NOT_RELOADED);
        replace(&world.file("own.crl"), world.list(2, &[LISTED]));
        running.logged(from, CRLS_RELOADED);
        assert_eq!(whole(open.send_request(get("/")).await.unwrap()).await.0, 403, "{case}");
        assert_eq!(world.statuses().await, [200, 403], "{case}");
        let metrics = metrics(&world.demo, running.management_port()).await;
        assert!(value(&metrics, "config_stale_seconds") > Some(0.0), "{case}");
        assert_eq!(running.count(from, NOT_RELOADED), 1, "{case}");

        replace(&world.file(file), valid);
        running.logged(from, RELOADED);
        assert_eq!(world.statuses().await, [200, 403], "{case}");
        assert_eq!(running.count(from, CRLS_RELOADED), 1, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloaded_list_is_effective_while_the_configuration_is_invalid() {
    let mut world = World::new();
    let server = CrlServer::start(&world.demo.dir(), Reply::List(world.list(1, &[]))).await;
    let keys = format!(
        "crl_url = [\"https://localhost:{}/own.crl\"]\nrevocation = \"strict\"\ncrl_refresh = \"1s\"",
        server.address.port()
    );
    let running = world.start(&keys);
    running.logged(0, RELOADED);
    assert_eq!(world.statuses().await, [200, 200]);
    let from = running.lines();
    replace(&world.file("revocation.toml"), "[listener");
    running.logged(from, NOT_RELOADED);
    server.reply(Reply::List(world.list(2, &[LISTED])));
    running.logged(from, CRLS_RELOADED);
    assert_eq!(world.statuses().await, [200, 403]);
}

#[tokio::test]
async fn invalid_list_stays_without_effect_while_the_configuration_is_invalid() {
    let (world, running) = start_with_files();
    let from = running.lines();
    replace(&world.file("own.crl"), world.list(5, &[LISTED]));
    running.logged(from, RELOADED);
    replace(&world.file("revocation.toml"), "[listener");
    running.logged(from, NOT_RELOADED);
    let from = running.lines();
    replace(&world.file("own.crl"), world.list(4, &[]));
    let error = running.logged(from, "trust.own.crl");
    assert!(error.contains(NOT_RELOADED) && error.contains("\"own.crl\": "), "{error}");
    assert_eq!(world.statuses().await, [200, 403]);
}

#[tokio::test]
async fn list_is_not_effective_without_the_other_changes_of_an_invalid_configuration() {
    let (world, running) = start_with_files();
    let from = running.lines();
    replace(&world.file("revocation.toml"), "[listener");
    let other = Authority::root("Own CA");
    replace(&world.file("own-ca.pem"), other.pem());
    replace(&world.file("own.crl"), other.crl(2, &[], (now() - DAY, now() + DAY)));
    let error = running.logged(from, "new CRLs are not effective either");
    assert!(error.contains(NOT_RELOADED) && error.contains("\"own-ca.pem\" has changed too"), "{error}");
    assert_eq!(world.statuses().await, [200, 200]);
    replace(&world.file("own-ca.pem"), world.authority.pem());
    replace(&world.file("own.crl"), world.list(2, &[LISTED]));
    running.logged(from, CRLS_RELOADED);
    assert_eq!(world.statuses().await, [200, 403]);
}
