//! Unproven certificates are admitted only with consent in the configuration, and marked.

use std::{fs, path::PathBuf};

use crate::support::{Demo, Running, check, gateway, metrics, replace, shell, value};

/// A document that refuses under this condition, as the articles of 2017 write it.
fn document(condition: &str) -> String {
    let condition = condition.replace("CERT", "context.Request.Certificate");
    format!(
        r#"<choose>
    <when condition="@(context.Request.Certificate == null || {condition})" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#
    )
}

const EXPIRY: &str = "CERT.NotAfter < DateTime.Now";
const NAMES: &str =
    r#"CERT.Issuer != "CN=Partners CA, O=Contoso" || CERT.SubjectName != "CN=orders-client, O=Contoso""#;
const THUMBPRINT: &str = r#"CERT.Thumbprint != "DESIRED""#;
const STORE: &str = "!context.Deployment.Certificates.Any(c => c.Value.Thumbprint == CERT.Thumbprint)";
const CHAIN: &str = "!CERT.Verify()";
/// A GET needs matching names only.
const SOMETIMES: &str = r#"(context.Request.Method != "GET" && !CERT.Verify())"#;

struct World {
    demo: Demo,
    config: PathBuf,
}

impl World {
    fn new() -> Self {
        let demo = Demo::start();
        let config = demo.dir().join("unproven.toml");
        Self { demo, config }
    }

