//! Parts of a configuration that its routes share.

use std::sync::Arc;

use super::{choice::KnownIdentities, deployment::Deployment, sections::SectionsByName, trust::Roots};
use crate::{
    config::Config,
    routing::{Client, Rates},
    store::CurrentStore,
};

/// Parts that routes share.
pub(super) struct RouteContext<'a> {
    pub(super) config: &'a Config,
    pub(super) roots: &'a SectionsByName<Roots>,
    pub(super) store: &'a Arc<CurrentStore>,
    pub(super) identities: &'a KnownIdentities,
    pub(super) deployment: &'a Deployment,
    pub(super) client: &'a Client,
    /// Rate limits of the routes without their own.
    pub(super) rate_limits: &'a Rates,
}
