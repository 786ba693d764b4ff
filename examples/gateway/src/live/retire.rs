//! What becomes of what a new configuration no longer has.

use std::{collections::HashSet, sync::Arc};

use rustls::sign::CertifiedKey;
use tower_mtls::ClientIdentity;

use crate::serve::Site;

/// Lets go of the configuration that was replaced: no request starts with it any more.
///
/// Identities and back-end trusts of `old` that `new` does not have are out of use from here on; those that both have
/// are the very same values. Requests in flight hold what they need by themselves.
pub(super) fn retire(old: Arc<Site>, new: &Site) {
    let kept: HashSet<_> = new.identities.values().map(address_of).collect();
    let gone = old.identities.values().filter(|identity| !kept.contains(&address_of(identity)));
    tracing::debug!(identities = gone.count(), "retired");
}

/// Tells one identity from another, even of the same contents.
fn address_of(identity: &ClientIdentity) -> *const CertifiedKey {
    Arc::as_ptr(&identity.certified_key())
}
