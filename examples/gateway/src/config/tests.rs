//! Whole files: values, defaults and diagnostics.

mod broken;
mod certificate_rules;
mod damaged;
mod limits_table;
mod rate_limits;
mod revocation;
mod routes;
mod rules;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

/// A file with every supported key.
const FULL: &str = r#"
[listener]
address = "127.0.0.1:8443"
certificate = "server.pem"
private_key = "/keys/server.key"
client_certificate = "request"

[trust.partners]
ca = ["partners-ca.pem", "more.pem"]
revocation = "off"

[identities.orders]
pfx = "orders.pfx"
password_file = "orders.password"

[identities.billing]
certificate = "billing.pem"
private_key = "billing.key"

[upstream_tls]
ca = "backend-ca.pem"

[[routes]]
path = "/orders/"
host = "API.Example.com."
upstream = "https://localhost:9444/api"
preserve_host = true
identity = "orders"
allow_empty_segments = true

[routes.upstream_tls]
ca = ["own-ca.pem"]
verify = "chain"
server_name = "Orders.internal"

[routes.client_certificate]
validity = true
trust = "partners"
issuer = "CN=Issuing CA, O=Contoso"
subject = ["CN=orders-client, O=Contoso"]
common_name = ["orders-client"]
dns_name = ["*.contoso.com"]
thumbprint = ["aa:bb", "cc dd"]
thumbprint_file = "allowed.txt"
allow_unanchored = false
mode = "enforce"

[[routes]]
path = "/"
upstream = "http://localhost:8080"
client_certificate = "none"
[limits]
head_timeout = "500ms"
drain_timeout = "2m"
max_connections = 1_000
max_handshakes = 0x10

[proxy]
forwarded = ["x-forwarded", "forwarded"]
remove_request_headers = ["x-my-identity", "X-Corp-*"]
"#;

/// The required part of a file, without routes.
const LISTENER: &str =
    r#"listener = { address = "127.0.0.1:0", certificate = "s.pem", private_key = "s.key" }"#;

fn parsed(text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let (config, found) = parse(Path::new("etc/gateway.toml"), text);
    assert_eq!(config.is_none(), found.iter().any(Diagnostic::is_error), "{text}\n{found:#?}");
    for diagnostic in &found {
        assert!(!diagnostic.to_string().contains('\n'), "{diagnostic:?}");
        assert!(!diagnostic.to_string().contains("hunter2"), "{diagnostic}");
        assert!((1..=text.lines().count().max(1)).contains(&diagnostic.line), "{diagnostic}");
    }
    (config, found)
}

#[test]
fn every_supported_key_is_read() {
    let (config, found) = parsed(FULL);
    let config = config.unwrap();
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["etc/gateway.toml:33: warning: routes[1].upstream_tls.verify: any host with a certificate of \
             these CAs can impersonate the upstream; write verify = \"full\", or add pin"]
    );
    assert_eq!(config.listener.address.value, SocketAddr::from(([127, 0, 0, 1], 8443)));
    assert_eq!(config.listener.address.line, 3);
    let KeyFiles::Pem { certificate, private_key, password_file: None } = &config.listener.certificate else {
        panic!("{:?}", config.listener)
    };
    assert_eq!(certificate.resolved, Path::new("etc/server.pem"));
    assert_eq!((certificate.written.as_str(), certificate.line), ("server.pem", 4));
    assert_eq!(private_key.resolved, Path::new("/keys/server.key"));
    assert_eq!(private_key.key, "listener.private_key");
    let partners = &config.trust["partners"];
    assert_eq!((partners.key.as_str(), partners.line, partners.ca.len()), ("trust.partners", 8, 2));
    assert!(partners.revocation.is_off());
    assert!(matches!(config.identities["orders"].files, KeyFiles::Pfx { .. }));
    assert!(matches!(config.identities["billing"].files, KeyFiles::Pem { .. }));

    let [orders, root] = &config.routes[..] else { panic!("{:?}", config.routes) };
    assert_eq!((orders.key.as_str(), orders.line), ("routes[1]", 23));
    assert_eq!(orders.path.value, "/orders");
    assert_eq!(orders.host.as_ref().unwrap().value, "api.example.com");
    assert_eq!(orders.upstream.authority, "localhost:9444");
    assert_eq!(orders.upstream.path, "/api");
    assert_eq!(orders.identities(), ["orders"]);
    assert!(orders.preserve_host && orders.allow_empty_segments);
    let tls = orders.upstream_tls.as_ref().unwrap();
    assert_eq!((tls.verify, tls.line), (Verify::Chain, 31));
    assert_eq!(tls.server_name.as_ref().unwrap().value, "orders.internal");
    assert_eq!(config.upstream_ca_of(orders)[0].written, "own-ca.pem");
    assert_eq!(config.upstream_ca_of(root)[0].written, "backend-ca.pem");
    let rules = orders.client_certificate.as_ref().unwrap();
    assert!(rules.validity && !rules.allow_unanchored);
    assert_eq!(rules.all_of.issuer[0].value, "CN=Issuing CA, O=Contoso");
    assert_eq!((rules.all_of.thumbprint[1].value.as_str(), rules.all_of.thumbprint[1].line), ("cc dd", 43));
    assert_eq!(rules.all_of.thumbprint_file.as_ref().unwrap().resolved, Path::new("etc/allowed.txt"));

    assert_eq!(root.upstream.scheme, Scheme::Http);
    assert!(root.client_certificate.is_none() && root.identity.is_none() && root.host.is_none());
    let expected = Limits {
        head_timeout: Duration::from_millis(500),
        drain_timeout: Duration::from_secs(120),
        max_connections: Some(1000),
        max_handshakes: Some(16),
        ..Limits::default()
    };
    assert_eq!(config.limits, expected);
    let removed = ["x-my-identity", "x-corp-*"].map(|pattern| pattern.parse().unwrap()).to_vec();
    assert_eq!(config.proxy, Proxy { x_forwarded: true, forwarded: true, removed });
}

