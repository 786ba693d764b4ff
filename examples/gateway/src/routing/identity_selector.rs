//! Selectors of per-request identities, and their values for the log.

use http::{HeaderName, HeaderValue, Request};
use tower_mtls::{certificate::Presented, danger::presented};

use crate::{config::Claim, log};

/// Maximum length of a logged value, in bytes.
const MAX_VALUE: usize = 64;

/// Source of the value that selects a request's identity.
#[derive(Debug, Clone)]
pub(crate) enum IdentitySelector {
    Header(HeaderName),
    Claim(Claim),
}

/// Value of a selector in one request.
pub(super) enum SelectorValue {
    Header(HeaderName, Vec<HeaderValue>),
    Claim(Claim, Option<Presented>),
}

impl IdentitySelector {
    /// Captures the value, and removes header variants: some upstreams treat `X_Tenant` as `X-Tenant`.
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

/// Returns true if the names differ in case and punctuation only.
fn is_variant(one: &HeaderName, two: &HeaderName) -> bool {
    let canonical = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    let (one, two) = (one.as_str().bytes(), two.as_str().bytes());
    one.map(canonical).eq(two.map(canonical))
}

impl SelectorValue {
    pub(super) fn by(&self) -> &str {
        match self {
            Self::Header(name, _) => name.as_str(),
            Self::Claim(claim, _) => claim.as_str(),
        }
    }

    /// Returns the value, escaped and truncated.
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
        log::cut_at(&value, MAX_VALUE).chars().flat_map(char::escape_debug).collect()
    }
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
        let selector_value =
            IdentitySelector::Header(HeaderName::from_static("x-tenant")).prepare(&mut request);
        let mut remaining: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        remaining.sort_unstable();
        assert_eq!(remaining, ["x-tenant", "x-tenants", "xtenant"]);
        assert_eq!((selector_value.by(), selector_value.value().as_str()), ("x-tenant", "acme"));
    }

    #[test]
    fn logged_value_is_escaped_and_truncated() {
        let logged = |value: &[u8]| {
            let values = vec![HeaderValue::from_bytes(value).unwrap()];
            SelectorValue::Header(HeaderName::from_static("x-tenant"), values).value()
        };
        assert_eq!(logged("a\tb\u{85}".as_bytes()), "a\\tb\\u{85}");
        assert_eq!(logged(&[b'x'; 64]), "x".repeat(64));
        assert_eq!(logged(&[b'x'; 65]), "x".repeat(64) + "...");
    }
}
