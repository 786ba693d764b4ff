//! Chains to the CAs of a trust set.

use std::{fs, path::Path};

use rcgen::KeyUsagePurpose;

use crate::support::{
    Demo, Running, gateway,
    pki::{Authority, Leaf, now},
};

/// A root that is valid from and until this many days from now.
pub(super) fn root(common_name: &str, from: i64, until: i64) -> Authority {
    const DAY: i64 = 86_400;
    Authority::root_between(common_name, now() + from * DAY, now() + until * DAY)
}

/// Writes a client certificate with its chain, and its key.
fn issue(authority: &Authority, folder: &Path, name: &str, usages: &[KeyUsagePurpose]) {
    let issued = authority.issue(&Leaf::client(name).key_usages(usages));
    fs::write(folder.join(format!("{name}.pem")), issued.chain_pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), issued.key_pem()).unwrap();
}

/// A gateway with these trust sets and routes in front of the demo's upstreams.
pub(super) fn gateway_with(demo: &Demo, text: &str) -> (Running, u16) {
    let toml = fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
    let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
    let config = demo.dir().join("authorities.toml");
    let head = r#"
        [listener]
        address = "127.0.0.1:0"
        certificate = "server.pem"
        private_key = "server.key"
        [identities.orders]
        pfx = "orders.pfx"
        password_file = "orders.password"
        [upstream_tls]
        ca = ["backend-ca.pem"]
        "#;
    fs::write(&config, format!("{head}{text}").replace("UPSTREAM", upstream)).unwrap();
    Running::start(&config)
}

pub(super) async fn status(demo: &Demo, certificate: &str, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = demo.send_raw(Some(certificate), request.as_bytes()).await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Exit code and standard output.
fn explain(demo: &Demo, route: &str, certificate: &str) -> (Option<i32>, String) {
    let mut command = gateway();
    command.args(["explain", "--route", route, "--config"]).arg(demo.dir().join("authorities.toml"));
    command.arg("--certificate").arg(demo.dir().join(format!("{certificate}.pem")));
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn chain_to_an_expired_ca_gets_403_unless_allowed() {
    let demo = Demo::start();
    let old = root("old", -20, -2);
    fs::write(demo.dir().join("old-ca.pem"), old.pem()).unwrap();
    issue(&old, &demo.dir(), "partner", &[]);
    let (running, port) = gateway_with(
        &demo,
        r#"
        [trust.strict]
        ca = ["old-ca.pem"]
        [trust.lenient]
        ca = ["old-ca.pem"]
        allow_expired_ca = true
        [[routes]]
        path = "/strict"
        upstream = "UPSTREAM"
        identity = "orders"
        client_certificate = { trust = "strict" }
        [[routes]]
        path = "/lenient"
        upstream = "UPSTREAM"
        identity = "orders"
        client_certificate = { trust = "lenient" }
        "#,
    );
    running.logged(0, "chains to it are rejected; name a CA that is valid, or write allow_expired_ca = true");
    running.logged(0, "chains to it are accepted (allow_expired_ca)");
    let (code, explained) = explain(&demo, "/strict", "partner");
    assert_eq!(code, Some(2), "{explained}");
    assert!(explained.contains("root \"") && explained.contains("\" expired at "), "{explained}");
    let demo = demo.on_port(port);
    assert_eq!(status(&demo, "partner", "/lenient").await, 200);
    assert_eq!(status(&demo, "partner", "/strict").await, 403);
    let line = running.logged(0, "reason=\"expired_ca\"");
    assert!(line.contains("CN=partner"), "{line}");
}

#[tokio::test]
async fn chain_forbidden_by_a_key_usage_gets_403() {
    let demo = Demo::start();
    let root = Authority::root("partners");
    fs::write(demo.dir().join("ca-in-use.pem"), root.pem()).unwrap();
    let signs = [KeyUsagePurpose::DigitalSignature];
    for (name, usage) in [("good", KeyUsagePurpose::KeyCertSign), ("lists", KeyUsagePurpose::CrlSign)] {
        let issuing = root.intermediate_for("issuing", &[usage]);
        issue(&issuing, &demo.dir(), name, &signs);
    }
    issue(&root, &demo.dir(), "encrypts", &[KeyUsagePurpose::KeyEncipherment]);
    let (running, port) = gateway_with(
        &demo,
        r#"
        [trust.partners]
        ca = "ca-in-use.pem"
        [[routes]]
        path = "/"
        upstream = "UPSTREAM"
        identity = "orders"
        client_certificate = { trust = "partners" }
        "#,
    );
    let demo = demo.on_port(port);
    assert_eq!(status(&demo, "good", "/").await, 200);
    for (name, found) in
        [("lists", "lacks keyCertSign"), ("encrypts", "neither digitalSignature nor keyAgreement")]
    {
        let (code, explained) = explain(&demo, "/", name);
        assert!(code == Some(2) && explained.contains(found), "{name}: {explained}");
        let lines = running.lines();
        assert_eq!(status(&demo, name, "/").await, 403, "{name}");
        let line = running.logged(lines, "reason=\"key_usage\"");
        assert!(line.contains(&format!("CN={name}")), "{line}");
    }
}