#[test]
fn omitted_keys_have_their_defaults() {
    let text = format!("{LISTENER}\nroutes = [{{ path = \"/\", upstream = \"https://b\" }}]\n");
    let (config, found) = parsed(&text);
    let config = config.unwrap();
    assert_eq!(config.listener.handshake.request.value, CertificateRequest::Request);
    assert_eq!(config.listener.handshake.trust, None);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.proxy, Proxy::default());
    assert!(config.upstream_ca_of(&config.routes[0]).is_empty());
    let open = "etc/gateway.toml:2: note: routes[1].client_certificate: admits any caller; \
                add [routes.client_certificate], or client_certificate = \"none\" if that is intended";
    let anonymous = "etc/gateway.toml:2: note: routes[1].identity: calls the upstream anonymously; \
                     add identity = \"NAME\" if the upstream demands a certificate";
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [open, anonymous]);
}

#[test]
fn handshake_requires_what_the_listener_states() {
    use CertificateRequest::{Off, Request, Require};
    for (keys, request, trust, note) in [
        ("", Request, None, ""),
        ("client_certificate = \"request\"", Request, None, ""),
        ("client_certificate = \"off\"", Off, None, ""),
        ("client_certificate = \"require\"", Require, None, "admits callers with any certificate"),
        (
            "client_certificate = \"require\"\nclient_trust = \"partners\"",
            Require,
            Some("partners"),
            "admits callers with any certificate",
        ),
    ] {
        let text = format!(
            "[listener]\naddress = \"127.0.0.1:8443\"\ncertificate = \"a\"\nprivate_key = \"b\"\n{keys}\n\
             [trust.partners]\nca = \"c\"\n[[routes]]\npath = \"/\"\nupstream = \"http://b\"\n\
             client_certificate = \"none\"\n"
        );
        let (config, found) = parsed(&text);
        let handshake = config.unwrap().listener.handshake;
        assert_eq!(handshake.request.value, request, "{keys}");
        assert_eq!(handshake.trust.as_ref().map(|name| name.as_str()), trust, "{keys}");
        assert_eq!(found.len(), usize::from(!note.is_empty()), "{keys}: {found:?}");
        assert!(found.iter().all(|found| found.to_string().contains(note)), "{keys}: {found:?}");
    }
}

#[test]
fn trust_set_rejects_expired_cas_unless_it_allows_them() {
    for (key, expected) in
        [("", false), ("allow_expired_ca = false", false), ("allow_expired_ca = true", true)]
    {
        let text = FULL.replace("revocation = \"off\"", key);
        assert_eq!(parsed(&text).0.unwrap().trust["partners"].allow_expired_ca, expected, "{key}");
    }
}
