//! Checks of a new configuration against the open store.

use std::path::Path;

use crate::{
    build::ApiBuilder,
    config::{self, Diagnostic, Located, Severity},
    routing::{FileRoutes, RoutingSnapshot},
    store::CurrentStore,
};

/// Rejects a change of `[store]`, which takes effect at a start only.
pub(super) fn check_store_unchanged(
    open: Option<&Located<config::Store>>,
    store: Option<&Located<config::Store>>,
    file: &Path,
) -> Result<(), Diagnostic> {
    let paths =
        |store: &Located<config::Store>| [&store.path, &store.key_file].map(|path| path.resolved.clone());
    if open.map(paths) == store.map(paths) {
        return Ok(());
    }
    let (problem, remedy) = ("cannot change while the gateway serves", "restart the gateway");
    let first_line = || Located { value: (), line: 1, key: "store".into() };
    let location = store.or(open).map_or_else(first_line, |store| store.clone().map(drop));
    Err(location.diagnostic(file, Severity::Error, problem, remedy))
}

/// Rejects a configuration that hides an entry of the store, or breaks an API that is served.
pub(super) fn check_store_contents(
    snapshot: &RoutingSnapshot,
    published: &CurrentStore,
    file_routes: &FileRoutes,
    api_builder: &ApiBuilder,
    store: Option<&Located<config::Store>>,
    file: &Path,
) -> Result<(), Diagnostic> {
    let Some(store) = store else { return Ok(()) };
    check_hidden_entries(published, &snapshot.file, file_routes, store, file)?;
    file_routes.deployed.refresh(published);
    let built = api_builder.build(&published.settings());
    let Some(broken) = built.broken.iter().find(|broken| !snapshot.apis.broken.contains(broken)) else {
        return Ok(());
    };
    let problem = format!("{} could not be served any more: {broken}", broken.item);
    let remedy = "keep what it needs, or change it first through the management API";
    Err(store.diagnostic(file, Severity::Error, problem, remedy))
}

/// Rejects a new identity with the name of an entry of the store, which policies could no longer find.
fn check_hidden_entries(
    published: &CurrentStore,
    old: &FileRoutes,
    new: &FileRoutes,
    store: &Located<config::Store>,
    file: &Path,
) -> Result<(), Diagnostic> {
    let is_hidden = |name: &&String| published.has(name) && !old.identities.contains_key(*name);
    let Some(name) = new.identities.keys().find(is_hidden) else { return Ok(()) };
    let problem = format!(
        "an entry of the store has the name of [identities.{name}], which would hide it from policies"
    );
    let remedy = "rename the identity, or delete the entry first";
    Err(store.diagnostic(file, Severity::Error, problem, remedy))
}