    /// Writes a configuration with these tables of `client_certificate`, at `/0`, `/1` and so on.
    fn write(&self, rules: &[&str]) -> String {
        let mut text = String::from(
            "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
             [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
             [trust.partners]\nca = [\"partners-ca.pem\"]\nrevocation = \"off\"\n\
             [identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n",
        );
        let toml = fs::read_to_string(self.demo.dir().join("gateway.toml")).unwrap();
        let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
        for (number, rules) in rules.iter().enumerate() {
            text += &format!(
                "[[routes]]\npath = \"/{number}\"\nupstream = \"{upstream}\"\nidentity = \"orders\"\n\
                 client_certificate = {{ {rules} }}\n[routes.upstream_tls]\nca = [\"backend-ca.pem\"]\n"
            );
        }
        fs::write(&self.config, &text).unwrap();
        text
    }

    fn write_document(&self, condition: &str) {
        let client = self.demo.dir().join("client.pem");
        let line = format!("openssl x509 -in '{}' -noout -fingerprint -sha1 | cut -d= -f2", client.display());
        let thumbprint = shell(&line).replace([':', '\n'], "");
        let text = document(condition).replace("DESIRED", &thumbprint);
        replace(&self.demo.dir().join("d.policy.xml"), text);
    }
}

/// The error of a document that proves nothing.
const UNPROVEN: &str = "client_certificate.policy: \"d.policy.xml\", line 2, column 5: certificates are judged but not \
                        proven: a self-made certificate can pass; ";
const USELESS: &str =
    "client_certificate.trust: has no effect: \"d.policy.xml\" never requires a chain; remove trust, or ";

#[test]
fn document_that_proves_nothing_needs_consent() {
    let world = World::new();
    let (trust, consent) = ("trust = \"partners\", ", "allow_unanchored = true, ");
    for (condition, beside, errors) in [
        (EXPIRY, "", &[UNPROVEN][..]),
        (EXPIRY, "allow_unanchored = false, ", &[UNPROVEN]),
        (EXPIRY, "mode = \"shadow\", ", &[UNPROVEN]),
        (EXPIRY, consent, &[]),
        (EXPIRY, trust, &[UNPROVEN, USELESS]),
        (EXPIRY, "trust = \"partners\", allow_unanchored = true, ", &[USELESS]),
        (NAMES, "", &[UNPROVEN]),
        (NAMES, consent, &[]),
        (THUMBPRINT, "", &[]),
        (THUMBPRINT, consent, &[]),
        (THUMBPRINT, trust, &[USELESS]),
        (STORE, "", &[]),
        (STORE, consent, &[]),
        (CHAIN, trust, &[]),
        (CHAIN, "trust = \"partners\", allow_unanchored = true, ", &[]),
        (SOMETIMES, trust, &[UNPROVEN]),
        (SOMETIMES, "trust = \"partners\", allow_unanchored = true, ", &[]),
    ] {
        world.write_document(condition);
        world.write(&[&format!("{beside}policy = \"d.policy.xml\"")]);
        let (code, printed) = check(&world.config);
        let case = format!("{condition} {beside}: {printed}");
        assert_eq!(code, Some(i32::from(!errors.is_empty())), "{case}");
        for error in [UNPROVEN, USELESS] {
            let mut errors_printed = printed.lines().filter(|line| !line.contains(": warning: "));
            let reported = errors_printed.any(|line| line.contains(&format!(": routes[1].{error}")));
            assert_eq!(reported, errors.contains(&error), "{case}");
        }
        let warning = format!(": warning: routes[1].{}", UNPROVEN.trim_end_matches("; "));
        let warned = printed.contains(&warning);
        assert_eq!(
            warned,
            [EXPIRY, NAMES, SOMETIMES].contains(&condition) && beside.contains(consent),
            "{case}"
        );
        if !errors.is_empty() {
            // `run` prints the same.
            let started = gateway().args(["run", "--config"]).arg(&world.config).output().unwrap();
            let said = String::from_utf8(started.stderr).unwrap();
            assert_ne!(started.status.code(), Some(0), "{case}");
            assert!(errors.iter().all(|error| said.contains(error)), "{case}\n{said}");
        }
    }
}

#[test]
fn printed_remedies_work_as_written() {
    let world = World::new();
    world.write_document(NAMES);
    let text = world.write(&["policy = \"d.policy.xml\""]);
    let (_, printed) = check(&world.config);
    let remedy = "allow_unanchored = true";
    assert!(printed.contains(&format!("or write {remedy} beside policy")), "{printed}");
    fs::write(&world.config, text.replace("policy =", &format!("{remedy}, policy ="))).unwrap();
    assert_eq!(check(&world.config).0, Some(0));
    let chain = "|| !context.Request.Certificate.VerifyNoRevocation()";
    assert!(printed.contains(&format!("({chain}, and trust beside policy)")), "{printed}");
    world.write_document(&format!("{NAMES} {chain}"));
    fs::write(&world.config, text.replace("policy =", "trust = \"partners\", policy =")).unwrap();
    assert_eq!(check(&world.config).0, Some(0));
}

#[test]
fn rules_that_prove_nothing_need_consent() {
    let world = World::new();
    let thumbprint = format!("thumbprint = [\"{}\"]", "A1".repeat(32));
    for (rules, needs) in [
        ("issuer = [\"CN=Partners CA, O=Contoso\"]", true),
        ("subject = [\"CN=orders-client, O=Contoso\"]", true),
        ("common_name = [\"orders-client\"], dns_name = [\"*.contoso.com\"]", true),
        ("validity = true", true),
        ("trust = \"partners\", issuer = [\"CN=Partners CA, O=Contoso\"]", false),
        (&thumbprint, false),
    ] {
        for consent in [false, true] {
            world.write(&[&format!("{rules}, allow_unanchored = {consent}")]);
            let (code, printed) = check(&world.config);
            assert_eq!(code, Some(i32::from(needs && !consent)), "{rules} {consent}: {printed}");
            assert!(code == Some(0) || printed.contains("state allow_unanchored = true"), "{printed}");
        }
    }
}

#[tokio::test]
async fn unproven_admission_is_logged_and_counted() {
    let world = World::new();
    world.write_document(NAMES);
    world.write(&[
        "issuer = [\"CN=Partners CA, O=Contoso\"], allow_unanchored = true",
        "policy = \"d.policy.xml\", allow_unanchored = true",
        "trust = \"partners\"",
        "trust = \"partners\", allow_unanchored = true",
        "subject = [\"CN=other\"], allow_unanchored = true, mode = \"shadow\"",
    ]);
    for (path, caller, verdict) in [
        (
            "/0",
            "impostor",
            "admitted, unproven: anyone can make a certificate that these rules admit
",
        ),
        (
            "/1",
            "impostor",
            "admitted, unproven: the document also admits self-made certificates
",
        ),
        ("/2", "client", "\nadmitted\n"),
    ] {
        let mut explain = gateway();
        explain.args(["explain", "--route", path, "--config"]).arg(&world.config).arg("--certificate");
        let output = explain.arg(world.demo.dir().join(format!("{caller}.pem"))).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && printed.ends_with(verdict), "{path}: {printed}");
    }
    let (running, port) = Running::start(&world.config);
    let demo = world.demo.on_port(port);
    for (path, caller, status) in [
        ("/0", "impostor", "200"),
        ("/0", "client", "200"),
        ("/0", "stranger", "403"),
        ("/1", "impostor", "200"),
        ("/1", "stranger", "403"),
        ("/2", "client", "200"),
        ("/3", "client", "200"),
        ("/4", "client", "200"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = demo.send_raw(Some(caller), request.as_bytes()).await;
        assert_eq!(&answer[9..12], status, "{path} {caller}: {answer}");
    }
    let counted = metrics(&demo, running.management_port()).await;
    let series = |route: &str| format!("gateway_unverified_certificates_total{{route=\"{route}\"}}");
    for (route, expected) in
        [("/0", Some(2.0)), ("/1", Some(1.0)), ("/2", None), ("/3", None), ("/4", Some(0.0))]
    {
        assert_eq!(value(&counted, &series(route)), expected, "{route}: {counted}");
    }
    for route in ["/0", "/1"] {
        let line = running.logged(0, &format!("route=\"{route}\""));
        for part in
            ["INFO", "certificate admitted without a proof", "verified=false", "thumbprint=", "remote="]
        {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    assert_eq!(running.count(0, "verified=false"), running.count(0, "certificate admitted without a proof"));
    assert!(!running.log().contains("route=\"/2\""), "{}", running.log());
}

#[tokio::test]
async fn reload_that_admits_unproven_certificates_without_consent_is_refused() {
    let world = World::new();
    world.write_document(THUMBPRINT);
    let text = world.write(&["policy = \"d.policy.xml\""]);
    let (running, port) = Running::start(&world.config);
    let World { demo, config } = world;
    let world = World { demo: demo.on_port(port), config };
    let status = async |caller: &str| {
        let request = b"GET /0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        world.demo.send_raw(Some(caller), request).await[9..12].to_owned()
    };
    assert_eq!((status("client").await, status("impostor").await), ("200".into(), "403".into()));

    let from = running.lines();
    world.write_document(NAMES);
    let line = running.logged(from, "configuration not reloaded: ");
    assert!(line.contains(UNPROVEN), "{line}");
    assert_eq!(status("impostor").await, "403", "the old document serves");

    let from = running.lines();
    replace(&world.config, text.replace("policy =", "allow_unanchored = true, policy ="));
    running.logged(from, "INFO gateway::server::follow: reloaded");
    assert_eq!(status("impostor").await, "200");

    let from = running.lines();
    replace(&world.config, &text);
    let line = running.logged(from, "configuration not reloaded: ");
    assert!(line.contains(UNPROVEN), "{line}");
    assert_eq!(status("impostor").await, "200");
}
