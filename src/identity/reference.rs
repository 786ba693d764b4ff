use crate::shared::{Shared, sealed::Sealed};
use std::{collections::HashMap, fmt, sync::Arc};

use super::ClientIdentity;
use crate::certificate::Thumbprint;

/// Reference to an identity, in a configuration, a policy document or a choice by request.
///
/// ```
/// use tower_mtls::identity::IdentityReference;
///
/// assert_eq!(IdentityReference::name("orders").to_string(), "name \"orders\"");
/// assert_ne!(IdentityReference::name("orders"), IdentityReference::id("orders"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityReference {
    /// The configured name.
    Name(Arc<str>),
    /// The id of its certificate in a store.
    Id(Arc<str>),
    /// The SHA-1 or SHA-256 thumbprint of its certificate.
    Thumbprint(Thumbprint),
}

impl IdentityReference {
    /// A reference by name.
    ///
    /// ```
    /// use tower_mtls::identity::IdentityReference;
    ///
    /// assert_eq!(IdentityReference::name("orders"), IdentityReference::Name("orders".into()));
    /// ```
    pub fn name(name: impl Into<Arc<str>>) -> Self {
        Self::Name(name.into())
    }

    /// A reference by the id of a certificate in a store.
    ///
    /// ```
    /// use tower_mtls::identity::IdentityReference;
    ///
    /// assert_eq!(IdentityReference::id("orders").to_string(), "certificate id \"orders\"");
    /// ```
    pub fn id(id: impl Into<Arc<str>>) -> Self {
        Self::Id(id.into())
    }
}

impl From<Thumbprint> for IdentityReference {
    fn from(thumbprint: Thumbprint) -> Self {
        Self::Thumbprint(thumbprint)
    }
}

impl fmt::Display for IdentityReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "name {name:?}"),
            Self::Id(id) => write!(f, "certificate id {id:?}"),
            Self::Thumbprint(thumbprint) => write!(f, "thumbprint {thumbprint}"),
        }
    }
}

/// Looks up identities by reference.
///
/// Called on every request, so it must not block: fill a snapshot (such as [`Shared<Identities>`](crate::Shared)) from
/// remote sources in the background.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let orders = ClientIdentity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
/// use tower_mtls::{ClientIdentity, identity::{IdentityReference, ResolveIdentity}};
///
/// /// The only identity of a service.
/// struct Only(ClientIdentity);
///
/// impl ResolveIdentity for Only {
///     fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
///         (*reference == IdentityReference::name("orders")).then(|| self.0.clone())
///     }
/// }
///
/// let only = Only(orders);
/// assert!(only.resolve(&IdentityReference::name("orders")).is_some());
/// assert!(only.resolve(&IdentityReference::name("billing")).is_none());
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
pub trait ResolveIdentity: Send + Sync {
    /// Returns the current identity; None if it does not exist, and then nothing is sent.
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity>;
}

/// Identities by name, certificate id and thumbprint.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::{ClientIdentity, identity::{Identities, IdentityReference, ResolveIdentity}};
///
/// let orders = ClientIdentity::from_pem(chain, key)?;
/// let mut identities = Identities::new();
/// identities.insert(IdentityReference::name("orders"), orders.clone());
///
/// let thumbprint = orders.certificate().sha1_thumbprint();
/// assert!(identities.resolve(&thumbprint.into()).is_some_and(|found| found.ptr_eq(&orders)));
/// assert!(identities.resolve(&IdentityReference::name("billing")).is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Identities(HashMap<IdentityReference, ClientIdentity>);

impl Identities {
    /// Creates an empty set.
    ///
    /// ```
    /// use tower_mtls::identity::{Identities, IdentityReference, ResolveIdentity};
    ///
    /// assert!(Identities::new().resolve(&IdentityReference::name("orders")).is_none());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identity under a reference, and under both thumbprints of its certificate. The last
    /// identity under a name or id counts, the first under a thumbprint.
    pub fn insert(&mut self, reference: IdentityReference, identity: ClientIdentity) {
        let certificate = identity.certificate();
        for thumbprint in [certificate.sha1_thumbprint(), certificate.sha256_thumbprint()] {
            self.0.entry(thumbprint.into()).or_insert_with(|| identity.clone());
        }
        self.0.insert(reference, identity);
    }
}

impl ResolveIdentity for Identities {
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        self.0.get(reference).cloned()
    }
}

impl Sealed for Identities {}

impl ResolveIdentity for Shared<Identities> {
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        self.load().resolve(reference)
    }
}

impl<T: ResolveIdentity + ?Sized> ResolveIdentity for Arc<T> {
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        (**self).resolve(reference)
    }
}
