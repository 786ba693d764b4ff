//! Policy documents of Azure API Management, through the whole gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{convert::Infallible, fs, future::ready, path::Path, process::Command};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{
    Demo, Running, check, gateway, get, metrics, replace, shell, upstream::Upstream, value, whole,
};

/// What the articles of 2017 say, byte for byte but for the names they leave to be filled in.
const EXPIRY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.NotAfter < DateTime.Now)" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
const NAMES: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Issuer != "trusted-issuer" || context.Request.Certificate.SubjectName != "expected-subject-name")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
const THUMBPRINT: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "desired-thumbprint")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
const STORE: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>

"#;
/// And what they say today.
const NAMES_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Issuer != "trusted-issuer" || context.Request.Certificate.SubjectName.Name != "expected-subject-name")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
const THUMBPRINT_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Thumbprint != "DESIRED-THUMBPRINT-IN-UPPER-CASE")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
const STORE_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify()  || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
const CHAIN_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify())" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const VALIDATE: &str = r#"<policies>
    <inbound>
        <base />
        <validate-client-certificate>
            <identities><identity subject="CN=orders-client, O=Contoso" /></identities>
        </validate-client-certificate>
    </inbound>
</policies>
"#;

/// Who calls decides where the request goes and as whom.
const ROUTING: &str = r#"<policies>
    <inbound>
        <choose>
            <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation())">
                <return-response><set-status code="401" reason="Who are you?" /></return-response>
            </when>
            <when condition="@(context.Request.Headers.GetValueOrDefault("X-Region", "") == "west")">
                <set-backend-service base-url="SECOND/west" />
                <authentication-certificate certificate-id="billing" />
            </when>
            <when condition="@(context.Request.Headers.GetValueOrDefault("X-Region", "") == "nowhere")">
                <authentication-certificate certificate-id="@("no" + "body")" />
            </when>
            <when condition="@(context.Request.Headers.GetValueOrDefault("X-Region", "") == "thumbprint")">
                <authentication-certificate thumbprint="BILLING-THUMBPRINT" />
            </when>
            <when condition="@(context.Request.Headers.GetValueOrDefault("X-Region", "") == "embedded")">
                <authentication-certificate body="@(Convert.FromBase64String("BILLING-PFX"))" password="BILLING-PASSWORD" />
            </when>
            <when condition="@(context.Request.Headers.GetValueOrDefault("X-Region", "") == "plain")">
                <set-backend-service base-url="@("http://localhost" + ":1")" />
            </when>
            <when condition="@(context.Request.Headers.GetValueOrDefault("X-Region", "") == "untrusted")">
                <set-backend-service base-url="https://localhost:DEMO-PORT" />
            </when>
        </choose>
        <set-header name="X-Client-Cert-Subject" exists-action="append">
            <value>@(context.Request.Certificate.Subject)</value>
        </set-header>
    </inbound>
    <outbound>
        <set-header name="X-Checked"><value>yes</value></set-header>
    </outbound>
</policies>
"#;

/// The demo's world behind a gateway whose routes have documents: a name each, which is the path too, and a text.
struct World {
    demo: Demo,
    running: Running,
}

const REFUSED: &str = "HTTP/1.1 403 Invalid client certificate\r\n";

impl World {
    fn start(documents: &[(&str, &str)]) -> Self {
        let demo = Demo::start();
        let config = write(&demo, documents, "identity = \"orders\"");
        let (running, port) = Running::start(&config);
        Self { demo: demo.on_port(port), running }
    }

    /// The answer to a GET as it came over the wire.
    async fn get(&self, certificate: Option<&str>, path: &str, header: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n");
        self.demo.send_raw(certificate, request.as_bytes()).await
    }
}

/// SHA-1 of one of the demo's certificates, in APIM's form.
fn thumbprint(demo: &Demo, certificate: &str) -> String {
    let line = format!(
        "openssl x509 -in '{}' -noout -fingerprint -sha1 | cut -d= -f2 | tr -d ':\\n'",
        demo.dir().join(format!("{certificate}.pem")).display()
    );
    shell(&line)
}

