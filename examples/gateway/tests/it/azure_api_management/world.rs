//! Gateways whose routes have policy documents.

use std::fs;

use crate::support::{Demo, Running, shell};

/// The snippets of the articles of 2017, verbatim except for the placeholders for names.
pub(super) const EXPIRY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.NotAfter < DateTime.Now)" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
pub(super) const NAMES: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Issuer != "trusted-issuer" || context.Request.Certificate.SubjectName != "expected-subject-name")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
pub(super) const THUMBPRINT: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "desired-thumbprint")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
pub(super) const STORE: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>

"#;
/// The snippets of the current articles.
pub(super) const NAMES_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Issuer != "trusted-issuer" || context.Request.Certificate.SubjectName.Name != "expected-subject-name")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
pub(super) const THUMBPRINT_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Thumbprint != "DESIRED-THUMBPRINT-IN-UPPER-CASE")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
pub(super) const STORE_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify()  || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;
pub(super) const CHAIN_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify())" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

pub(super) const VALIDATE: &str = r#"<policies>
    <inbound>
        <base />
        <validate-client-certificate>
            <identities><identity subject="CN=orders-client, O=Contoso" /></identities>
        </validate-client-certificate>
    </inbound>
</policies>
"#;

/// The caller's certificate chooses the upstream and the identity.
pub(super) const ROUTING: &str = r#"<policies>
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

/// A gateway with one document per route; the document's name is the path.
pub(super) struct World {
    pub(super) demo: Demo,
    pub(super) running: Running,
}

pub(super) const REFUSED: &str = "HTTP/1.1 403 Invalid client certificate\r\n";

impl World {
    pub(super) fn start(documents: &[(&str, &str)]) -> Self {
        let demo = Demo::start();
        let config = write(&demo, documents, "identity = \"orders\"");
        let (running, port) = Running::start(&config);
        Self { demo: demo.on_port(port), running }
    }

    /// The raw response to a GET.
    pub(super) async fn get(&self, certificate: Option<&str>, path: &str, header: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n");
        self.demo.send_raw(certificate, request.as_bytes()).await
    }
}

/// The SHA-1 thumbprint of one of the demo's certificates, in APIM's form.
pub(super) fn thumbprint(demo: &Demo, certificate: &str) -> String {
    let line = format!(
        "openssl x509 -in '{}' -noout -fingerprint -sha1 | cut -d= -f2 | tr -d ':\\n'",
        demo.dir().join(format!("{certificate}.pem")).display()
    );
    shell(&line)
}

/// The URLs of the demo's upstreams, without the path.
pub(super) fn upstreams(demo: &Demo) -> [String; 2] {
    let toml = fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
    let mut found: Vec<_> = toml
        .split('"')
        .filter(|text| text.starts_with("https://localhost:"))
        .map(|text| text.rsplit_once('/').unwrap().0.to_owned())
        .collect();
    found.dedup();
    found.try_into().unwrap()
}

pub(super) fn filled(demo: &Demo, document: &str) -> String {
    let client = thumbprint(demo, "client");
    document
        .replace("trusted-issuer", "CN=Partners CA, O=Contoso")
        .replace("expected-subject-name", "CN=orders-client, O=Contoso")
        .replace("desired-thumbprint", &client)
        .replace("DESIRED-THUMBPRINT-IN-UPPER-CASE", &client)
        .replace("BILLING-THUMBPRINT", &thumbprint(demo, "billing"))
        .replace("BILLING-PFX", &shell(&format!("base64 -w0 '{}'", demo.dir().join("billing.pfx").display())))
        .replace("BILLING-PASSWORD", fs::read_to_string(demo.dir().join("billing.password")).unwrap().trim())
        // Its certificate is from another CA than those of upstreams.
        .replace("DEMO-PORT", &demo.port.to_string())
        .replace("SECOND", &upstreams(demo)[1])
}

/// Keys beside a document: a trust set if it demands a chain, and consent where needed.
pub(super) fn beside(document: &str) -> &'static str {
    match document.contains("Verify") || document.contains("<validate-client-certificate") {
        true => "trust = \"partners\", allow_unanchored = true",
        false => "allow_unanchored = true",
    }
}

/// Writes documents and a configuration with a route for each; `route` is added to every route.
pub(super) fn write(demo: &Demo, documents: &[(&str, &str)], route: &str) -> std::path::PathBuf {
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
