//! Under which names the management listener is asked.

use std::{net::IpAddr, sync::Arc};

use http::{Request, header, uri::Authority};
use tower_mtls::{Certificate, GeneralName};

use crate::routes::normal_host;

/// The names that are the listener's own.
///
/// A page of somebody else's, whose name is made to lead here (DNS rebinding), asks under another one; and a link in an
/// answer leads whoever follows it, token and all, to no other place.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Arc<Names>);

#[derive(Debug)]
struct Names {
    address: IpAddr,
    /// As the certificate has them, some with a leading `*.`.
    dns: Vec<String>,
    ip: Vec<IpAddr>,
}

impl Hosts {
    /// Those that the listener's certificate proves, its address, and, if it can be reached there, the machine's own
    /// names for itself.
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
        Self(Arc::new(Names { address, dns: dns.collect(), ip: ip.collect() }))
    }

    /// The one authority that a request names, if it is one of ours.
    pub(super) fn of<B>(&self, request: &Request<B>) -> Option<Authority> {
        let mut named = request.headers().get_all(header::HOST).iter();
        let header = match (named.next(), named.next()) {
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
        let Names { address, dns, ip } = &*self.0;
        let is_here = address.is_loopback() || address.is_unspecified();
        let host = normal_host(host);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        match bare.parse::<IpAddr>() {
            Ok(named) => named == *address || ip.contains(&named) || (is_here && named.is_loopback()),
            Err(_) => (is_here && host == "localhost") || dns.iter().any(|name| covers(name, &host)),
        }
    }
}

/// Whether a name of a certificate means this host; a wildcard stands for one label.
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
    fn only_its_own_names_are_its_own() {
        let hosts = |address: &str| {
            let dns = ["gateway.contoso.com", "*.example.com"].map(str::to_owned).to_vec();
            let ip = vec!["10.0.0.7".parse().unwrap()];
            Hosts(Arc::new(Names { address: address.parse().unwrap(), dns, ip }))
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
        let apart =
            Request::builder().uri("https://evil.example/").header("host", "localhost").body(()).unwrap();
        assert!(local.of(&apart).is_none());
        assert!(local.of(&Request::new(())).is_none(), "nothing named");
    }
}
