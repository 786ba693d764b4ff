use std::{fmt, str::FromStr};

/// A SPIFFE ID, such as `spiffe://contoso.com/orders` (the SPIFFE-ID standard, section 2).
///
/// The trust domain is the first part, the path the rest; both are compared byte by byte, as the standard requires. Texts
/// that only resemble a SPIFFE ID (upper-case trust domain, port, query, `..`, empty segments) are errors and not
/// normalised.
///
/// ```
/// use tower_mtls::certificate::SpiffeId;
///
/// let id: SpiffeId = "spiffe://contoso.com/orders/eu".parse()?;
/// assert_eq!((id.trust_domain(), id.path()), ("contoso.com", "/orders/eu"));
/// assert!("spiffe://contoso.com/../admin".parse::<SpiffeId>().is_err());
/// # Ok::<(), tower_mtls::certificate::SpiffeIdParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    text: Box<str>,
    /// Start of the path, in bytes.
    path: usize,
}

const SCHEME: &str = "spiffe://";

impl SpiffeId {
    /// The trust domain, such as `contoso.com`.
    pub fn trust_domain(&self) -> &str {
        &self.text[SCHEME.len()..self.path]
    }

    /// The path with its leading `/`; empty if the ID names a trust domain itself.
    pub fn path(&self) -> &str {
        &self.text[self.path..]
    }
}

/// A SPIFFE trust domain, such as `contoso.com`: 1 to 255 lower-case letters, digits, dots, hyphens and underscores.
///
/// ```
/// use tower_mtls::certificate::SpiffeTrustDomain;
///
/// let domain: SpiffeTrustDomain = "contoso.com".parse()?;
/// assert!(domain.contains(&"spiffe://contoso.com/orders".parse()?));
/// assert!(!domain.contains(&"spiffe://fabrikam.com/orders".parse()?));
/// # Ok::<(), tower_mtls::certificate::SpiffeIdParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiffeTrustDomain(Box<str>);

impl SpiffeTrustDomain {
    /// Returns true if the ID belongs to this trust domain.
    pub fn contains(&self, id: &SpiffeId) -> bool {
        *self.0 == *id.trust_domain()
    }
}

fn is_trust_domain(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

impl FromStr for SpiffeTrustDomain {
    type Err = SpiffeIdParseError;

    /// # Errors
    ///
    /// The text is not a trust domain.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        is_trust_domain(text).then(|| Self(text.into())).ok_or(SpiffeIdParseError)
    }
}

impl fmt::Display for SpiffeTrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdParseError;

    /// # Errors
    ///
    /// The text is not a SPIFFE ID, or longer than 2,048 bytes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= 2_048).ok_or(SpiffeIdParseError)?;
        let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        let is_path = path.is_empty() || path.split('/').skip(1).all(is_segment);
        if !is_trust_domain(domain) || !is_path {
            return Err(SpiffeIdParseError);
        }
        Ok(Self { text: text.into(), path: SCHEME.len() + domain.len() })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Error of parsing a [`SpiffeId`] or a [`SpiffeTrustDomain`].
///
/// ```
/// use tower_mtls::certificate::{SpiffeId, SpiffeIdParseError};
///
/// let error: SpiffeIdParseError = "spiffe://Contoso.com/orders".parse::<SpiffeId>().unwrap_err();
/// assert!(error.to_string().starts_with("not a SPIFFE ID"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpiffeIdParseError;

impl fmt::Display for SpiffeIdParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a SPIFFE ID; write spiffe://trust-domain/path, lower-case, without query and empty segments",
        )
    }
}

impl std::error::Error for SpiffeIdParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_resemble_a_spiffe_id_are_errors() {
        for text in [
            "",
            "spiffe://",
            "spiffe:///orders",
            "SPIFFE://contoso.com/orders",
            "spiffe://Contoso.com/orders",
            "spiffe://contoso.com:443/orders",
            "spiffe://user@contoso.com/orders",
            "spiffe://contoso.com/",
            "spiffe://contoso.com/orders/",
            "spiffe://contoso.com//orders",
            "spiffe://contoso.com/./orders",
            "spiffe://contoso.com/../orders",
            "spiffe://contoso.com/orders?x",
            "spiffe://contoso.com/orders#x",
            "spiffe://contoso.com/%6frders",
            "spiffe://contoso.com/ord\u{e9}rs",
            "https://contoso.com/orders",
        ] {
            assert!(text.parse::<SpiffeId>().is_err(), "{text}");
        }
        assert!("spiffe://contoso.com".parse::<SpiffeId>().is_ok());
        assert!(format!("spiffe://a/{}", "b".repeat(2_100)).parse::<SpiffeId>().is_err());
    }
}
