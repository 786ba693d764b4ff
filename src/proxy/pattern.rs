use std::{fmt, str::FromStr};

use http::HeaderName;

use crate::request::claims::{folded, matches};

/// Request headers to remove: one name, or a prefix with a `*` at its end (`x-corp-*`).
///
/// Letter case is ignored, and other punctuation counts as `-`: `x-corp-*` also matches `X_Corp_User`.
///
/// ```
/// use tower_mtls::proxy::HeaderPattern;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pattern: HeaderPattern = "x-corp-*".parse()?;
/// assert!(pattern.matches(&"X_Corp_User".parse()?));
/// assert!(!pattern.matches(&"x-corporate".parse()?));
/// assert!("content-*".parse::<HeaderPattern>().is_err(), "requests need Content-Length");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPattern(Box<str>);

/// Fields that frame, address or describe a request.
const REQUIRED: [&str; 18] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-encoding",
    "grpc-timeout",
    "host",
    "keep-alive",
    "proxy-connection",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl HeaderPattern {
    /// Returns true if the pattern matches this name.
    pub fn matches(&self, name: &HeaderName) -> bool {
        self.matches_text(name.as_str())
    }

    pub(super) fn matches_text(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

impl FromStr for HeaderPattern {
    type Err = HeaderPatternError;

    /// # Errors
    ///
    /// 1. The text, without a `*` at its end, is not the name of a header.
    /// 2. It matches a header that frames, addresses or describes a request, such as `Host` or `Content-Length`.
    fn from_str(text: &str) -> Result<Self, HeaderPatternError> {
        let (name, end) = text.strip_suffix('*').map_or((text, ""), |prefix| (prefix, "*"));
        if name.contains('*') || name.parse::<HeaderName>().is_err() {
            return Err(HeaderPatternError::NotAName);
        }
        let pattern = Self(format!("{}{end}", folded(name)).into());
        match REQUIRED.iter().find(|needed| pattern.matches_text(needed)) {
            Some(needed) => Err(HeaderPatternError::Needed(needed)),
            None => Ok(pattern),
        }
    }
}

/// Error of parsing a [`HeaderPattern`].
///
/// ```
/// use tower_mtls::proxy::{HeaderPattern, HeaderPatternError};
///
/// assert_eq!("h*".parse::<HeaderPattern>(), Err(HeaderPatternError::Needed("host")));
/// assert_eq!("x-*-id".parse::<HeaderPattern>(), Err(HeaderPatternError::NotAName));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderPatternError {
    /// Not a header name, or a prefix of one with a `*` at its end.
    NotAName,
    /// The pattern matches this header, which requests need.
    Needed(&'static str),
}

impl fmt::Display for HeaderPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAName => f.write_str("is not a header name"),
            Self::Needed(name) => write!(f, "matches {name}, which requests need"),
        }
    }
}

impl std::error::Error for HeaderPatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_is_a_name_or_prefix_of_headers_that_requests_do_not_need() {
        use HeaderPatternError::{Needed, NotAName};
        for (text, expected) in [
            ("x-my-identity", Ok("x-my-identity")),
            ("X_My_Identity", Ok("x-my-identity")),
            ("x-corp-*", Ok("x-corp-*")),
            ("authorization", Ok("authorization")),
            ("cookie", Ok("cookie")),
            ("x*", Ok("x*")),
            ("", Err(NotAName)),
            ("*", Err(NotAName)),
            ("x-*-id", Err(NotAName)),
            ("x-**", Err(NotAName)),
            ("*-id", Err(NotAName)),
            ("x id", Err(NotAName)),
            ("x-id:", Err(NotAName)),
            ("Host", Err(Needed("host"))),
            ("h*", Err(Needed("host"))),
            ("content-length", Err(Needed("content-length"))),
            ("Content_Type", Err(Needed("content-type"))),
            ("content-*", Err(Needed("content-encoding"))),
            ("transfer-encoding", Err(Needed("transfer-encoding"))),
            ("te", Err(Needed("te"))),
            ("sec-websocket-*", Err(Needed("sec-websocket-extensions"))),
            ("grpc-*", Err(Needed("grpc-encoding"))),
        ] {
            let found = text.parse::<HeaderPattern>();
            assert_eq!(
                found.as_ref().map(|pattern| &*pattern.0).map_err(|error| *error),
                expected,
                "{text:?}"
            );
        }
    }
}
