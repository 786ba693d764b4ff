//! Identities that a route chooses per request.

use crate::support::{Demo, Running, check, shell};

/// A gateway with another configuration in front of the demo's upstreams.
fn gateway_with(demo: &Demo, routes: &str) -> (Running, u16) {
    let toml = std::fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
    let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
    let config = demo.dir().join("identities.toml");
    let text = r#"
        [listener]
        address = "127.0.0.1:0"
        certificate = "server.pem"
        private_key = "server.key"
        [trust.demo]
        ca = ["partners-ca.pem"]
        [identities.orders]
        pfx = "orders.pfx"
        password_file = "orders.password"
        [identities.billing]
        pfx = "billing.pfx"
        password_file = "billing.password"
        [upstream_tls]
        ca = ["backend-ca.pem"]
        ROUTES
        "#;
    std::fs::write(&config, text.replace("ROUTES", routes).replace("UPSTREAM", upstream)).unwrap();
    Running::start(&config)
}

/// The status, and the header that names the identity or the problem code.
async fn get(demo: &Demo, certificate: Option<&str>, path: &str, header: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n");
    let answer = demo.send_raw(certificate, request.as_bytes()).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let found = |before: &str| {
        let rest = answer.split(before).nth(1)?;
        Some(rest.split('"').next().unwrap().to_owned())
    };
    (status, found("\"subject\": \"CN=").or_else(|| found("\"code\":\"")).unwrap_or_default())
}

#[tokio::test]
async fn header_chooses_from_the_table_of_its_route_only() {
    let demo = Demo::start();
    let (running, port) = gateway_with(
        &demo,
        r#"
        [[routes]]
        path = "/"
        upstream = "UPSTREAM"
        identity_by = { header = "x-tenant", identities = { "acme" = "orders", "globex" = "billing" } }
        client_certificate = { trust = "demo" }
        "#,
    );
    let demo = demo.on_port(port);
    for (header, expected) in [
        ("X-Tenant: acme\r\n", (200, "orders-gateway, O=Contoso")),
        ("x-tenant: globex\r\n", (200, "billing-gateway, O=Contoso")),
        ("x-tenant: orders\r\n", (502, "unknown_identity")),
        ("x-tenant: ACME\r\n", (502, "unknown_identity")),
        ("x-tenant:\r\n", (502, "unknown_identity")),
        ("", (502, "unknown_identity")),
        ("x-tenant: acme\r\nx-tenant: acme\r\n", (502, "unknown_identity")),
    ] {
        let seen = get(&demo, Some("client"), "/", header).await;
        assert_eq!((seen.0, seen.1.as_str()), expected, "{header:?}");
    }
    assert_eq!(get(&demo, None, "/", "x-tenant: acme\r\n").await.0, 403);
    let reported = running.logged(0, "value=\"ACME\"");
    assert!(
        reported.contains("code=\"unknown_identity\"") && reported.contains("by=\"x-tenant\""),
        "{reported}"
    );
}

#[tokio::test]
async fn admitted_certificate_chooses_the_identity() {
    let demo = Demo::start();
    let (_running, port) = gateway_with(
        &demo,
        r#"
        [[routes]]
        path = "/cn"
        upstream = "UPSTREAM"
        identity_by = { claim = "common_name", identities = { "another-client" = "orders", "orders-client" = "billing" } }
        client_certificate = { trust = "demo" }
        [[routes]]
        path = "/none"
        upstream = "UPSTREAM"
        identity_by = { claim = "dns_name", identities = { "none.example" = "orders" } }
        client_certificate = { trust = "demo" }
        "#,
    );
    let demo = demo.on_port(port);
    let seen = get(&demo, Some("client"), "/cn", "").await;
    assert_eq!((seen.0, seen.1.as_str()), (200, "billing-gateway, O=Contoso"));
    let seen = get(&demo, Some("client"), "/none", "").await;
    assert_eq!((seen.0, seen.1.as_str()), (502, "unknown_identity"));
    assert_eq!(get(&demo, Some("stranger"), "/cn", "").await.0, 403);
}

#[tokio::test]
async fn reference_finds_its_identity_by_id_and_by_thumbprint() {
    let demo = Demo::start();
    let openssl = "openssl pkcs12 -in orders.pfx -passin file:orders.password -nokeys -clcerts -legacy 2>/dev/null \
                   || openssl pkcs12 -in orders.pfx -passin file:orders.password -nokeys -clcerts";
    let print = shell(&format!(
        "cd {} && ({openssl}) | openssl x509 -noout -fingerprint -sha1 | cut -d= -f2",
        demo.dir().display()
    ));
    let (_running, port) = gateway_with(
        &demo,
        &r#"
        [[routes]]
        path = "/id"
        upstream = "UPSTREAM"
        identity = { id = "billing" }
        [[routes]]
        path = "/thumbprint"
        upstream = "UPSTREAM"
        identity = { thumbprint = "THUMBPRINT" }
        [[routes]]
        path = "/later"
        upstream = "UPSTREAM"
        identity = { id = "not-there-yet" }
        "#
        .replace("THUMBPRINT", print.trim()),
    );
    let (code, printed) = check(&demo.dir().join("identities.toml"));
    assert!(code == Some(0) && printed.matches("no identity matches this now").count() == 1, "{printed}");
    let demo = demo.on_port(port);
    for (path, expected) in [
        ("/id", (200, "billing-gateway, O=Contoso")),
        ("/thumbprint", (200, "orders-gateway, O=Contoso")),
        ("/later", (502, "unknown_identity")),
    ] {
        let seen = get(&demo, None, path, "").await;
        assert_eq!((seen.0, seen.1.as_str()), expected, "{path}");
    }
}

#[test]
fn ambiguous_rows_and_removed_headers_are_refused() {
    let demo = Demo::start();
    for (by, expected) in [
        (r#"claim = "common_name", identities = { "A" = "orders", "a" = "orders" }"#, "is the same value as"),
        (
            r#"claim = "dns_name", identities = { "*.a.example" = "orders", "b.a.example" = "billing" }"#,
            "names another identity than",
        ),
        (r#"header = "X_Forwarded-For", identities = { "a" = "orders" }"#, "removes or sets itself"),
    ] {
        let toml = std::fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
        let config = demo.dir().join("refused.toml");
        let route = format!(
            "[[routes]]\npath = \"/by\"\nupstream = \"https://localhost\"\nidentity_by = {{ {by} }}\n\
             client_certificate = {{ trust = \"partners\" }}\n"
        );
        std::fs::write(&config, format!("{toml}\n{route}")).unwrap();
        let (code, printed) = check(&config);
        assert!(code == Some(1) && printed.contains(expected), "{printed}");
    }
}
