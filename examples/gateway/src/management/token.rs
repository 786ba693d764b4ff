//! The bearer token of the management listener.

use std::fmt;

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Minimum length of a token in bytes.
const MIN_LENGTH: usize = 16;

/// A token, of which only the digest is kept.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

impl Token {
    /// Reads the contents of a token file: one line of visible ASCII, as required in a header.
    ///
    /// # Errors
    ///
    /// The problem, phrased to follow the name of the file.
    pub(crate) fn new(contents: &[u8]) -> Result<Self, &'static str> {
        let token = contents.strip_suffix(b"\n").unwrap_or(contents);
        let token = token.strip_suffix(b"\r").unwrap_or(token);
        if token.len() < MIN_LENGTH {
            return Err("contains a token of less than 16 bytes");
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err("must contain one line of letters, digits and punctuation");
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    /// Returns true if the request carries exactly this token. The comparison takes constant time.
    pub(super) fn matches(&self, headers: &HeaderMap) -> bool {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return false };
        let Some((scheme, value)) = field.to_str().ok().and_then(|field| field.split_once(' ')) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(value.trim_matches(' ')).into();
        scheme.eq_ignore_ascii_case("bearer") && bool::from(digest.ct_eq(&self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TEXT: &str = "0123456789abcdef";

    #[test]
    fn token_is_one_line_of_at_least_16_bytes() {
        for (contents, is_good) in [
            (&b"0123456789abcdef"[..], true),
            (b"0123456789abcdef\n", true),
            (b"0123456789abcdef\r\n", true),
            (b"", false),
            (b"\n", false),
            (b"0123456789abcde\n", false),
            (b"0123456789abcdef\n\n", false),
            (b"0123456789abcdef\n0123456789abcdef\n", false),
            (b"0123456789 abcdef", false),
            (b"0123456789\xc3\xa4bcdef", false),
        ] {
            let shown = String::from_utf8_lossy(contents);
            assert_eq!(Token::new(contents).is_ok(), is_good, "{shown:?}");
        }
    }

    #[test]
    fn only_the_same_bearer_token_matches() {
        let token = Token::new(TEXT.as_bytes()).unwrap();
        for (fields, expected) in [
            (&["Bearer 0123456789abcdef"][..], true),
            (&["bearer  0123456789abcdef"], true),
            (&["BEARER 0123456789abcdef "], true),
            (&[], false),
            (&["0123456789abcdef"], false),
            (&["Basic 0123456789abcdef"], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
            (&["Bearer 0123456789abcde"], false),
            (&["Bearer 0123456789abcdefg"], false),
            (&["Bearer 0123456789ABCDEF"], false),
            (&["Bearer 0123456789abcdef", "Bearer x"], false),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(field));
            }
            assert_eq!(token.matches(&headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn debug_does_not_reveal_the_token() {
        assert_eq!(format!("{:?}", Token::new(TEXT.as_bytes()).unwrap()), "Token");
    }
}
