//! Host names of the management listener.

use std::{net::IpAddr, sync::Arc};

use http::{Request, header, uri::Authority};
use tower_mtls::{Certificate, certificate::GeneralName};

use crate::host::normal_host;

/// The host names that the listener accepts.
///
/// Rejecting other names prevents DNS rebinding, and links in responses that send the token to another host.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Arc<ListenerNames>);

#[derive(Debug)]
struct ListenerNames {
    address: IpAddr,
    /// DNS names of the certificate, possibly with a leading `*.`.
    dns: Vec<String>,
    ip: Vec<IpAddr>,
}

impl Hosts {
    /// Collects the names of the listener's certificate, its address, and, if it listens there, the loopback names.
    pub(crate) fn new(address: IpAddr, certificate: &Certificate) -> Self {
        let names = certificate.subject_alternative_names();
        let dns = names.iter().filter_map(|name| match name {
            GeneralName::Dns(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let ip = names.iter().filter_map(|name| match name {
            GeneralName::Ip(address) => Some(*address),
            _ => None,
        });
        Self(Arc::new(ListenerNames { address, dns: dns.collect(), ip: ip.collect() }))
    }

    /// Returns the authority of a request if it is unambiguous and one of the listener's.
    pub(super) fn of<B>(&self, request: &Request<B>) -> Option<Authority> {
        let mut values = request.headers().get_all(header::HOST).iter();
        let header = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(host), None) => Some(host.to_str().ok()?.parse::<Authority>().ok()?),
            (Some(_), Some(_)) => return None,
        };
        let authority = match (request.uri().authority(), header) {
            (Some(target), Some(header)) if *target != header => return None,
            (Some(target), _) => target.clone(),
            (None, header) => header?,
        };
        (!authority.as_str().contains('@') && self.has(authority.host())).then_some(authority)
    }

    fn has(&self, host: &str) -> bool {
        let ListenerNames { address, dns, ip } = &*self.0;
        let is_local = address.is_loopback() || address.is_unspecified();
        let host = normal_host(host);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        match bare.parse::<IpAddr>() {
            Ok(found) => found == *address || ip.contains(&found) || (is_local && found.is_loopback()),
            Err(_) => (is_local && host == "localhost") || dns.iter().any(|name| covers(name, &host)),
        }
    }
}

/// Returns true if a name of a certificate matches this host; a wildcard matches one label.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_listener_are_accepted() {
        let hosts = |address: &str| {
            let dns = ["gateway.contoso.com", "*.example.com"].map(str::to_owned).to_vec();
            let ip = vec!["10.0.0.7".parse().unwrap()];
            Hosts(Arc::new(ListenerNames { address: address.parse().unwrap(), dns, ip }))
        };
        let (local, public) = (hosts("127.0.0.1"), hosts("192.0.2.1"));
        for (host, is_local, is_public) in [
            ("localhost", true, false),
            ("LOCALHOST:9443", true, false),
            ("127.0.0.1:9443", true, false),
            ("[::1]:9443", true, false),
            ("192.0.2.1", false, true),
            ("10.0.0.7", true, true),
            ("gateway.contoso.com:443", true, true),
            ("Gateway.Contoso.com.", true, true),
            ("a.example.com", true, true),
            ("a.b.example.com", false, false),
            ("example.com", false, false),
            (".example.com", false, false),
            ("evil.example", false, false),
            ("localhost.evil.example", false, false),
            ("localhost@evil.example", false, false),
            ("evil.example@localhost", false, false),
        ] {
            let request = Request::builder().header("host", host).body(()).unwrap();
            assert_eq!(local.of(&request).is_some(), is_local, "{host}");
            assert_eq!(public.of(&request).is_some(), is_public, "{host}");
        }
        let two =
            Request::builder().header("host", "localhost").header("host", "localhost").body(()).unwrap();
        assert!(local.of(&two).is_none());
        let conflicting =
            Request::builder().uri("https://evil.example/").header("host", "localhost").body(()).unwrap();
        assert!(local.of(&conflicting).is_none());
        assert!(local.of(&Request::new(())).is_none(), "without a host");
    }
}