/// The URLs of the demo's upstreams, less the path.
fn upstreams(demo: &Demo) -> [String; 2] {
    let toml = fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
    let mut found: Vec<_> = toml
        .split('"')
        .filter(|text| text.starts_with("https://localhost:"))
        .map(|text| text.rsplit_once('/').unwrap().0.to_owned())
        .collect();
    found.dedup();
    found.try_into().unwrap()
}

fn filled(demo: &Demo, document: &str) -> String {
    let client = thumbprint(demo, "client");
    document
        .replace("trusted-issuer", "CN=Partners CA, O=Contoso")
        .replace("expected-subject-name", "CN=orders-client, O=Contoso")
        .replace("desired-thumbprint", &client)
        .replace("DESIRED-THUMBPRINT-IN-UPPER-CASE", &client)
        .replace("BILLING-THUMBPRINT", &thumbprint(demo, "billing"))
        .replace("BILLING-PFX", &shell(&format!("base64 -w0 '{}'", demo.dir().join("billing.pfx").display())))
        .replace("BILLING-PASSWORD", fs::read_to_string(demo.dir().join("billing.password")).unwrap().trim())
        // Its certificate is another CA's than those of upstreams.
        .replace("DEMO-PORT", &demo.port.to_string())
        .replace("SECOND", &upstreams(demo)[1])
}

/// Keys beside a document: a set of CAs if it asks for a chain, and consent, which most do not need.
fn beside(document: &str) -> &'static str {
    match document.contains("Verify") || document.contains("<validate-client-certificate") {
        true => "trust = \"partners\", allow_unanchored = true",
        false => "allow_unanchored = true",
    }
}

/// Writes documents and a configuration with a route for each; `route` stands in every route.
fn write(demo: &Demo, documents: &[(&str, &str)], route: &str) -> std::path::PathBuf {
    let [first, _] = upstreams(demo);
    let mut text = String::from(
        r#"
        [listener]
        address = "127.0.0.1:0"
        certificate = "server.pem"
        private_key = "server.key"
        [management]
        address = "127.0.0.1:0"
        token_file = "management.token"
        [trust.partners]
        ca = ["partners-ca.pem"]
        revocation = "off"
        [identities.orders]
        pfx = "orders.pfx"
        password_file = "orders.password"
        [identities.billing]
        pfx = "billing.pfx"
        password_file = "billing.password"
        [identities.caller]
        certificate = "client.pem"
        private_key = "client.key"
        [upstream_tls]
        ca = ["backend-ca.pem"]
        "#,
    );
    for (name, document) in documents {
        fs::write(demo.dir().join(format!("{name}.policy.xml")), filled(demo, document)).unwrap();
        let beside = beside(document);
        text.push_str(&format!(
            r#"
            [[routes]]
            path = "/{name}"
            upstream = "{first}/api"
            {route}
            client_certificate = {{ {beside}, policy = "{name}.policy.xml" }}
            "#
        ));
    }
    let config = demo.dir().join("policy.toml");
    fs::write(&config, text).unwrap();
    config
}

