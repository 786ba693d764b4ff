use std::{fmt, str::FromStr};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Base URL of an upstream: scheme, authority, and the path that replaces a route's prefix.
///
/// ```
/// use tower_mtls::Upstream;
///
/// let upstream: Upstream = "https://orders.internal:9444/api/".parse()?;
/// assert_eq!(upstream.authority(), "orders.internal:9444");
/// assert_eq!(upstream.to_string(), "https://orders.internal:9444/api");
/// assert!("orders.internal".parse::<Upstream>().is_err());
/// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    scheme: Scheme,
    authority: Authority,
    /// Without a `/` at its end; empty for the root.
    path: Box<str>,
}

impl Upstream {
    /// The host, and the port if it has one.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    fn from_parts(parts: http::uri::Parts) -> Result<Self, UpstreamParseError> {
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(UpstreamParseError);
        };
        let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !known || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(UpstreamParseError);
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(UpstreamParseError);
        }
        let path = path.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').into();
        Ok(Self { scheme, authority, path })
    }

    /// The URI of a request for `requested`, whose path after the route's prefix is `rest` (empty, or starting with `/`).
    pub(super) fn uri(&self, requested: &Uri, rest: &str) -> Option<Uri> {
        let is_same_path = requested.path().strip_suffix(rest) == Some(&*self.path);
        let path = match requested.path_and_query() {
            Some(path) if is_same_path => path.clone(),
            _ => self.path_and_query(rest, requested.query())?,
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }

    fn path_and_query(&self, rest: &str, query: Option<&str>) -> Option<PathAndQuery> {
        let mut path = String::with_capacity(self.path.len() + rest.len() + query.map_or(0, str::len) + 2);
        path.push_str(&self.path);
        path.push_str(rest);
        if path.is_empty() {
            path.push('/');
        }
        if let Some(query) = query {
            path.push('?');
            path.push_str(query);
        }
        PathAndQuery::try_from(path).ok()
    }
}

/// The part of a path after a route's prefix: empty, or starting with `/`. None if the path does not have the prefix.
pub(super) fn without_prefix<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl FromStr for Upstream {
    type Err = UpstreamParseError;

    /// # Errors
    ///
    /// The text is not an absolute `http` or `https` URI, or has user information, a query or a fragment.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('#') {
            return Err(UpstreamParseError);
        }
        let uri: Uri = text.parse().map_err(|_| UpstreamParseError)?;
        Self::from_parts(uri.into_parts())
    }
}

/// Converts like parsing the text.
impl TryFrom<&Uri> for Upstream {
    type Error = UpstreamParseError;

    fn try_from(uri: &Uri) -> Result<Self, UpstreamParseError> {
        Self::from_parts(uri.clone().into_parts())
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// Error of parsing an [`Upstream`].
///
/// ```
/// use tower_mtls::proxy::{Upstream, UpstreamParseError};
///
/// let error: UpstreamParseError = "https://orders.internal/?x".parse::<Upstream>().unwrap_err();
/// assert!(error.to_string().starts_with("not an upstream; write https://host:port/path"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamParseError;

impl fmt::Display for UpstreamParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not an upstream; write https://host:port/path, without user information, query and fragment",
        )
    }
}

impl std::error::Error for UpstreamParseError {}
