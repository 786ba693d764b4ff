//! Description of the client certificate.

use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Describes a certificate: subject, issuer, serial number and SHA-256 thumbprint.
pub(super) fn describe(der: &[u8]) -> Value {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Value::Null;
    };
    json!({
        "subject": name(certificate.subject()),
        "issuer": name(certificate.issuer()),
        "serial": hex::encode(certificate.raw_serial()),
        "sha256": hex::encode(Sha256::digest(der)),
    })
}

/// Formats a distinguished name in the order of RFC 4514, the last encoded attribute first, with spaces:
/// `CN=orders-gateway, O=Contoso`.
fn name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|set| set.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(", ")
}

/// Formats an attribute as `TYPE=value`, or as `TYPE=#hex` if the value is not text.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let kind = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    };
    match attribute.as_str() {
        Ok(text) => format!("{kind}={}", escaped(text)),
        Err(_) => format!("{kind}=#{}", hex::encode(attribute.attr_value().data)),
    }
}

/// Escapes a value as in RFC 4514, so that it cannot look like another attribute.
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            '#' if index == 0 => escaped.push_str("\\#"),
            ' ' if index == 0 || index == last => escaped.push_str("\\ "),
            control if control.is_ascii_control() => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\{:02X}", u32::from(control));
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn values_are_escaped_as_in_rfc_4514() {
        for (case, value, expected) in [
            ("plain", "orders-gateway", "orders-gateway"),
            ("a comma that could start an attribute", "x, O=Contoso", "x\\, O=Contoso"),
            ("a number sign in front", "#1", "\\#1"),
            ("a number sign inside", "no #1", "no #1"),
            ("spaces around", " a b ", "\\ a b\\ "),
            ("one space", " ", "\\ "),
            ("a line break", "a\nb", "a\\0Ab"),
            ("nothing", "", ""),
        ] {
            assert_eq!(escaped(value), expected, "{case}");
        }
    }
}
