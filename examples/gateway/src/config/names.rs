//! Names of sections and hosts, and suggestions for misspelt names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::diagnostic::quoted;
use crate::host::normal_host;

/// Whether this is a valid name of a section: `[A-Za-z0-9_-]{1,64}`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns the candidate that a misspelt word most likely means. None: none is similar, or several are equally so.
pub(crate) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let mut similar: Vec<_> =
        candidates.filter_map(|candidate| Some((distance(&word, &plain(candidate))?, candidate))).collect();
    similar.sort_by_key(|(distance, _)| *distance);
    match similar[..] {
        [(first, _), (second, _), ..] if first == second => None,
        [(_, candidate), ..] => Some(candidate),
        [] => None,
    }
}

/// Returns the number of letters in which a word differs from a candidate. None: it is not a misspelling of it.
///
/// The parts between underscores are compared in their order: a third of the letters of each can be wrong, and the
/// candidate can have further parts with fewer letters than half of the word.
fn distance(word: &str, candidate: &str) -> Option<usize> {
    use strsim::damerau_levenshtein as different_letters;
    // A missing underscore changes the parts.
    let different = different_letters(word, candidate);
    if different <= 1 {
        return Some(different);
    }
    let is_similar =
        |part: &str, other: &str| different_letters(part, other) <= (part.chars().count() / 3).max(1);
    let mut parts = word.split('_').peekable();
    let (mut different, mut missing) = (0, 0);
    for other in candidate.split('_') {
        match parts.next_if(|part| is_similar(part, other)) {
            Some(part) => different += different_letters(part, other),
            None => missing += other.len(),
        }
    }
    (parts.next().is_none() && 2 * missing < word.len()).then_some(different + missing)
}

/// Remedy for a name that is not defined.
pub(crate) fn defined_name<'c>(word: &str, section: &str, defined: impl Iterator<Item = &'c str>) -> String {
    match nearest(word, defined) {
        Some(name) => format!("did you mean {}?", quoted(name)),
        None => format!("define it as [{section}.{}]", if is_name(word) { word } else { "NAME" }),
    }
}

/// Parses a host without port into its normal form (see [`normal_host`]).
///
/// # Errors
/// The problem, as the end of a sentence.
pub(crate) fn host(text: &str) -> Result<String, &'static str> {
    let normal = normal_host(text);
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(normal.into_owned()),
            Err(_) => Err("has an invalid IPv6 address in its brackets"),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err("is an IPv6 address without brackets");
    }
    if text.contains("://") || text.contains('/') {
        return Err("is a URL, not a host");
    }
    if text.contains(':') {
        return Err("has a port");
    }
    if text.contains('*') {
        return Err("has a wildcard");
    }
    dns_labels(text.strip_suffix('.').unwrap_or(text), true)?;
    Ok(normal.into_owned())
}

/// Checks the pattern of a DNS name: letters, digits and hyphens, with an optional leading `*.`.
///
/// # Errors
/// The problem, as the end of a sentence.
pub(crate) fn dns_pattern(text: &str) -> Result<(), &'static str> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.contains('*') {
        return Err("has a * that is not the whole first label");
    }
    if name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok() {
        return Err("is an IP address, not a DNS name");
    }
    dns_labels(name, false)
}

/// Checks labels of letters, digits and hyphens, joined by dots. Host names in use also contain underscores.
fn dns_labels(name: &str, underscores: bool) -> Result<(), &'static str> {
    if name.len() > 253 {
        return Err("is longer than 253 characters");
    }
    for label in name.split('.') {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || (underscores && byte == b'_');
        if label.is_empty() {
            return Err("has an empty label");
        }
        if label.len() > 63 {
            return Err("has a label of more than 63 characters");
        }
        if !label.bytes().all(is_allowed) {
            return Err("has a character that is not allowed in a host name");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("has a label that starts or ends with a hyphen");
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) && name.parse::<Ipv4Addr>().is_err() {
        return Err("is neither a name nor an IPv4 address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_has_similar_parts_in_the_same_order() {
        let known = [
            "address",
            "certificate",
            "client_certificate",
            "private_key",
            "connect_timeout",
            "tunnel_idle_timeout",
            "max_body_size",
            "max_head_size",
        ];
        let cases = [
            ("adress", Some("address")),
            ("private-key", Some("private_key")),
            ("PrivateKey", Some("private_key")),
            ("client_certifcate", Some("client_certificate")),
            ("certificat", Some("certificate")),
            ("tunnel_timeout", Some("tunnel_idle_timeout")),
            ("tunel_timeout", Some("tunnel_idle_timeout")),
            ("conect_timeot", Some("connect_timeout")),
            ("max_header_size", Some("max_head_size")),
            ("max_uri_size", None),
            ("max_size", None),
            ("timeout", None),
            ("max_body_size_per_route", None),
            ("zebra", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn hosts_are_normalized() {
        let cases = [
            ("API.Example.com", Ok("api.example.com")),
            ("api.example.com.", Ok("api.example.com")),
            ("my_service", Ok("my_service")),
            ("10.0.0.1", Ok("10.0.0.1")),
            ("[0:0::1]", Ok("[::1]")),
            ("::1", Err("brackets")),
            ("[x]", Err("IPv6")),
            ("a:80", Err("port")),
            ("[::1]:80", Err("port")),
            ("https://a", Err("URL")),
            ("*.a", Err("wildcard")),
            ("a..b", Err("empty")),
            (".", Err("empty")),
            ("-a.b", Err("hyphen")),
            ("a b", Err("character")),
            ("é.com", Err("character")),
            ("10.0.0.300", Err("neither")),
        ];
        for (text, expected) in cases {
            match (host(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(word)) => assert!(found.contains(word), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn dns_pattern_has_a_wildcard_only_as_first_label() {
        for text in ["contoso.com", "*.contoso.com", "a-1.b", "xn--bcher-kva.example", "localhost"] {
            assert_eq!(dns_pattern(text), Ok(()), "{text}");
        }
        let long = ["a".repeat(64), ["abcdefg"; 33].join(".")];
        let broken =
            ["", "*", "*.", "a.*.com", "*a.com", "a_b.com", "a.com.", "-a.com", "10.0.0.1", "::1", "a b"];
        for text in broken.into_iter().chain(long.iter().map(String::as_str)) {
            assert!(dns_pattern(text).is_err(), "{text}");
        }
    }
}
