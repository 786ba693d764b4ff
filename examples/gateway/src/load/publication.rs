//! What requests look up while they are being sent. It outlives configurations: a request that was dispatched under
//! an older one, and connects now, does so by what holds now.

use std::collections::BTreeMap;

use tower_mtls::{
    ClientIdentity, UpstreamTrust,
    identity::{Identities, IdentityReference, SharedIdentities},
    outbound::SharedUpstreamTrust,
};

/// What a load has to make known, which it does not do by itself: its configuration may come to nothing.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(super) shared: SharedIdentities,
    pub(super) trusts: Vec<(SharedUpstreamTrust, UpstreamTrust)>,
}

/// Identities by the names of the configuration.
type IdentitiesByName = BTreeMap<String, ClientIdentity>;

impl Publication {
    /// Before the new routes serve: no request, under the old routes or the new, misses a name.
    pub(crate) fn begin(&self, old: &IdentitiesByName, new: &IdentitiesByName) {
        let leaving = old.iter().filter(|(name, _)| !new.contains_key(*name));
        self.shared.replace(referred(new.iter().chain(leaving)));
        for (shared, trust) in &self.trusts {
            if !shared.current().ptr_eq(trust) {
                shared.replace(trust.clone());
            }
        }
    }

    /// Once they serve: names that are gone are known no longer.
    pub(crate) fn finish(&self, new: &IdentitiesByName) {
        self.shared.replace(referred(new));
    }
}

/// By name, and by their names as ids.
pub(super) fn referred<'a>(named: impl IntoIterator<Item = (&'a String, &'a ClientIdentity)>) -> Identities {
    let mut identities = Identities::new();
    for (name, identity) in named {
        identities.insert(IdentityReference::name(name.as_str()), identity.clone());
        identities.insert(IdentityReference::id(name.as_str()), identity.clone());
    }
    identities
}
