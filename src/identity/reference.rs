use crate::shared::{Shared, sealed::Sealed};
use std::{collections::HashMap, fmt, sync::Arc};

use super::ClientIdentity;
use crate::certificate::Thumbprint;

/// How an identity is referred to where it is not at hand: in a configuration, by a policy document, or by what
/// a request says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityReference {
    /// The name it was given.
    Name(Arc<str>),
    /// The id of its certificate in a store.
    Id(Arc<str>),
    /// The SHA-1 or SHA-256 thumbprint of its certificate.
    Thumbprint(Thumbprint),
}

impl IdentityReference {
    /// A reference by name.
    pub fn name(name: impl Into<Arc<str>>) -> Self {
        Self::Name(name.into())
    }

    /// A reference by the id of a certificate in a store.
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

/// Finds the identity that a reference means now.
///
/// Asked on every request, so it must not block: remote sources fill a snapshot (such as [`Shared<Identities>`](crate::Shared))
/// in the background, they are not asked on the way.
pub trait ResolveIdentity: Send + Sync {
    /// The identity; None if there is none by this reference, and then nothing is sent.
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity>;
}

/// Identities by name, certificate id and thumbprint: one snapshot, which does not change.
#[derive(Debug, Clone, Default)]
pub struct Identities(HashMap<IdentityReference, ClientIdentity>);

impl Identities {
    /// Without any identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identity under a reference, and under both thumbprints of its certificate. Of two under the same
    /// name or id the later counts, of two with the same thumbprint the first.
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
