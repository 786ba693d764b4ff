//! Revocation lists that policy documents check.
#![cfg(unix)]

use std::{fs, path::PathBuf};

use super::world::{CHAIN_TODAY, REFUSED};
use crate::support::{
    Demo, Running, check, eventually, gateway, get,
    pki::{Authority, Leaf, now},
    replace,
    slow_upstream::SlowUpstream,
    soon, whole,
};

const DAY: i64 = 86_400;
const LISTED: u64 = 8;

const NO_REVOCATION: &str = r#"<validate-client-certificate validate-revocation="false" />"#;
const VALIDATE: &str = r#"<policies>
    <inbound><validate-client-certificate /></inbound>
    <on-error><set-header name="X-Reason"><value>@(context.LastError.Reason)</value></set-header></on-error>
</policies>
"#;

/// Routes with a document each: `/verify`, `/validate` and `/no-revocation`.
struct World {
    demo: Demo,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let world = Self { demo: Demo::start(), authority: Authority::root("Own CA") };
        world.write("own-ca.pem", world.authority.pem());
        for (name, serial) in [("good", 7), ("listed", LISTED)] {
            let issued = world.authority.issue(&Leaf::client(name).serial(serial));
            world.write(&format!("{name}.pem"), issued.chain_pem());
            world.write(&format!("{name}.key"), issued.key_pem());
        }
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.demo.dir().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.file(name), contents).unwrap();
    }

    /// A list of the CA with these serial numbers, valid until then.
    fn list(&self, number: u64, serials: &[u64], until: i64) -> Vec<u8> {
        self.authority.crl(number, serials, (now() - 2 * DAY, until))
    }

    /// Writes the configuration, with these keys of the set of CAs.
    fn configure(&self, keys: &str) -> PathBuf {
        let toml = fs::read_to_string(self.file("gateway.toml")).unwrap();
        let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
        self.configure_for(keys, &format!("upstream = \"{upstream}\"\nidentity = \"orders\""))
    }

    /// The same with these keys in every route.
    fn configure_for(&self, keys: &str, route: &str) -> PathBuf {
        let mut text = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
             [trust.own]\nca = [\"own-ca.pem\"]\n{keys}\n\
             [identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n\
             [upstream_tls]\nca = [\"backend-ca.pem\"]\n"
        );
        for (name, document) in
            [("verify", CHAIN_TODAY), ("validate", VALIDATE), ("no-revocation", NO_REVOCATION)]
        {
            self.write(&format!("{name}.xml"), document);
            text += &format!(
                "[[routes]]\npath = \"/{name}\"\n{route}\n\
                 client_certificate = {{ trust = \"own\", policy = \"{name}.xml\" }}\n"
            );
        }
        self.write("revocation.toml", text);
        self.file("revocation.toml")
    }
}

