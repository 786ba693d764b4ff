//! The normal form of hosts, by which they are compared.

use std::{borrow::Cow, net::Ipv6Addr};

/// Normalises a host: lower case, without port and without one trailing dot; an IPv6 address in brackets and in its
/// shortest form.
pub(crate) fn normal_host(host: &str) -> Cow<'_, str> {
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_digits);
        return match address.parse::<Ipv6Addr>() {
            Ok(address) if is_port => Cow::Owned(format!("[{address}]")),
            _ => lower_case(host),
        };
    }
    let name = match host.split_once(':') {
        Some((name, port)) if is_digits(port) => name,
        _ => host,
    };
    lower_case(name.strip_suffix('.').unwrap_or(name))
}

/// Returns true for digits and for the empty string: `host:` means the default port.
fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Converts ASCII letters to lower case.
fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_host_is_not_copied() {
        for host in ["api.example.com", "api.example.com.:8443", "10.0.0.1"] {
            assert!(matches!(normal_host(host), Cow::Borrowed(_)), "{host}");
        }
    }
}
