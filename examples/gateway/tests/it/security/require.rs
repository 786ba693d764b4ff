//! A listener that requires a certificate: alerts in the handshake, and 403 with the end of the connection afterwards.
#![cfg(unix)]

use std::{fs, path::PathBuf, time::Duration};

use rustls::{AlertDescription, SupportedProtocolVersion, version::TLS13};

use crate::support::{
    Folder, Running,
    callers::{Caller, Http, every_version},
    check, gateway, in_time,
    pki::{self, Authority, Issued, Leaf},
    replace,
    slow_upstream::SlowUpstream,
};

const RELOADED: &str = "INFO gateway::server::follow: reloaded";
const REQUIRED: &str = "client_certificate = \"require\"";
const TRUSTED: &str = "client_certificate = \"require\"\nclient_trust = \"partners\"";
const OPEN: &str = "client_certificate = \"none\"";

struct World {
    folder: Folder,
    servers: Authority,
    partners: Authority,
    upstream: SlowUpstream,
}

impl World {
    async fn new() -> Self {
        let folder = Folder::new();
        let (servers, partners) = (Authority::root("Server CA"), Authority::root("Partner CA"));
        let server = servers.issue(&Leaf::server());
        fs::write(folder.path().join("server.pem"), server.chain_pem()).unwrap();
        fs::write(folder.path().join("server.key"), server.key_pem()).unwrap();
        let upstream = SlowUpstream::start().await;
        upstream.release();
        let world = Self { folder, servers, partners, upstream };
        world.trust(&[&world.partners]);
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the partners' CAs.
    fn trust(&self, roots: &[&Authority]) {
        let pem: String = roots.iter().map(|root| root.pem()).collect();
        replace(&self.file("partners.pem"), pem);
    }

    /// Writes the configuration with these lines in `[listener]` and in the only route.
    fn write(&self, listener: &str, route: &str) -> PathBuf {
        let config = self.file("gateway.toml");
        let text = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
             {listener}\n[trust.partners]\nca = [\"partners.pem\"]\n[[routes]]\npath = \"/\"\n\
             upstream = \"http://{}\"\n{route}\n",
            self.upstream.address
        );
        replace(&config, text);
        config
    }

    fn start(&self, listener: &str) -> (Running, u16) {
        Running::start(&self.write(listener, OPEN))
    }

    fn partner(&self, until: i64) -> Issued {
        self.partners.issue(&Leaf::client("partner").until(until))
    }

    /// A caller that keeps its TLS sessions.
    fn caller(
        &self,
        certificate: Option<&Issued>,
        tls: &'static SupportedProtocolVersion,
        http: Http,
    ) -> Caller {
        Caller::new(&self.servers, certificate, tls, http)
    }
}

#[tokio::test]
async fn untrusted_callers_get_an_alert_and_partners_a_response() {
    let world = World::new().await;
    let (running, port) = world.start(TRUSTED);
    let now = pki::now();
    let (partner, expired) = (world.partner(now + 86_400), world.partner(now - 60));
    let self_made = Leaf::client("partner").self_signed();
    for (tls, http) in every_version() {
        let case = format!("{:?} {http:?}", tls.version);
        for (certificate, expected) in [
            (None, AlertDescription::CertificateRequired),
            (Some(&self_made), AlertDescription::UnknownCA),
            (Some(&expired), AlertDescription::CertificateExpired),
        ] {
            assert_eq!(world.caller(certificate, tls, http).alert(port).await, expected, "{case}");
        }
        assert_eq!(world.caller(Some(&partner), tls, http).connect(port).await.status().await, 200, "{case}");
    }
    drop(running);
}

#[tokio::test]
async fn required_certificate_of_any_maker_is_served_on_an_open_route() {
    let world = World::new().await;
    let (_running, port) = world.start(REQUIRED);
    let self_made = Leaf::client("stranger").self_signed();
    for (tls, http) in every_version() {
        let case = format!("{:?} {http:?}", tls.version);
        let anonymous = world.caller(None, tls, http);
        assert_eq!(anonymous.alert(port).await, AlertDescription::CertificateRequired, "{case}");
        assert_eq!(
            world.caller(Some(&self_made), tls, http).connect(port).await.status().await,
            200,
            "{case}"
        );
    }
}

#[tokio::test]
async fn changed_trust_closes_open_and_resumed_connections_and_resumes_no_session() {
    let world = World::new().await;
    let (running, port) = world.start(TRUSTED);
    let others = Authority::root("Other CA");
    let partner = world.partner(pki::now() + 86_400);
    let mut callers = Vec::new();
    for (tls, http) in every_version() {
        let case = format!("{:?} {http:?}", tls.version);
        let caller = world.caller(Some(&partner), tls, http);
        let mut connections = Vec::new();
        for is_resumed in [false, true] {
            let mut connection = caller.connect(port).await;
            assert_eq!(connection.is_resumed, is_resumed, "{case}");
            assert_eq!(connection.status().await, 200, "{case}");
            connections.push(connection);
        }
        callers.push((case, caller, connections));
    }
    let requests = world.upstream.requests();

    let from = running.lines();
    world.trust(&[&others]);
    running.logged(from, RELOADED);
    for (case, caller, connections) in &mut callers {
        for connection in connections.drain(..) {
            connection.assert_rejected(case).await;
        }
        assert_eq!(caller.alert(port).await, AlertDescription::UnknownCA, "{case}");
    }
    assert_eq!(world.upstream.requests(), requests, "no rejected request is forwarded");
    running.logged(from, "request rejected and connection closed");

    // Trusted again: no session of the first trust set is resumed, and later ones are.
    let from = running.lines();
    world.trust(&[&others, &world.partners]);
    running.logged(from, RELOADED);
    for (case, caller, _) in &callers {
        for is_resumed in [false, true] {
            let mut connection = caller.connect(port).await;
            assert_eq!(connection.is_resumed, is_resumed, "{case}");
            assert_eq!(connection.status().await, 200, "{case}");
        }
    }
    // A reload without a change of the trust keeps the sessions.
    let from = running.lines();
    running.hang_up();
    running.logged(from, RELOADED);
    for (case, caller, _) in &callers {
        assert!(caller.connect(port).await.is_resumed, "{case}");
    }
}

#[tokio::test]
async fn certificate_that_expires_ends_open_and_resumed_connections() {
    let world = World::new().await;
    let (_running, port) = world.start(TRUSTED);
    let until = pki::now() + 8;
    let partner = world.partner(until);
    let mut open = Vec::new();
    for (tls, http) in every_version() {
        let caller = world.caller(Some(&partner), tls, http);
        let mut connection = caller.connect(port).await;
        assert_eq!(connection.status().await, 200);
        open.push((format!("{:?} {http:?}", tls.version), caller, connection));
    }
    let mut probe = world.caller(Some(&partner), &TLS13, Http::Two).connect(port).await;
    in_time("the expiry", async {
        while probe.status().await == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(pki::now() > until);
    for (case, caller, connection) in open {
        connection.assert_rejected(&case).await;
        let resumed = caller.connect(port).await;
        assert!(resumed.is_resumed, "{case}");
        resumed.assert_rejected(&case).await;
    }
}

#[tokio::test]
async fn reload_that_requires_certificates_ends_connections_without_one() {
    let world = World::new().await;
    let (running, port) = world.start("client_certificate = \"request\"");
    let partner = world.partner(pki::now() + 86_400);
    let mut open = Vec::new();
    for (tls, http) in every_version() {
        let (anonymous, known) = (world.caller(None, tls, http), world.caller(Some(&partner), tls, http));
        let mut connections = [anonymous.connect(port).await, known.connect(port).await];
        for connection in &mut connections {
            assert_eq!(connection.status().await, 200);
        }
        open.push((format!("{:?} {http:?}", tls.version), anonymous, connections));
    }
    let from = running.lines();
    world.write(REQUIRED, OPEN);
    running.logged(from, RELOADED);
    for (case, caller, [anonymous, mut known]) in open {
        anonymous.assert_rejected(&case).await;
        assert_eq!(known.status().await, 200, "{case}");
        assert_eq!(caller.alert(port).await, AlertDescription::CertificateRequired, "{case}");
    }
}

#[tokio::test]
async fn check_recommends_a_required_certificate_where_every_route_needs_one() {
    let world = World::new().await;
    let rules = "client_certificate = { trust = \"partners\" }";
    let shadow = "client_certificate = { trust = \"partners\", mode = \"shadow\" }";
    let note = "listener.client_certificate: every route needs a certificate";
    for (listener, route, expected) in [
        ("", rules, true),
        ("client_certificate = \"request\"", rules, true),
        (REQUIRED, rules, false),
        (TRUSTED, rules, false),
        ("", OPEN, false),
        ("", shadow, false),
    ] {
        let (code, printed) = check(&world.write(listener, route));
        assert_eq!(code, Some(0), "{printed}");
        assert_eq!(printed.contains(note), expected, "{listener} {route}: {printed}");
        let line = printed.lines().find(|line| line.contains(note));
        if let Some(line) = line {
            assert!(line.contains(": note: ") && line.ends_with("write client_certificate = \"require\""));
        }
    }
    let (_, printed) = check(&world.write(REQUIRED, OPEN));
    assert!(
        printed.contains("routes[1].client_certificate: admits callers with any certificate"),
        "{printed}"
    );
}

#[tokio::test]
async fn explain_reports_a_handshake_that_fails() {
    let world = World::new().await;
    let now = pki::now();
    for (name, issued) in [
        ("partner", world.partner(now + 86_400)),
        ("expired", world.partner(now - 60)),
        ("self-made", Leaf::client("partner").self_signed()),
    ] {
        fs::write(world.file(&format!("{name}.pem")), issued.chain_pem()).unwrap();
    }
    for (listener, certificate, code, expected) in [
        (TRUSTED, "partner", 0, "admitted"),
        (TRUSTED, "expired", 2, "the client certificate has expired\nthe handshake fails"),
        (TRUSTED, "self-made", 2, "no root or presented certificate issued it"),
        (TRUSTED, "", 2, "no client certificate was presented\nthe handshake fails"),
        (REQUIRED, "self-made", 0, "admitted"),
        (REQUIRED, "", 2, "refused: the listener requires a certificate in the handshake"),
        ("", "", 0, "admitted"),
    ] {
        let mut command = gateway();
        command.args(["explain", "--route", "/", "--config"]).arg(world.write(listener, OPEN));
        match certificate {
            "" => command.arg("--no-certificate"),
            name => command.arg("--certificate").arg(world.file(&format!("{name}.pem"))),
        };
        let output = command.output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{listener} {certificate}: {printed}");
        assert!(printed.contains(expected), "{listener} {certificate}: {printed}");
    }
}
