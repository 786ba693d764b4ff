//! What an identity is chosen by, for the log.

use http::{HeaderName, HeaderValue, Request};
use tower_mtls::{Presented, danger::presented};

use crate::config::Claim;

/// How much of a value is told, in characters.
const MOST: usize = 64;

/// What is looked at to choose a request's identity.
#[derive(Debug, Clone)]
pub(crate) enum IdentitySelector {
    Header(HeaderName),
    Claim(Claim),
}

/// What there was to look at.
pub(super) enum SelectorValue {
    Header(HeaderName, Vec<HeaderValue>),
    Claim(Claim, Option<Presented>),
}

impl IdentitySelector {
    /// Lets through only the very header: to some upstreams `X_Tenant` is the same as `X-Tenant`.
    pub(super) fn prepare<B>(&self, request: &mut Request<B>) -> SelectorValue {
        match self {
            Self::Header(name) => {
                let headers = request.headers_mut();
                let others = headers.keys().filter(|other| *other != name && is_variant(other, name));
                for other in others.cloned().collect::<Vec<_>>() {
                    headers.remove(other);
                }
                SelectorValue::Header(name.clone(), headers.get_all(name).iter().cloned().collect())
            }
            Self::Claim(claim) => SelectorValue::Claim(*claim, presented(request.extensions()).cloned()),
        }
    }
}

/// Whether the names differ in case and punctuation only.
fn is_variant(one: &HeaderName, two: &HeaderName) -> bool {
    let plain = |octet: u8| if octet.is_ascii_alphanumeric() { octet } else { b'-' };
    let (one, two) = (one.as_str().bytes(), two.as_str().bytes());
    one.map(plain).eq(two.map(plain))
}

impl SelectorValue {
    pub(super) fn by(&self) -> &str {
        match self {
            Self::Header(name, _) => name.as_str(),
            Self::Claim(claim, _) => claim.as_str(),
        }
    }

    /// What was found, escaped and cut.
    pub(super) fn value(&self) -> String {
        let value = match self {
            Self::Header(_, values) => {
                let values =
                    values.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                values.collect::<Vec<_>>().join(", ")
            }
            Self::Claim(claim, Some(Presented::Certificate(certificate))) => claim.of(certificate),
            Self::Claim(..) => String::new(),
        };
        cut(&value)
    }
}

fn cut(value: &str) -> String {
    let mut cut: String = value.chars().take(MOST).flat_map(char::escape_debug).collect();
    if value.chars().nth(MOST).is_some() {
        cut.push_str("...");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_the_header_are_removed_and_the_rest_stays() {
        let mut request = Request::new(());
        for name in ["x-tenant", "x_tenant", "x.tenant", "x-tenants", "xtenant"] {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static("acme"));
        }
        let looked = IdentitySelector::Header(HeaderName::from_static("x-tenant")).prepare(&mut request);
        let mut left: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-tenant", "x-tenants", "xtenant"]);
        assert_eq!((looked.by(), looked.value().as_str()), ("x-tenant", "acme"));
    }

    #[test]
    fn what_is_told_is_escaped_and_short() {
        assert_eq!(cut("a\nb\u{1b}"), "a\\nb\\u{1b}");
        assert_eq!(cut(&"x".repeat(65)), "x".repeat(64) + "...");
    }
}
