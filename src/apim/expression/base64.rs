//! Base64 (RFC 4648, section 4), with the white space that .NET allows in it.

use base64::{Engine, engine::general_purpose::STANDARD};

pub(crate) fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// None if the text is not base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|octet| !b" \t\r\n".contains(octet)).collect();
    STANDARD.decode(digits).ok()
}
