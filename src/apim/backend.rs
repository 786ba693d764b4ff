use std::fmt;

use http::Uri;

use super::outcome::ChosenIdentity;

/// A backend that documents name by its id (`<set-backend-service backend-id="..." />`): where it is, and as whom it
/// is called.
///
/// What it has to prove is no part of it: see
/// [`ForwardingLayer::with_backend_trust`](super::ForwardingLayer::with_backend_trust) (feature `proxy`).
///
/// Handed to documents at load ([`DocumentBuilder::backend`](super::DocumentBuilder::backend)): one that changes
/// counts once the documents that name it are loaded again.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::apim::{Backend, ChosenIdentity, Document};
///
/// let orders = Backend::new("https://orders.internal/v2")?.with_identity(ChosenIdentity::Id("orders".into()));
/// let document = Document::builder()
///     .backend("orders", orders)
///     .load(r#"<set-backend-service backend-id="orders" />"#)?;
/// assert_eq!(document.summary().base_urls[0].0, "https://orders.internal/v2");
/// assert!(document.summary().chooses_backend && document.summary().chooses_identity);
///
/// let errors = Document::parse(r#"<set-backend-service backend-id="orders" />"#).unwrap_err();
/// assert_eq!(errors.to_string(), r#"1:22: no backend has the id "orders": none is known here"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Backend {
    base_url: Uri,
    identity: Option<ChosenIdentity>,
}

impl Backend {
    /// A backend below this URL, without an identity of its own: it is called as its route says.
    ///
    /// # Errors
    ///
    /// The URL is not `http://host/path` or `https://host/path`, or it has a user, a query, a fragment or a segment `.`
    /// or `..`.
    pub fn new(base_url: &str) -> Result<Self, BackendError> {
        match self::base_url(base_url.trim()) {
            Some(base_url) => Ok(Self { base_url, identity: None }),
            None => Err(BackendError(base_url.into())),
        }
    }

    /// As whom the backend is called, unless an `authentication-certificate` runs for the request. Over `http` no
    /// request with an identity is ever sent: [`Document::warnings`](super::Document::warnings) tells of documents
    /// that choose such a backend. Default: as its route says.
    #[must_use]
    pub fn with_identity(mut self, identity: ChosenIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The URL that requests are sent below.
    pub fn base_url(&self) -> &Uri {
        &self.base_url
    }

    /// The identity that belongs to the backend.
    pub fn identity(&self) -> Option<&ChosenIdentity> {
        self.identity.as_ref()
    }
}

/// A URL that no backend can have. Prints it, and what it would have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendError(String);

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no base URL: http://host/path or https://host/path, without user, query or fragment",
            self.0
        )
    }
}

impl std::error::Error for BackendError {}

/// A URL that requests can be sent below.
pub(crate) fn base_url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    // Where there is no port the whole authority is the host.
    let has_port = authority.as_str().len() > authority.host().len();
    let is_plain = matches!(uri.scheme_str(), Some("http" | "https"))
        && (!has_port || authority.port_u16().is_some_and(|port| port > 0))
        && !authority.as_str().contains('@')
        && !authority.host().is_empty()
        && uri.query().is_none()
        && !text.contains(['#', '\\'])
        && !uri.path().split('/').any(|segment| {
            let segment = segment.to_ascii_lowercase().replace("%2e", ".");
            segment == "." || segment == ".."
        });
    is_plain.then_some(uri)
}