#[tokio::test]
async fn the_snippets_of_the_articles_answer_as_in_apim() {
    let world = World::start(&[
        ("expiry", EXPIRY),
        ("names", NAMES),
        ("thumbprint", THUMBPRINT),
        ("store", STORE),
        ("names-today", NAMES_TODAY),
        ("thumbprint-today", THUMBPRINT_TODAY),
        ("store-today", STORE_TODAY),
        ("chain-today", CHAIN_TODAY),
    ]);
    for (path, refused) in [
        ("/expiry", &["expired"][..]),
        // Names alone prove nothing, in APIM as well: the impostor bears the good CA's name.
        ("/names", &["stranger"]),
        ("/thumbprint", &["expired", "stranger", "impostor"]),
        ("/store", &["expired", "stranger", "impostor"]),
        ("/names-today", &["expired", "stranger", "impostor"]),
        ("/thumbprint-today", &["expired", "stranger", "impostor"]),
        ("/store-today", &["expired", "stranger", "impostor"]),
        ("/chain-today", &["expired", "stranger", "impostor"]),
    ] {
        for caller in ["client", "expired", "stranger", "impostor", ""] {
            let presented = Some(caller).filter(|caller| !caller.is_empty());
            let answer = world.get(presented, path, "").await;
            if refused.contains(&caller) || caller.is_empty() {
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert!(answer.starts_with(REFUSED), "{path} {caller:?}: {answer}");
                assert!(body.is_empty() && head.to_lowercase().contains("content-length: 0"), "{answer}");
                assert!(!head.to_lowercase().contains("content-type"), "{path} {caller:?}: {answer}");
            } else {
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path} {caller:?}: {answer}");
                assert!(answer.contains("CN=orders-gateway"), "under the route's identity: {answer}");
            }
        }
    }
    let refused = metrics(&world.demo, world.running.management_port()).await;
    let series = "tower_mtls_requests_refused_total{reason=\"policy_document\"}";
    assert_eq!(value(&refused, series), Some(8.0 + 1.0 + 1.0 + 6.0 * 3.0), "{refused}");
    let line = world.running.logged(0, "request answered by its policy document");
    let sha1 = format!("thumbprint_sha1=\"{}\"", thumbprint(&world.demo, "expired"));
    for field in ["reason=\"policy_document\"", "status=403", "line=3", "path=\"/expiry\"", &sha1] {
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(!line.contains("chain="), "no chain was asked for: {line}");
    for field in
        ["chain=\"the certificate has expired\"", "chain=\"no root or presented certificate issued it\""]
    {
        let line = world.running.logged(0, field);
        assert!(line.contains("path=\"/names-today\""), "{line}");
    }
}

#[tokio::test]
async fn curl_http_2_and_head_see_a_documents_answers() {
    let world = World::start(&[("expiry", EXPIRY), ("validate", VALIDATE)]);
    let dir = world.demo.dir();
    let curl = |more: &str, path: &str| {
        let (dir, port) = (dir.display(), world.demo.port);
        shell(&format!("curl -sS --cacert {dir}/ca.pem {more} https://localhost:{port}{path}"))
    };
    let expired = format!("--cert {0}/expired.pem --key {0}/expired.key", dir.display());
    assert_eq!(curl(&format!("--http1.1 -i {expired}"), "/expiry").lines().next(), Some(REFUSED.trim_end()));
    assert_eq!(
        curl(&format!("--http2 -o /dev/null -w '%{{http_version}} %{{http_code}}' {expired}"), "/expiry"),
        "2 403"
    );
    assert_eq!(
        curl(&format!("-I -o /dev/null -w '%{{http_code}} %{{size_download}}' {expired}"), "/validate"),
        "401 0"
    );
    let client = format!("--cert {0}/client.pem --key {0}/client.key", dir.display());
    assert_eq!(curl(&format!("--http2 -o /dev/null -w '%{{http_code}}' {client}"), "/validate"), "200");
    assert_eq!(curl(&format!("-I -o /dev/null -w '%{{http_code}}' {client}"), "/validate"), "200");
}

#[tokio::test]
async fn what_grpc_needs_passes_a_document_both_ways() {
    let demo = Demo::start();
    let serve = |connection| async {
        let answer = service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.headers()["te"], "trailers");
            assert_eq!(request.uri().path(), "/api/orders.Orders/Get");
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            let body = Full::new(Bytes::from_static(b"told")).with_trailers(ready(Some(Ok(trailers))));
            Ok::<_, Infallible>(Response::new(body))
        });
        let served = server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = served.serve_connection(TokioIo::new(connection), answer).await;
    };
    let upstream = Upstream::start(&demo.dir(), &["h2"], serve).await;
    let config = write(&demo, &[("grpc", CHAIN_TODAY)], "identity = \"orders\"");
    let text = fs::read_to_string(&config).unwrap();
    let own = format!("https://localhost:{}", upstream.address.port());
    fs::write(&config, text.replace(&upstreams(&demo)[0], &own)).unwrap();
    let (_running, port) = Running::start(&config);
    let demo = demo.on_port(port);
    let mut request = get("/grpc/orders.Orders/Get");
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let response = demo.http2(Some("client")).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "told");
}

