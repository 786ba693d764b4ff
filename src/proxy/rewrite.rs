use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{
    Upstream, UpstreamParseError,
    headers::{is_free, remove_folded},
};
use crate::claims::folded;

/// What one request differs in from its route: another upstream, and headers of the gateway's own.
///
/// Put into a request's extensions by a layer outside of [`ReverseProxy`](super::ReverseProxy), which takes it out
/// again. Extensions do not travel over the wire, so no caller sets one; whoever does decides, as the route does,
/// where the request goes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{HeaderName, HeaderValue, Request};
/// use tower_mtls::proxy::Rewrite;
///
/// let mut request = Request::get("/orders/42").body(())?;
/// let rewrite = Rewrite::new()
///     .upstream("https://orders-west.internal/api".parse()?)
///     .header(HeaderName::from_static("x-client-cert-subject"), [HeaderValue::from_static("CN=orders-client")]);
/// request.extensions_mut().insert(rewrite);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    upstream: Option<Result<Upstream, UpstreamParseError>>,
    headers: Vec<(HeaderName, Vec<HeaderValue>)>,
}

impl Rewrite {
    /// Nothing differs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the request below `upstream` instead of the route's: its path replaces the route's prefix as the
    /// route's upstream does. Trust and identity stay those of the route.
    #[must_use]
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(Ok(upstream));
        self
    }

    /// As [`upstream`](Self::upstream). A URI that is no upstream is not sent anywhere, not even to the route's.
    #[cfg(feature = "apim")]
    pub(crate) fn base_url(mut self, uri: &Uri) -> Self {
        self.upstream = Some(Upstream::try_from(uri));
        self
    }

    /// Sets a header to these values, or removes it if there are none, after everything that a caller could have
    /// claimed by headers was removed; also what the caller wrote by the same name with other punctuation, which
    /// many servers do not tell apart, and in trailers.
    ///
    /// Without effect on `Host` and on fields that frame a message or belong to a connection.
    #[must_use]
    pub fn header(mut self, name: HeaderName, values: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.headers.push((name, values.into_iter().collect()));
        self
    }

    /// The URI of a request for what follows the prefix, or None if there is none; `route` is the route's upstream.
    pub(super) fn uri(&self, route: &Upstream, rest: &str, query: Option<&str>) -> Option<Uri> {
        match &self.upstream {
            Some(upstream) => upstream.as_ref().ok()?.uri(rest, query),
            None => route.uri(rest, query),
        }
    }

    /// Sets the headers. Returns their names, folded.
    pub(super) fn set(self, headers: &mut HeaderMap) -> Vec<String> {
        let changes: Vec<_> = self.headers.into_iter().filter(|(name, _)| is_free(name)).collect();
        let changed: Vec<String> = changes.iter().map(|(name, _)| folded(name.as_str())).collect();
        remove_folded(headers, &changed);
        for (name, values) in changes {
            for value in values {
                headers.append(name.clone(), value);
            }
        }
        changed
    }
}
