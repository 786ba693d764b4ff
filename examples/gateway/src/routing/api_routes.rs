//! Routes of the store's APIs.

use std::{collections::BTreeMap, sync::Arc};

use super::route::Route;
use crate::store::{CertificateUse, Id, ItemError};

/// The routes of all APIs, and the problems of those that have none.
#[derive(Debug, Default)]
pub(crate) struct ApiRoutes {
    /// By API, with its path. None if the API cannot be served: no other route takes its requests.
    pub(crate) routes: BTreeMap<Id, (String, Option<Arc<Route>>)>,
    pub(crate) broken: Vec<ItemError>,
    /// References to certificates.
    pub(crate) uses: Vec<CertificateUse>,
    /// Backends, each with the policy that refers to it.
    pub(crate) backend_users: Vec<(String, String)>,
}