#[tokio::test]
async fn validate_client_certificate_answers_401_and_says_no_more() {
    let world = World::start(&[("validate", VALIDATE)]);
    let invalid = r#"{"statusCode":401,"message":"Invalid client certificate"}"#;
    let missing = r#"{"statusCode":401,"message":"Client certificate missing"}"#;
    for (caller, expected) in [
        (Some("expired"), invalid),
        (Some("stranger"), invalid),
        (Some("impostor"), invalid),
        (None, missing),
    ] {
        let answer = world.get(caller, "/validate", "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 401 "), "{caller:?}: {answer}");
        assert_eq!(body, expected, "{caller:?}");
    }
    assert!(world.get(Some("client"), "/validate", "").await.starts_with("HTTP/1.1 200 "));
    // The reasons are for operators.
    let line = world.running.logged(0, "code=\"ClientCertificateNotTrusted\"");
    assert!(line.contains("reason=\"not_trusted\""), "{line}");
    world.running.logged(0, "code=\"ClientCertificateNotFound\"");
    world.running.logged(0, "code=\"ClientCertificateExpired\"");
}

#[tokio::test]
async fn a_document_chooses_backend_identity_and_headers() {
    let world = World::start(&[("routing", ROUTING)]);
    for (header, status, path, upstream, identity) in [
        ("", 200, "/api/42", "upstream 1", "CN=orders-gateway"),
        ("X-Region: west\r\n", 200, "/west/42", "upstream 2", "CN=billing-gateway"),
        ("X-Region: thumbprint\r\n", 200, "/api/42", "upstream 1", "CN=billing-gateway"),
        ("X-Region: embedded\r\n", 200, "/api/42", "upstream 1", "CN=billing-gateway"),
        ("X-Region: nowhere\r\n", 502, "unknown_identity", "", ""),
        ("X-Region: plain\r\n", 502, "plaintext_identity", "", ""),
        ("X-Region: untrusted\r\n", 502, "back_end_not_trusted", "", ""),
        (
            "X-Client-Cert-Subject: CN=admin\r\nX_Client_Cert_Subject: CN=admin\r\n",
            200,
            "/api/42",
            "upstream 1",
            "",
        ),
    ] {
        let answer = world.get(Some("client"), "/routing/42", header).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{header:?}: {answer}");
        if status != 200 {
            assert!(body.contains(&format!("\"code\":\"{path}\"")), "{header:?}: {answer}");
            continue;
        }
        let seen: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(seen["path"], path, "{header:?}: {seen}");
        assert!(seen["upstream"].as_str().unwrap().contains(upstream), "{header:?}: {seen}");
        assert!(seen["client_certificate"].to_string().contains(identity), "{header:?}: {seen}");
        assert_eq!(
            seen["headers"]["x-client-cert-subject"], "CN=orders-client, O=Contoso",
            "{header:?}: {seen}"
        );
        assert!(seen["headers"].get("x_client_cert_subject").is_none(), "{seen}");
        assert!(head.to_lowercase().contains("\r\nx-checked: yes"), "{header:?}: {answer}");
    }
    let answer = world.get(None, "/routing", "X-Region: west\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 Who are you?\r\n"), "{answer}");
    world.running.logged(
        0,
        "policy document chose an unknown identity for the backend: the certificate with the id nobody",
    );
}

#[tokio::test]
async fn a_changed_document_counts_from_the_next_request_on_and_a_broken_one_never() {
    let world = World::start(&[("changing", EXPIRY)]);
    let file = world.demo.dir().join("changing.policy.xml");
    let status = async || world.get(Some("client"), "/changing", "").await[9..12].to_owned();
    assert_eq!(status().await, "200");

    let from = world.running.lines();
    replace(&file, EXPIRY.replace("context.Request.Certificate == null", "true").replace("403", "410"));
    world.running.logged(from, "INFO gateway::live: reloaded");
    assert_eq!(status().await, "410");

    let from = world.running.lines();
    replace(&file, EXPIRY.replace("NotAfter", "NotAfterwards"));
    let line = world.running.logged(from, "configuration not reloaded: ");
    assert!(line.contains("\"changing.policy.xml\", line 2, column "), "{line}");
    assert_eq!(status().await, "410", "the old one goes on");

    let from = world.running.lines();
    replace(&file, EXPIRY);
    world.running.logged(from, "INFO gateway::live: reloaded");
    assert_eq!(status().await, "200");
}

