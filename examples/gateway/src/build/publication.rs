//! Identities and trust that requests look up at dispatch. They outlive configurations: a request that was routed by an
//! older one connects with the current values.

use std::collections::BTreeMap;

use tower_mtls::{
    ClientIdentity, Shared, UpstreamTrust,
    identity::{Identities, IdentityReference},
};

/// Values of a load that are published once its configuration is accepted.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(super) shared: Shared<Identities>,
    pub(super) trusts: Vec<(Shared<UpstreamTrust>, UpstreamTrust)>,
}

/// Identities by the names of the configuration.
type IdentitiesByName = BTreeMap<String, ClientIdentity>;

impl Publication {
    /// Publishes old and new names, before the new routes serve: requests of both find their names.
    pub(crate) fn begin(&self, old: &IdentitiesByName, new: &IdentitiesByName) {
        let leaving = old.iter().filter(|(name, _)| !new.contains_key(*name));
        self.shared.replace(referred(new.iter().chain(leaving)));
        for (shared, trust) in &self.trusts {
            if !shared.current().ptr_eq(trust) {
                shared.replace(trust.clone());
            }
        }
    }

    /// Removes the old names, once the new routes serve.
    pub(crate) fn finish(&self, new: &IdentitiesByName) {
        self.shared.replace(referred(new));
    }
}

/// Identities by name, and by their names as ids.
pub(super) fn referred<'a>(named: impl IntoIterator<Item = (&'a String, &'a ClientIdentity)>) -> Identities {
    let mut identities = Identities::new();
    for (name, identity) in named {
        identities.insert(IdentityReference::name(name.as_str()), identity.clone());
        identities.insert(IdentityReference::id(name.as_str()), identity.clone());
    }
    identities
}
