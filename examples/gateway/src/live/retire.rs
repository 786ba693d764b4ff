//! What becomes of what a new configuration no longer has.

use std::sync::Arc;

use crate::serve::RoutingSnapshot;

/// Lets go of the configuration that was replaced: no request starts with it any more.
///
/// Connections under identities and upstream trusts of `old` that `new` does not have finish what is in flight and
/// are cut off after the drain timeout; what both have are the very same values, and their connections go on.
pub(super) fn retire(old: &Arc<RoutingSnapshot>, new: &RoutingSnapshot) {
    let (old, new) = (&old.file, &new.file);
    // Its other settings are those of another client, which nobody reaches the old connections through.
    if !old.client.ptr_eq(&new.client) {
        old.client.retire_all();
        return;
    }
    for identity in old.identities.values() {
        if !new.identities.values().any(|kept| kept.ptr_eq(identity)) {
            old.client.retire_identity(identity);
        }
    }
    let (trust, kept) = (&old.api_context.upstream_trust, &new.api_context.upstream_trust);
    if !Arc::ptr_eq(trust, kept) {
        trust.made().iter().for_each(|trust| old.client.retire_trust(trust));
    }
    for trust in &old.trusts {
        if !new.trusts.iter().any(|kept| kept.ptr_eq(trust)) {
            old.client.retire_trust(trust);
        }
    }
}