#[tokio::test]
async fn certificate_that_becomes_listed_fails_verify_on_open_connections() {
    let mut world = World::new();
    world.write("own.crl", world.list(1, &[], now() + DAY));
    let config = world.configure("crl = [\"own.crl\"]\nrevocation = \"strict\"");
    let (running, port) = Running::start(&config);
    world.demo.port = port;
    let mut one = world.demo.http1(Some("listed")).await;
    let mut two = world.demo.http2(Some("listed")).await;
    let mut good = world.demo.http2(Some("good")).await;
    for (number, is_listed) in [(2, false), (3, true), (4, false)] {
        for (path, status) in [("/verify", 403), ("/validate", 401), ("/no-revocation", 200)] {
            let expected = if is_listed { status } else { 200 };
            one.ready().await.unwrap();
            let (status, headers, _) = whole(one.send_request(get(path)).await.unwrap()).await;
            assert_eq!(status, expected, "{path}");
            let reason = headers.get("x-reason").map(|reason| reason.to_str().unwrap());
            assert_eq!(reason, (expected == 401).then_some("ClientCertificateRevoked"));
            assert_eq!(whole(two.send_request(get(path)).await.unwrap()).await.0, expected, "{path}");
            assert_eq!(whole(good.send_request(get(path)).await.unwrap()).await.0, 200, "{path}");
        }
        let from = running.lines();
        let serials: &[u64] = if is_listed { &[] } else { &[LISTED] };
        replace(&world.file("own.crl"), world.list(number, serials, now() + DAY));
        running.logged(from, "INFO gateway::server::follow: reloaded");
    }
    let line = running.logged(0, "reason=\"policy_document\"");
    assert!(line.contains("chain=\"a certificate of the chain is revoked\""), "{line}");
    let line = running.logged(0, "reason=\"revoked\"");
    assert!(line.contains("path=\"/validate\""), "{line}");
    let answer = world
        .demo
        .send_raw(Some("listed"), b"GET /verify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with(REFUSED), "{answer}");
}

#[tokio::test]
async fn long_request_of_a_document_is_cut_when_its_certificate_becomes_listed() {
    let mut world = World::new();
    let slow = SlowUpstream::start().await;
    world.write("own.crl", world.list(1, &[], now() + DAY));
    let route = format!("upstream = \"http://{}\"", slow.address);
    let config = world.configure_for("crl = [\"own.crl\"]\nrevocation = \"soft\"", &route);
    let (running, port) = Running::start(&config);
    world.demo.port = port;
    let mut sent = Vec::new();
    for path in ["/verify", "/validate", "/no-revocation"] {
        let mut connection = world.demo.http1(Some("listed")).await;
        let request =
            async move { connection.send_request(get(path)).await.map(|response| response.status()) };
        sent.push((path, tokio::spawn(request)));
        slow.asked(sent.len()).await;
    }
    let (_, unchecked) = sent.pop().unwrap();
    let from = running.lines();
    replace(&world.file("own.crl"), world.list(2, &[LISTED], now() + DAY));
    running.logged(from, "INFO gateway::server::follow: reloaded");
    for (path, request) in sent {
        assert!(soon(request).await.unwrap().is_err(), "{path}: no response");
    }
    let logged = |reason: &str| running.count(from, &format!("reason=\"{reason}\""));
    eventually("the log lines", || logged("policy_document") == 1 && logged("revoked") == 1).await;
    slow.release();
    assert_eq!(soon(unchecked).await.unwrap().unwrap(), 200);
}

#[test]
fn explain_names_the_reason_for_which_verify_is_false() {
    let world = World::new();
    world.write("listed.crl", world.list(1, &[LISTED], now() + DAY));
    world.write("overdue.crl", world.list(1, &[LISTED], now() - DAY));
    let revoked = "no valid chain: the client certificate is revoked";
    let unknown = "no valid chain: the revocation status of the client certificate is unknown: ";
    for (keys, caller, path, expected) in [
        ("crl = \"listed.crl\"\nrevocation = \"soft\"", "listed", "/verify", Some(revoked)),
        ("crl = \"listed.crl\"\nrevocation = \"soft\"", "listed", "/validate", Some(revoked)),
        ("crl = \"listed.crl\"\nrevocation = \"soft\"", "listed", "/no-revocation", None),
        ("crl = \"listed.crl\"\nrevocation = \"strict\"", "good", "/verify", None),
        ("crl = \"overdue.crl\"\nrevocation = \"soft\"", "good", "/verify", None),
        ("crl = \"overdue.crl\"\nrevocation = \"soft\"", "listed", "/verify", Some(revoked)),
        ("crl = \"overdue.crl\"\nrevocation = \"strict\"", "good", "/verify", Some(unknown)),
        ("crl = \"overdue.crl\"\nrevocation = \"strict\"", "good", "/validate", Some(unknown)),
        ("crl = \"overdue.crl\"\nrevocation = \"strict\"", "good", "/no-revocation", None),
        ("revocation = \"off\"", "listed", "/verify", None),
    ] {
        let mut command = gateway();
        command.args(["explain", "--route", path, "--config"]).arg(world.configure(keys));
        let output = command.arg("--certificate").arg(world.file(&format!("{caller}.pem"))).output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let case = format!("{keys} {caller} {path}: {printed}");
        assert_eq!(output.status.code(), Some(if expected.is_some() { 2 } else { 0 }), "{case}");
        assert!(printed.contains(expected.unwrap_or("forwarded; certificate admitted")), "{case}");
    }
}

#[test]
fn undeclared_revocation_is_an_error_whose_remedies_work() {
    let world = World::new();
    world.write("FILE", world.list(1, &[], now() + DAY));
    let config = world.configure("");
    let (code, printed) = check(&config);
    assert_eq!(code, Some(1), "{printed}");
    let remedy = "; write revocation = \"soft\" with crl = [\"FILE\"] or crl_url = [\"https://...\"], or revocation = \"off\", in \
                  [trust.own], or call VerifyNoRevocation() or write validate-revocation=\"false\" in the document\n";
    for (document, problem) in [
        ("verify", "Verify() checks revocation, and revocation is not configured"),
        ("validate", "validate-revocation is true (the default), and revocation is not configured"),
    ] {
        assert!(printed.contains(&format!("{document}.xml\", line ")), "{printed}");
        assert!(printed.contains(&format!("{problem}{remedy}")), "{printed}");
    }
    for keys in [
        "revocation = \"soft\"\ncrl = [\"FILE\"]",
        "revocation = \"soft\"\ncrl_url = [\"https://crl.example.com/own.crl\"]",
        "revocation = \"off\"",
    ] {
        let (code, printed) = check(&world.configure(keys));
        assert_eq!(code, Some(0), "{keys}: {printed}");
    }
    let config = world.configure("");
    world.write("verify.xml", CHAIN_TODAY.replace("Verify()", "VerifyNoRevocation()"));
    world.write(
        "validate.xml",
        VALIDATE.replace("-certificate />", "-certificate validate-revocation=\"false\" />"),
    );
    let (code, printed) = check(&config);
    assert_eq!(code, Some(0), "{printed}");
    world.write(
        "validate.xml",
        VALIDATE.replace("-certificate />", "-certificate validate-trust=\"false\" />"),
    );
    let (code, printed) = check(&config);
    assert_eq!(code, Some(1), "{printed}");
    let remedy = "write validate-trust=\"true\" or validate-revocation=\"false\"";
    assert!(
        printed.contains("needs a chain, and validate-trust is false") && printed.contains(remedy),
        "{printed}"
    );
}
