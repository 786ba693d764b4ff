use std::{fmt, sync::Arc};

use http::Uri;

use crate::certificate::Thumbprint;

/// A backend that documents name by its id (`<set-backend-service backend-id="..." />`): a base URL and an optional
/// identity.
///
/// Its trust is configured separately: see
/// [`ForwardingLayer::with_backend_trust`](super::ForwardingLayer::with_backend_trust) (feature `proxy`).
///
/// Compiled into documents at load ([`DocumentBuilder::add_backend`](super::DocumentBuilder::add_backend)); to change a
/// backend, load the documents that name it again.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::apim::{Backend, ChosenIdentity, Document};
///
/// let orders = Backend::new("https://orders.internal/v2")?.with_identity(ChosenIdentity::Id("orders".into()));
/// let document = Document::builder()
///     .add_backend("orders", orders)
///     .load(r#"<set-backend-service backend-id="orders" />"#)?;
/// assert_eq!(document.summary().base_urls[0].0, "https://orders.internal/v2");
/// assert!(document.summary().chooses_backend && document.summary().chooses_identity);
///
/// let errors = Document::parse(r#"<set-backend-service backend-id="orders" />"#).unwrap_err();
/// assert_eq!(errors.to_string(), r#"1:22: no backend has the id "orders"; no backends are configured"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Backend {
    base_url: Uri,
    identity: Option<ChosenIdentity>,
}

impl Backend {
    /// Creates a backend with this base URL and the identity of the route.
    ///
    /// # Errors
    ///
    /// 1. The URL is not `http://host/path` or `https://host/path`;
    /// 2. it has a user, a query, a fragment, or a segment `.` or `..`.
    ///
    /// ```
    /// use tower_mtls::apim::Backend;
    ///
    /// assert_eq!(Backend::new("https://orders.internal/v2")?.base_url(), "https://orders.internal/v2");
    /// assert!(Backend::new("https://orders.internal/?q").is_err()); // a query
    /// # Ok::<(), tower_mtls::apim::BackendError>(())
    /// ```
    pub fn new(base_url: &str) -> Result<Self, BackendError> {
        let invalid = || BackendError(base_url.into());
        Ok(Self { base_url: self::base_url(base_url.trim()).ok_or_else(invalid)?, identity: None })
    }

    /// Sets the identity for calls to this backend. An `authentication-certificate` that runs takes precedence. A request
    /// with an identity is never sent over `http`: [`Document::warnings`](super::Document::warnings) reports documents
    /// that choose such a backend. Default: the identity of the route.
    #[must_use]
    pub fn with_identity(mut self, identity: ChosenIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The base URL.
    pub fn base_url(&self) -> &Uri {
        &self.base_url
    }

    /// The identity of the backend.
    pub fn identity(&self) -> Option<&ChosenIdentity> {
        self.identity.as_ref()
    }
}

/// An identity that a document chooses for calls to the backend. See [`Forwarding`](super::Forwarding) for an example.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::apim::ChosenIdentity;
///
/// let id = ChosenIdentity::Id("orders".into());
/// assert_eq!(id.to_string(), "the certificate with the id orders");
///
/// let thumbprint = ChosenIdentity::Thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?);
/// assert!(thumbprint.to_string().ends_with("CA06F56B258B7A0D4F2B05470939478651151984"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChosenIdentity {
    /// The id of a certificate of the deployment (`certificate-id`), resolved when the backend is called. If the id is
    /// unknown then, the backend must not be called.
    Id(Arc<str>),
    /// The SHA-1 thumbprint of a certificate of the deployment.
    Thumbprint(Thumbprint),
    /// A certificate and key contained in the document (`body`).
    #[cfg(feature = "identity")]
    Embedded(crate::identity::ClientIdentity),
}

/// Prints, for example, `the certificate with the id orders`. Never prints a key.
impl fmt::Display for ChosenIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => {
                // The id may depend on input of the caller: escaped and truncated for logs.
                let printed: String = id.chars().take(64).collect();
                write!(f, "the certificate with the id {}", printed.escape_debug())
            }
            Self::Thumbprint(thumbprint) => write!(f, "the certificate with the thumbprint {thumbprint}"),
            #[cfg(feature = "identity")]
            Self::Embedded(identity) => {
                write!(f, "{}, from the document", identity.certificate().subject())
            }
        }
    }
}

/// An invalid base URL. Prints the URL and the expected form.
///
/// ```
/// use tower_mtls::apim::Backend;
///
/// let error = Backend::new("ftp://orders.internal").unwrap_err();
/// assert!(error.to_string().starts_with(r#"invalid base URL "ftp://orders.internal""#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendError(String);

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid base URL {:?}; use http://host/path or https://host/path without user, query or fragment",
            self.0
        )
    }
}

impl std::error::Error for BackendError {}

/// Parses a base URL.
pub(crate) fn base_url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    // Without a port the host is the whole authority.
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
