use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{
    Upstream, UpstreamParseError,
    headers::{is_settable, remove_folded},
};
use crate::request::claims::folded;

/// Request extension: another upstream, and header fields, for one request.
///
/// Inserted into a request's extensions by a layer outside [`ReverseProxy`](super::ReverseProxy), which removes it.
/// Extensions are not sent over the network, so clients cannot set one.
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
/// assert!(request.extensions().get::<Rewrite>().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    upstream: Option<Result<Upstream, UpstreamParseError>>,
    headers: Vec<(HeaderName, Vec<HeaderValue>)>,
}

impl Rewrite {
    /// A rewrite that changes nothing.
    ///
    /// ```
    /// use tower_mtls::proxy::Rewrite;
    ///
    /// let rewrite = Rewrite::new().upstream("https://orders-west.internal".parse()?);
    /// # drop(rewrite);
    /// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends the request to `upstream` instead of the route's: its path replaces the route's prefix. Trust and identity
    /// remain those of the route.
    #[must_use]
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(Ok(upstream));
        self
    }

    /// As [`upstream`](Self::upstream). With a URI that is not an upstream, the request is not sent, not even to the
    /// route's upstream.
    #[cfg(feature = "apim")]
    pub(crate) fn base_url(mut self, uri: &Uri) -> Self {
        self.upstream = Some(Upstream::try_from(uri));
        self
    }

    /// Sets a header to these values, or removes it if there are none, after the client's claims are removed. Replaces the
    /// client's fields and trailers with the same name, ignoring punctuation, which many servers do not distinguish.
    ///
    /// No effect on `Host` and on fields that frame a message or belong to a connection.
    #[must_use]
    pub fn header(mut self, name: HeaderName, values: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.headers.push((name, values.into_iter().collect()));
        self
    }

    /// The URI for a request, whose path after the prefix is `rest`, or None if there is none; `route` is the route's
    /// upstream.
    pub(super) fn uri(&self, route: &Upstream, requested: &Uri, rest: &str) -> Option<Uri> {
        match &self.upstream {
            Some(upstream) => upstream.as_ref().ok()?.uri(requested, rest),
            None => route.uri(requested, rest),
        }
    }

    /// Sets the headers. Returns their names, folded.
    pub(super) fn set(self, headers: &mut HeaderMap) -> Vec<String> {
        let changes: Vec<_> = self.headers.into_iter().filter(|(name, _)| is_settable(name)).collect();
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
