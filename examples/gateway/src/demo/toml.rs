//! The demo's `gateway.toml`.

use super::pki::PARTNERS_CA;

/// The configuration that serves the demo on these ports of 127.0.0.1, its own and the management
/// listener's, in front of the upstreams on these ports of
/// localhost. All its paths are relative to the demo's folder.
pub(crate) fn render(own: [u16; 2], upstreams: [u16; 2]) -> String {
    let [port, management_port] = own;
    let [first, second] = upstreams;
    format!(
        r#"# The gateway of `gateway demo`, written anew at every start. After you save it, send the gateway SIGHUP to load
# it; a file moved over it is loaded by itself. To keep a change, copy the file to another name in this folder and
# serve the copy with `gateway run --config COPY`. The upstreams on ports {first} and {second} live inside
# `gateway demo`: leave it running, and give the copy listener and management addresses and a store of its own.
#
# Paths are relative to this file.

[listener]
address = "127.0.0.1:{port}"
certificate = "server.pem"                  # signed by ca.pem
private_key = "server.key"
client_certificate = "request"              # every caller is asked for a certificate; the routes decide

# Where the gateway itself is asked, under the listener's certificate.
[management]
address = "127.0.0.1:{management_port}"
token_file = "management.token"

# Certificates and APIs that come through the management listener are kept here.
[store]
path = "store"

# What Verify() means in the policies of those APIs.
[apis]
trust = "partners"

# CAs that routes refer to by name.
[trust.partners]
ca = ["partners-ca.pem"]
revocation = "off"                          # nobody asks whether a certificate was revoked

# Who the gateway is when it calls an upstream.
[identities.orders]
pfx = "orders.pfx"                          # CN=orders-gateway
password_file = "orders.password"

[identities.billing]
pfx = "billing.pfx"                         # CN=billing-gateway
password_file = "billing.password"

# Whom the gateway believes to be an upstream, on every route that does not say otherwise.
[upstream_tls]
ca = ["backend-ca.pem"]

# Two routes to the same upstream, under different identities.
[[routes]]
path = "/orders"
upstream = "https://localhost:{first}/orders"
identity = "orders"

[routes.client_certificate]                 # who may call; everything named must hold
trust = "partners"                          # a chain to one of these CAs, and a date that is right
issuer = ["{PARTNERS_CA}"]

[[routes]]
path = "/billing"
upstream = "https://localhost:{first}/billing"
identity = "billing"

[routes.client_certificate]
trust = "partners"
issuer = ["{PARTNERS_CA}"]

# Anyone may call. The upstream still sees the gateway's identity.
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
    fn the_configuration_is_toml_with_three_routes() {
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