#[tokio::test]
async fn a_certificate_that_left_the_identities_is_not_accepted_any_more() {
    let world = World::start(&[("store", STORE)]);
    let config = world.demo.dir().join("policy.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (before, rest) = text.split_once("[identities.caller]").unwrap();
    let without = format!("{before}{}", &rest[rest.find("[upstream_tls]").unwrap()..]);
    let mut connection = world.demo.http1(Some("client")).await;
    for (contents, expected) in [(&text, 200), (&without, 403), (&text, 200)] {
        if expected == 403 || fs::read_to_string(&config).unwrap() != *contents {
            let from = world.running.lines();
            replace(&config, contents);
            world.running.logged(from, "INFO gateway::live: reloaded");
        }
        connection.ready().await.unwrap();
        let response = connection.send_request(get("/store")).await.unwrap();
        assert_eq!(whole(response).await.0, expected);
    }
}

#[tokio::test]
async fn a_document_in_shadow_refuses_nobody_and_is_counted() {
    let demo = Demo::start();
    let config = write(&demo, &[("shadow", EXPIRY)], "identity = \"orders\"");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("policy = \"shadow", "mode = \"shadow\", policy = \"shadow")).unwrap();
    let (running, port) = Running::start(&config);
    let world = World { demo: demo.on_port(port), running };
    for caller in [Some("client"), Some("expired"), None] {
        let answer = world.get(caller, "/shadow", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{caller:?}: {answer}");
    }
    let counted = metrics(&world.demo, world.running.management_port()).await;
    let series = "tower_mtls_requests_shadow_refused_total{reason=\"policy_document\"}";
    assert_eq!(value(&counted, series), Some(2.0), "{counted}");
    world.running.logged(0, "request would be refused by its policy document");
}

#[test]
fn check_tells_all_that_a_document_needs_at_once() {
    let demo = Demo::start();
    let broken = r#"<policies>
    <inbound>
        <rate-limit calls="10" renewal-period="60" />
        <choose>
            <when condition="@(context.Request.Certificate.Thumbprint == "aa06f56b258b7a0d4f2b05470939478651151984")" />
            <when condition="@(context.User.Id == "1")" />
        </choose>
        <authentication-certificate certificate-id="gone" />
        <authentication-certificate thumbprint="0000000000000000000000000000000000000000" />
    </inbound>
</policies>
"#;
    let config = write(&demo, &[("broken", broken), ("fine", EXPIRY)], "identity = \"orders\"");
    let (code, printed) = check(&config);
    assert_eq!(code, Some(1), "{printed}");
    for (line, column, word) in
        [(3, 9, "rate-limit"), (6, 40, "context.User"), (8, 37, "\"gone\""), (9, 37, "thumbprint 0000")]
    {
        let place = format!(
            ": routes[1].client_certificate.policy: \"broken.policy.xml\", line {line}, column {column}: "
        );
        let found = printed.lines().find(|found| found.contains(&place));
        assert!(found.is_some_and(|found| found.contains(word)), "{place}{word} in\n{printed}");
    }
    assert!(printed.contains(", line 5, column 32: a thumbprint is never equal to this"), "{printed}");
    let warning = ": warning: routes[2].client_certificate.policy: \"fine.policy.xml\", line ";
    assert!(printed.contains(warning) && printed.contains("a self-made certificate can pass"), "{printed}");
}

#[test]
fn a_route_that_nobody_gives_an_identity_is_noted() {
    const CHOOSES: &str = r#"<authentication-certificate certificate-id="orders" />"#;
    const NOTE: &str = "chooses an identity: the upstream is called anonymously";
    let demo = Demo::start();
    for (document, route, is_noted) in
        [(CHAIN_TODAY, "", true), (CHAIN_TODAY, "identity = \"orders\"", false), (CHOOSES, "", false)]
    {
        let (code, printed) = check(&write(&demo, &[("d", document)], route));
        assert_eq!(code, Some(0), "{printed}");
        let place = ": note: routes[1].client_certificate.policy: neither the route nor \"d.policy.xml\" ";
        assert_eq!(printed.contains(&format!("{place}{NOTE}")), is_noted, "{route}\n{printed}");
    }
}

#[test]
fn what_has_no_effect_here_is_told() {
    let demo = Demo::start();
    for (case, document, expected) in [
        (
            "a document above",
            VALIDATE,
            ": note: routes[1].client_certificate.policy: \"d.policy.xml\", line 3, column 9: <base /> stands for nothing \
             here; copy what the policies of the product and of all APIs demand\n",
        ),
        (
            "callers in the store",
            STORE,
            "only identities for backends (\"billing\", \"caller\", \"orders\"); add [store] and upload callers' certificates\n",
        ),
        ("nothing", CHAIN_TODAY, ""),
    ] {
        let (code, printed) = check(&write(&demo, &[("d", document)], "identity = \"orders\""));
        assert_eq!(code, Some(0), "{case}: {printed}");
        let told = ["stands for nothing", "only identities for backends"];
        let told = told.iter().filter(|told| printed.contains(**told)).count();
        assert!(told == usize::from(case != "nothing") && printed.contains(expected), "{case}: {printed}");
    }
}

#[test]
fn what_does_not_fit_the_rest_of_the_file_is_told() {
    let demo = Demo::start();
    let good = fs::read_to_string(write(&demo, &[("d", CHAIN_TODAY)], "identity = \"orders\"")).unwrap();
    let upstream = format!("{}/api", upstreams(&demo)[0]);
    let plain = r#"<set-backend-service base-url="http://localhost:1" />"#;
    let identity = r#"<authentication-certificate certificate-id="orders" />"#;
    for (case, document, from, to, expected) in [
        (
            "revocation is not stated",
            CHAIN_TODAY,
            "revocation = \"off\"",
            "",
            "; write revocation = \"off\" in [trust.partners]",
        ),
        (
            "no trust",
            CHAIN_TODAY,
            "trust = \"partners\", ",
            "",
            "; write trust = \"partners\" beside policy\n",
        ),
        (
            "a timeout",
            "<policies><backend><forward-request timeout=\"60\" /></backend></policies>",
            "\"orders\"",
            "\"orders\"",
            "is not supported; leave it out, and write first_byte_timeout in [routes.limits]",
        ),
        (
            "an identity that is not there",
            "<authentication-certificate certificate-id=\"order\" />",
            "\"orders\"",
            "\"orders\"",
            "id \"order\"; write the name of one of [identities] (billing, caller, orders), or add it there",
        ),
        (
            "concurrency",
            "<limit-concurrency key=\"a\" max-count=\"3\" />",
            "\"orders\"",
            "\"orders\"",
            "<limit-concurrency> is not supported here; write max_requests in [routes.limits]",
        ),
        (
            "a broken set of CAs does not hide what else is wrong",
            "<trace /><choose><when condition=\"@(context.Request.Certificate.Verify())\" /></choose>",
            "partners-ca.pem",
            "client.key",
            "<trace> is not supported here",
        ),
        (
            "another rule",
            CHAIN_TODAY,
            "policy =",
            "issuer = [\"CN=a\"], policy =",
            "client_certificate.issuer: stands beside policy",
        ),
        (
            "validity",
            CHAIN_TODAY,
            "policy =",
            "validity = true, policy =",
            "client_certificate.validity: stands beside policy",
        ),
        (
            "trust beside a document that asks for no chain",
            EXPIRY,
            "\"orders\"",
            "\"orders\"",
            "routes[1].client_certificate.trust: has no effect: \"d.policy.xml\" never asks for a chain; remove trust, or call ",
        ),
        ("no file", CHAIN_TODAY, "d.policy.xml", "e.policy.xml", "policy: \"e.policy.xml\" cannot be read"),
        ("no XML", "<choose>", "\"orders\"", "\"orders\"", "\"d.policy.xml\", line 1, column"),
        (
            "an identity over http",
            plain,
            "\"orders\"",
            "\"orders\"",
            "the route's identity cannot be shown over http; write an https base-url",
        ),
        (
            "a name that nothing proves",
            EXPIRY,
            "identity = \"orders\"",
            "identity_by = { claim = \"common_name\", identities = { a = \"orders\" } }",
            "proves no certificate, so callers would choose the identity",
        ),
        (
            "an identity for an http upstream",
            identity,
            "identity = \"orders\"",
            "",
            "cannot be shown to an http upstream",
        ),
    ] {
        assert!(good.contains(from), "{case}");
        let mut text = good.replacen(from, to, 1);
        if case.ends_with("http upstream") {
            text = text.replace(&upstream, "http://localhost:1");
        }
        fs::write(demo.dir().join("d.policy.xml"), document).unwrap();
        fs::write(demo.dir().join("case.toml"), text).unwrap();
        let (code, printed) = check(&demo.dir().join("case.toml"));
        assert_eq!(code, Some(1), "{case}: {printed}");
        assert!(printed.contains(expected), "{case}: {expected} in\n{printed}");
        // What follows from an error that stands elsewhere is not told, and no remedy twice.
        let needs_trust = printed.contains("needs trusted roots") == case.starts_with("no trust");
        assert!(needs_trust && printed.matches("revocation = \"off\"").count() < 2, "{case}: {printed}");
    }
}

#[test]
fn explain_says_what_a_document_does_with_a_certificate() {
    let demo = Demo::start();
    let unguarded = EXPIRY.replace("context.Request.Certificate == null || ", "");
    let address = EXPIRY
        .replace("context.Request.Certificate == null", "context.Request.IpAddress == \"192.0.2.1\"")
        .replace("403", "410");
    let documents =
        [("expiry", EXPIRY), ("routing", ROUTING), ("unguarded", &unguarded), ("address", &address)];
    let config = write(&demo, &documents, "identity = \"orders\"");
    let explain = |route: &str, certificate: &str, more: &[&str]| {
        let output = explaining(&config, route, &demo.dir(), certificate).args(more).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for (route, certificate, more, code, expected) in [
        (
            "/expiry",
            "client",
            &[][..],
            0,
            "forwarded; certificate admitted, unproven: the document also admits self-made",
        ),
        ("/routing", "client", &[], 0, "forwarded; certificate admitted"),
        (
            "/expiry",
            "expired",
            &[],
            2,
            "response: 403 Invalid client certificate by return-response on line 3",
        ),
        ("/expiry", "client", &["--at", "2050-01-01T00:00:00Z"], 2, "NotAfter"),
        ("/routing", "stranger", &[], 2, "response: 401 Who are you?"),
        ("/routing", "stranger", &[], 2, "no chain: no root or presented certificate issued it"),
        ("/expiry", "", &[], 2, "true: context.Request.Certificate == null"),
        ("/unguarded", "", &[], 2, "response: 500 by when on line 2: ExpressionValueEvaluationFailure"),
        (
            "/routing",
            "client",
            &["--header", "X-Region: west"],
            0,
            "backend identity: the certificate with the id billing",
        ),
        ("/address", "client", &["--remote", "192.0.2.1"], 2, "response: 410"),
        ("/address", "client", &["--remote", "192.0.2.2"], 0, "(found: \"192.0.2.2\")"),
        ("/address", "client", &[], 0, "(found: null)"),
        (
            "/routing/42",
            "client",
            &[],
            0,
            "sets header x-client-cert-subject: \"CN=orders-client, O=Contoso\"",
        ),
    ] {
        let (exit, printed) = explain(route, certificate, more);
        assert_eq!(exit, Some(code), "{route} {certificate} {more:?}: {printed}");
        assert!(printed.contains(expected), "{route} {certificate} {more:?}: {printed}");
    }
}

fn explaining(config: &Path, route: &str, dir: &Path, certificate: &str) -> Command {
    let mut command = gateway();
    command.args(["explain", "--route", route, "--config"]).arg(config);
    match certificate {
        "" => command.arg("--no-certificate"),
        name => command.arg("--certificate").arg(dir.join(format!("{name}.pem"))),
    };
    command
}
