//! `[routes.upstream_tls]` and the top-level `[upstream_tls]`: verification of upstream certificates.

use std::net::IpAddr;

use tower_mtls::outbound::UpstreamPin;

use super::entry::checked;
use super::located::{FilePath, Located};
use super::names;
use super::section::Section;

/// The keys of `[routes.upstream_tls]`.
pub(crate) const KEYS: &[&str] = &["ca", "verify", "pin", "server_name"];

/// The keys of the top-level `[upstream_tls]`.
pub(crate) const DEFAULT_KEYS: &[&str] = &["ca"];

/// Verification of the upstream's certificate on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamTls {
    /// Files with the trusted CAs; empty: see [`super::Config::upstream_ca`].
    pub(crate) ca: Vec<Located<FilePath>>,
    /// The extent of verification.
    pub(crate) verify: Verify,
    /// Pins of the upstream's certificate or public key; empty: none.
    pub(crate) pins: Vec<Located<UpstreamPin>>,
    /// The name for SNI and verification, in place of the upstream's host; an IP address has no brackets.
    pub(crate) server_name: Option<Located<String>>,
}

/// Extent of the verification of an upstream's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) enum Verify {
    /// Chain and name. The default; all others are dangerous.
    #[default]
    Full,
    /// The chain, but not the name.
    Chain,
    /// The name, but not the chain.
    Name,
    /// Nothing.
    None,
}

impl Verify {
    /// The word in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Chain => "chain",
            Self::Name => "name",
            Self::None => "none",
        }
    }

    /// The attack that this verification permits.
    fn danger(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Chain => Some("any host with a certificate of these CAs can impersonate the upstream"),
            Self::Name | Self::None => Some("anyone on the network path can impersonate the upstream"),
        }
    }
}

impl UpstreamTls {
    /// Reads the section of a route.
    pub(crate) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let report = section.report;
        let ca_position = section.has("ca").then(|| (section.line_of("ca"), section.key_of("ca")));
        let ca = section.files("ca");
        let options = [Verify::Full, Verify::Chain, Verify::Name, Verify::None].map(|it| (it.as_str(), it));
        let is_stated = section.has("verify");
        let verify = section.choice("verify", &options);
        let is_pinned = section.has("pin");
        let texts = section.strings("pin");
        let given = texts.len();
        let remedy = "write \"sha256:HEX\" of the certificate or \"spki-sha256:HEX\" of its public key";
        let read_pin = |text: &str| text.parse::<UpstreamPin>().map_err(|_| "is not a pin");
        let pins: Vec<_> =
            texts.into_iter().filter_map(|text| checked(report, text, remedy, read_pin)).collect();
        if let Some(verify) = &verify
            && let Some(danger) = verify.danger()
        {
            if !is_pinned {
                report.warning(verify.line, &verify.key, danger, "write verify = \"full\", or add pin");
            }
            if let (Verify::Name | Verify::None, Some((line, key))) = (verify.value, ca_position) {
                let problem = format!("has no effect with verify = \"{}\"", verify.as_str());
                report.warning(line, &key, problem, "remove it, or write verify = \"full\"");
            }
        }
        let is_named = section.has("server_name");
        let server_name = section.string("server_name").and_then(|name| {
            let remedy = "write a host name such as orders.internal, without a port";
            checked(report, name, remedy, read_server_name)
        });
        section.finish();
        let is_whole = is_stated == verify.is_some()
            && is_named == server_name.is_some()
            && (!is_pinned || (given > 0 && given == pins.len()));
        let verify = verify.map(|verify| verify.value).unwrap_or_default();
        is_whole.then_some(Self { ca, verify, pins, server_name })
    }
}

/// Parses a host name, or an IP address with or without brackets.
fn read_server_name(text: &str) -> Result<String, &'static str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => names::host(text),
    }
}

/// Reads the top-level section: the CAs for routes without their own.
pub(crate) fn read_default(mut section: Section<'_, '_>) -> Vec<Located<FilePath>> {
    let ca = section.files("ca");
    section.finish();
    ca
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_name_is_a_host_or_an_address_without_brackets() {
        let cases = [
            ("Orders.Internal.", Some("orders.internal")),
            ("[0::1]", Some("::1")),
            ("::1", Some("::1")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("orders:443", None),
            ("[::1]:443", None),
            ("*.internal", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read_server_name(text).ok().as_deref(), expected, "{text}");
        }
    }
}
