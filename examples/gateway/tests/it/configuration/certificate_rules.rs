//! `[routes.client_certificate]` over TLS: each proof of a certificate alone, and groups of alternatives.

use std::{fs, process::Command};

use crate::support::{Demo, Running, check, gateway, shell};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType,
};

/// Callers. All leaf certificates have the same names.
///
/// | name | signed by | key |
/// |---|---|---|
/// | `good` | the CA, which is sent along | its own |
/// | `alone` | the CA, which is not sent | that of `good`; the same certificate |
/// | `renewed` | another CA of the same name, sent along | that of `good` |
/// | `forged` | another CA of the same name, sent along | its own |
const CALLERS: [&str; 4] = ["good", "alone", "renewed", "forged"];

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let (mut params, key) = (named("Own CA"), KeyPair::generate().unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

fn leaf(issuer: &Issuer<'_, KeyPair>, key: &KeyPair) -> String {
    let mut params = named("orders");
    params.distinguished_name.push(DnType::OrganizationName, "Contoso");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Orders");
    params.subject_alt_names = vec![
        SanType::URI("spiffe://contoso.com/orders".try_into().unwrap()),
        SanType::Rfc822Name("orders@contoso.com".try_into().unwrap()),
    ];
    params.serial_number = Some(0x0a1b.into());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.signed_by(key, issuer).unwrap().pem()
}

/// The demo with certificates of its own CA, in `own-ca.pem`.
struct World {
    demo: Demo,
}

impl World {
    fn new() -> Self {
        let demo = Demo::start();
        let write = |name: &str, text: &str| fs::write(demo.dir().join(name), text).unwrap();
        let ((ca, issuer), (other_ca, other_issuer)) = (authority(), authority());
        let (key, other_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let good = leaf(&issuer, &key);
        write("own-ca.pem", &ca);
        for (name, chain, key) in [
            ("good", format!("{good}{ca}"), &key),
            ("alone", good, &key),
            ("renewed", leaf(&other_issuer, &key) + &other_ca, &key),
            ("forged", leaf(&other_issuer, &other_key) + &other_ca, &other_key),
        ] {
            write(&format!("{name}.pem"), &chain);
            write(&format!("{name}.key"), &key.serialize_pem());
        }
        Self { demo }
    }

    /// The SHA-256 thumbprint of the first certificate in a file.
    fn thumbprint(&self, name: &str) -> String {
        let file = self.demo.dir().join(format!("{name}.pem"));
        let line = format!("openssl x509 -in '{}' -noout -fingerprint -sha256 | cut -d= -f2", file.display());
        shell(&line).trim().to_owned()
    }

    /// The pin of a key as the documentation computes it.
    fn spki_pin(&self, name: &str) -> String {
        let file = self.demo.dir().join(format!("{name}.pem"));
        let line = format!(
            "openssl x509 -in '{}' -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1",
            file.display()
        );
        format!("spki-sha256:{}", shell(&line).trim())
    }

    /// Serves routes at `/0`, `/1` and so on with these rules.
    fn serve(&self, rules: &[&str]) -> (Running, u16) {
        let config = self.demo.dir().join("rules.toml");
        let demo = fs::read_to_string(self.demo.dir().join("gateway.toml")).unwrap();
        let upstream = demo.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
        let upstream_tls = demo.split("\n[upstream_tls]\n").nth(1).unwrap().lines().next().unwrap();
        let mut text = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
             [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
             [store]\npath = \"rules-store\"\n[trust.own]\nca = [\"own-ca.pem\"]\nrevocation = \"off\"\n\
             [identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n\
             [upstream_tls]\n{upstream_tls}\n"
        );
        for (number, rules) in rules.iter().enumerate() {
            text += &format!(
                "[[routes]]\npath = \"/{number}\"\nupstream = \"{upstream}\"\nidentity = \"orders\"\n\
                 client_certificate = {{ {rules} }}\n"
            );
        }
        fs::write(&config, text).unwrap();
        let (code, printed) = check(&config);
        assert_eq!(code, Some(0), "{printed}");
        Running::start(&config)
    }

    /// `gateway explain` for a route of the configuration that is served.
    fn explain(&self, route: &str, certificate: &str) -> (Option<i32>, String) {
        let mut command = gateway();
        command.args(["explain", "--route", route, "--config"]).arg(self.demo.dir().join("rules.toml"));
        command.arg("--certificate").arg(self.demo.dir().join(format!("{certificate}.pem")));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
}

/// The callers that get 200 from a route; all others get 403.
async fn admitted(world: &World, route: usize) -> Vec<&'static str> {
    let mut admitted = Vec::new();
    for caller in CALLERS {
        let request = format!("GET /{route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = world.demo.send_raw(Some(caller), request.as_bytes()).await;
        match answer.split(' ').nth(1) {
            Some("200") => admitted.push(caller),
            Some("403") => {}
            _ => panic!("/{route} {caller}: {answer}"),
        }
    }
    admitted
}

#[tokio::test]
async fn each_anchor_admits_the_certificates_that_it_proves() {
    let mut world = World::new();
    let (thumbprint, pin, issuer) =
        (world.thumbprint("good"), world.spki_pin("good"), world.thumbprint("own-ca"));
    let forged = world.thumbprint("forged");
    let names = "spiffe_id = \"spiffe://contoso.com/orders\", email = \"orders@contoso.com\"";
    let cases = [
        // One anchor each.
        (format!("trust = \"own\", {names}"), &["good", "alone"][..]),
        (format!("thumbprint = \"{thumbprint}\", {names}"), &["good", "alone"]),
        (format!("spki_pin = \"{pin}\""), &["good", "alone", "renewed"]),
        // The issuer must be sent, or be a root of `trust`.
        (format!("issuer_thumbprint = \"{issuer}\", {names}"), &["good"]),
        (format!("issuer_thumbprint = \"{issuer}\", trust = \"own\""), &["good", "alone"]),
        // Names beside an anchor exclude.
        ("trust = \"own\", email = \"billing@contoso.com\"".to_owned(), &[]),
        ("trust = \"own\", serial = \"0A1C\"".to_owned(), &[]),
        ("trust = \"own\", organizational_unit = [\"Billing\", \"Orders\"]".to_owned(), &["good", "alone"]),
        ("trust = \"own\", organization = \"Fabrikam\"".to_owned(), &[]),
        ("trust = \"own\", extended_key_usage = \"serverAuth\"".to_owned(), &[]),
        // One alternative suffices, all of its rules must hold, and those beside the group too.
        (
            format!("any_of = [{{ trust = \"own\", serial = \"0A1B\" }}, {{ thumbprint = \"{forged}\" }}]"),
            &["good", "alone", "forged"],
        ),
        (
            format!("any_of = [{{ trust = \"own\", serial = \"0A1C\" }}, {{ thumbprint = \"{forged}\" }}]"),
            &["forged"],
        ),
        (
            format!(
                "spki_pin = \"{pin}\", any_of = [{{ issuer_thumbprint = \"{issuer}\" }}, {{ thumbprint = \"{forged}\" }}]"
            ),
            &["good"],
        ),
        (
            format!(
                "trust = \"own\", any_of = [{{ issuer_thumbprint = \"{issuer}\" }}, {{ email = \"a@contoso.com\" }}]"
            ),
            &["good", "alone"],
        ),
        ("allow_unanchored = true, email = \"orders@contoso.com\"".to_owned(), &CALLERS),
    ];
    let rules: Vec<_> = cases.iter().map(|(rules, _)| rules.as_str()).collect();
    let (_running, port) = world.serve(&rules);
    world.demo = world.demo.on_port(port);
    for (route, (rules, expected)) in cases.iter().enumerate() {
        assert_eq!(admitted(&world, route).await, *expected, "{rules}");
    }
}

#[tokio::test]
async fn membership_in_the_store_is_an_alternative() {
    let mut world = World::new();
    let pin = world.spki_pin("forged");
    let rules = format!("any_of = [{{ in_store = true }}, {{ spki_pin = \"{pin}\" }}]");
    let (running, port) = world.serve(&[&rules]);
    let management = running.management_port();
    world.demo = world.demo.on_port(port);
    assert_eq!(admitted(&world, 0).await, ["forged"], "the store is empty");
    let dir = world.demo.dir();
    let mut upload: Command = gateway();
    upload.args(["certificates", "upload", "orders-client"]).arg(dir.join("alone.pem"));
    upload.args(["--url", &format!("https://localhost:{management}")]);
    upload.arg("--token-file").arg(dir.join("management.token")).arg("--ca").arg(dir.join("ca.pem"));
    let output = upload.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(admitted(&world, 0).await, ["good", "alone", "forged"]);
}

#[tokio::test]
async fn explain_lists_the_rules_of_each_alternative() {
    let world = World::new();
    let forged = world.thumbprint("forged");
    let rules = format!(
        "any_of = [{{ trust = \"own\", email = \"orders@contoso.com\" }}, {{ thumbprint = \"{forged}\" }}]"
    );
    let (_running, _) = world.serve(&[&rules]);
    for (certificate, code, lines) in [
        (
            "alone",
            0,
            [
                "holds: at least one of",
                "  holds: all of",
                "    holds: a chain leads",
                "  FAILS: the thumbprint is",
            ],
        ),
        (
            "renewed",
            2,
            [
                "FAILS: at least one of",
                "  FAILS: all of",
                "    FAILS: a chain leads",
                "  FAILS: the thumbprint is",
            ],
        ),
    ] {
        let (exit, printed) = world.explain("/0", certificate);
        assert_eq!(exit, Some(code), "{certificate}: {printed}");
        for line in lines {
            assert!(
                printed.lines().any(|printed| printed.starts_with(line)),
                "{certificate} {line:?}: {printed}"
            );
        }
    }
}
