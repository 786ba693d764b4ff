//! Base64 (RFC 4648, section 4). White space is ignored, as in .NET.

use base64::{Engine, engine::general_purpose::STANDARD};

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64. Returns None if the text is invalid.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !b" \t\r\n".contains(byte)).collect();
    STANDARD.decode(digits).ok()
}
