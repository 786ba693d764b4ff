//! The demo's `gateway.toml`.

use super::pki::PARTNERS_CA;

/// Renders the configuration with the gateway's and the management listener's ports on 127.0.0.1, and the upstreams'
/// ports on localhost. Paths are relative to the demo's folder.
pub(crate) fn render(own: [u16; 2], upstreams: [u16; 2]) -> String {
    let [port, management_port] = own;
    let [first, second] = upstreams;
    format!(
        r#"# Configuration of `gateway demo`, overwritten at every start. After you edit it in place, send SIGHUP to reload it;
# a replaced file is reloaded automatically. To keep changes, copy the file to another name in this folder, and serve
# the copy with `gateway run --config COPY` while `gateway demo`, which runs the upstreams on ports {first} and
# {second}, is running. The copy needs its own addresses for listener and management, and its own store.
#
# Paths are relative to this file.

[listener]
address = "127.0.0.1:{port}"
certificate = "server.pem"                  # signed by ca.pem
private_key = "server.key"
client_certificate = "request"              # callers may present a certificate; routes decide whether it is required

# Health, metrics, REST API and portal, with the listener's certificate.
[management]
address = "127.0.0.1:{management_port}"
token_file = "management.token"

# Stores the certificates and APIs of the management API.
[store]
path = "store"

# Trusted CAs for Verify() in the policies of APIs.
[apis]
trust = "partners"

# CAs that routes refer to by name.
[trust.partners]
ca = ["partners-ca.pem"]
revocation = "off"                          # revocation is not checked

# Client identities for calls to upstreams.
[identities.orders]
pfx = "orders.pfx"                          # CN=orders-gateway
password_file = "orders.password"

[identities.billing]
pfx = "billing.pfx"                         # CN=billing-gateway
password_file = "billing.password"

# Default trust in upstreams' certificates.
[upstream_tls]
ca = ["backend-ca.pem"]

# Two routes to the same upstream, with different identities.
[[routes]]
path = "/orders"
upstream = "https://localhost:{first}/orders"
identity = "orders"

[routes.client_certificate]                 # requirements for the caller's certificate; all must be met
trust = "partners"                          # chains to one of these CAs, and is not expired
issuer = ["{PARTNERS_CA}"]

[[routes]]
path = "/billing"
upstream = "https://localhost:{first}/billing"
identity = "billing"

[routes.client_certificate]
trust = "partners"
issuer = ["{PARTNERS_CA}"]

# Open to any caller. The gateway still presents its identity to the upstream.
[[routes]]
path = "/open"
upstream = "https://localhost:{second}/open"
identity = "orders"
client_certificate = "none"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn configuration_is_toml_with_three_routes() {
        let table: ::toml::Table = render([8443, 9443], [9444, 9445]).parse().unwrap();
        assert_eq!(table["management"]["address"].as_str(), Some("127.0.0.1:9443"));
        assert_eq!(table["listener"]["address"].as_str(), Some("127.0.0.1:8443"));
        let routes: Vec<[Option<&str>; 4]> = table["routes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|route| {
                let trust = route
                    .get("client_certificate")
                    .and_then(|rules| rules.get("trust").unwrap_or(rules).as_str());
                [route["path"].as_str(), route["upstream"].as_str(), route["identity"].as_str(), trust]
            })
            .collect();
        assert_eq!(
            routes,
            [
                [Some("/orders"), Some("https://localhost:9444/orders"), Some("orders"), Some("partners")],
                [Some("/billing"), Some("https://localhost:9444/billing"), Some("billing"), Some("partners")],
                [Some("/open"), Some("https://localhost:9445/open"), Some("orders"), Some("none")],
            ]
        );
    }
}
