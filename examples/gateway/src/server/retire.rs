//! Retirement of identities, trust and clients that a new configuration no longer contains.

use std::sync::Arc;

use crate::{build::ApiBuilder, routing::FileRoutes};

/// Retires the configuration that was replaced. No further request starts with it.
///
/// Connections under identities and upstream trusts that only `old` contains finish their requests, and are closed after
/// the drain timeout at the latest. Values that both contain keep their connections.
pub(super) fn retire(
    (old, old_builder): (&FileRoutes, &ApiBuilder),
    (new, new_builder): (&FileRoutes, &ApiBuilder),
) {
    // Another client does not use the connections of the old one.
    if !old.client.ptr_eq(&new.client) {
        old.client.retire_all();
        return;
    }
    // The name is part of an identity.
    for (name, identity) in &old.identities {
        if new.identities.get(name).is_none_or(|kept| !kept.ptr_eq(identity)) {
            old.client.retire_identity(identity);
        }
    }
    let (trust, kept) = (&old_builder.upstream_trust, &new_builder.upstream_trust);
    if !Arc::ptr_eq(trust, kept) {
        trust.built().iter().for_each(|trust| old.client.retire_trust(trust));
    }
    for (settings, trust) in &old.trusts {
        if new.trusts.get(settings).is_none_or(|kept| !kept.ptr_eq(trust)) {
            old.client.retire_trust(trust);
        }
    }
}
