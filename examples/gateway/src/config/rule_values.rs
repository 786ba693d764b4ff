//! Values of rules: URIs, e-mail addresses, purposes and pins. Each reader returns the end of a sentence as its error.

use base64::{Engine, engine::general_purpose::STANDARD};
use tower_mtls::certificate::{ExtendedKeyUsage, Thumbprint};

/// The forms of [`spki_pin`].
pub(super) const SPKI_PIN_FORM: &str =
    "write \"spki-sha256:HEX\" of the public key, 64 hex digits or the same 32 bytes in base64";

/// Purposes by name, with the object identifiers of those that are known by number only.
const USAGES: [(&str, &str); 7] = [
    ("anyExtendedKeyUsage", "2.5.29.37.0"),
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
];

/// A URI as certificates contain it: ASCII, with a scheme.
pub(super) fn uri(text: &str) -> Result<String, &'static str> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).ok_or("has no scheme")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !is_scheme {
        return Err("has no scheme");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that is not allowed in a URI");
    }
    if text.contains('*') {
        return Err("has a *, but URIs are compared as they are");
    }
    Ok(text.to_owned())
}

/// An address with a local part and a domain.
pub(super) fn email(text: &str) -> Result<String, &'static str> {
    let (local, domain) = text.rsplit_once('@').ok_or("has no @")?;
    if local.is_empty() || domain.is_empty() || local.contains('@') {
        return Err("is not an e-mail address");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that is not allowed in a certificate's e-mail address");
    }
    if text.contains('*') {
        return Err("has a *, but addresses are compared as they are");
    }
    Ok(text.to_owned())
}

/// A purpose, by its name in RFC 5280 or its object identifier.
pub(super) fn extended_key_usage(text: &str) -> Result<ExtendedKeyUsage, &'static str> {
    let known = USAGES.iter().find(|(name, oid)| name.eq_ignore_ascii_case(text) || *oid == text);
    let oid = known.map_or(text, |(_, oid)| oid);
    match known.map(|(name, _)| *name) {
        Some("anyExtendedKeyUsage") => Ok(ExtendedKeyUsage::Any),
        Some("serverAuth") => Ok(ExtendedKeyUsage::ServerAuth),
        Some("clientAuth") => Ok(ExtendedKeyUsage::ClientAuth),
        _ if is_object_identifier(oid) => Ok(ExtendedKeyUsage::Other(oid.to_owned())),
        _ => Err("is not an extended key usage"),
    }
}

/// Dotted numbers without leading zeros, at least two.
fn is_object_identifier(text: &str) -> bool {
    let is_arc = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|byte| byte.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    text.len() <= 256
        && text.contains('.')
        && text.split('.').all(is_arc)
        && text.starts_with(['0', '1', '2'])
        && text.as_bytes().get(1) == Some(&b'.')
}

/// The SHA-256 of a SubjectPublicKeyInfo: hex in any case, with colons or spaces, or base64; `spki-sha256:` in front is
/// optional.
pub(super) fn spki_pin(text: &str) -> Result<[u8; 32], &'static str> {
    let (label, hash) = match text.split_once(':') {
        Some((label, hash)) if !label.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            (label.trim(), hash.trim())
        }
        _ => ("", text.trim()),
    };
    match label.to_ascii_lowercase().as_str() {
        "" | "spki-sha256" => {}
        "sha256" => return Err("pins a certificate, not a public key"),
        _ => return Err("is not a pin"),
    }
    if hash.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b' ')) {
        return match hash.parse() {
            Ok(Thumbprint::Sha256(hash)) => Ok(hash),
            _ => Err("is not a SHA-256 hash"),
        };
    }
    let bytes = STANDARD.decode(hash).map_err(|_| "is not a SHA-256 hash")?;
    bytes.try_into().map_err(|_| "is not a SHA-256 hash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spki_pin_is_hex_or_base64_of_32_bytes() {
        let hash: [u8; 32] = std::array::from_fn(|at| (at as u8).wrapping_mul(7));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let colons = hash.map(|byte| format!("{byte:02X}")).join(":");
        let base64 = STANDARD.encode(hash);
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            colons.clone(),
            base64.clone(),
            format!("spki-sha256:{hex}"),
            format!("SPKI-SHA256: {colons}"),
            format!("spki-sha256:{base64}"),
        ] {
            assert_eq!(spki_pin(&text), Ok(hash), "{text}");
        }
        for (text, expected) in [
            (format!("sha256:{hex}"), "pins a certificate"),
            (format!("sha256 Fingerprint={colons}"), "not a pin"),
            (format!("SHA256 Fingerprint={hex}"), "not a SHA-256 hash"),
            (format!("sha1:{hex}"), "not a pin"),
            (hex[..40].to_owned(), "not a SHA-256 hash"),
            (base64[..40].to_owned(), "not a SHA-256 hash"),
            (base64.trim_end_matches('=').to_owned(), "not a SHA-256 hash"),
            ("spki-sha256:".to_owned(), "not a SHA-256 hash"),
        ] {
            let problem = spki_pin(&text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn extended_key_usage_is_a_name_or_an_object_identifier() {
        for (text, expected) in [
            ("clientAuth", Some(ExtendedKeyUsage::ClientAuth)),
            ("CLIENTAUTH", Some(ExtendedKeyUsage::ClientAuth)),
            ("1.3.6.1.5.5.7.3.2", Some(ExtendedKeyUsage::ClientAuth)),
            ("1.3.6.1.5.5.7.3.1", Some(ExtendedKeyUsage::ServerAuth)),
            ("2.5.29.37.0", Some(ExtendedKeyUsage::Any)),
            ("emailProtection", Some(ExtendedKeyUsage::Other("1.3.6.1.5.5.7.3.4".into()))),
            ("1.3.6.1.4.1.311.20.2.2", Some(ExtendedKeyUsage::Other("1.3.6.1.4.1.311.20.2.2".into()))),
            ("client", None),
            ("1.03.6", None),
            ("1..3", None),
            ("9.1", None),
            ("12.1", None),
            ("1", None),
        ] {
            assert_eq!(extended_key_usage(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn uris_and_addresses_that_no_certificate_contains_are_rejected() {
        for text in ["urn:example:a", "https://a/b?c=d", "spiffe://a/b", "a+b-c.1:x"] {
            assert!(uri(text).is_ok(), "{text}");
        }
        for text in ["orders", "//a/b", ":a", "1a:b", "urn:a b", "urn:é", "https://*.a"] {
            assert!(uri(text).is_err(), "{text}");
        }
        for text in ["orders@contoso.com", "a+b@c"] {
            assert!(email(text).is_ok(), "{text}");
        }
        for text in ["orders", "@contoso.com", "orders@", "a@b@c", "a b@c", "é@c", "*@contoso.com"] {
            assert!(email(text).is_err(), "{text}");
        }
    }
}
