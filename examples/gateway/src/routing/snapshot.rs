//! Routing snapshots: the routes of the configuration file and of the store's APIs, and their look-up.

use std::sync::Arc;

use http::{Method, Request};
use tower_mtls::proxy::NormalizedPath;

use super::{
    api_routes::ApiRoutes,
    error_response::RoutingError,
    file_routes::FileRoutes,
    head::{head_size, host, is_only_chunked, normalized_path, target_length},
    route::{Route, RouteFacts},
    table::RouteTable,
};
use crate::{edge::MAX_HEAD, store::CertificateUses};
use tower_mtls::serve::CallerBody;

/// Maximum length of a request's path and query, in bytes.
const MAX_TARGET: usize = 16 * 1024;

/// Routes of the configuration file and of the store's APIs. Immutable; replaced as a whole.
#[derive(Debug)]
pub(crate) struct RoutingSnapshot {
    pub(crate) file: Arc<FileRoutes>,
    pub(crate) apis: ApiRoutes,
    /// References to certificates of the store.
    pub(crate) uses: Arc<CertificateUses>,
    table: RouteTable,
    /// By position in the table. None: an API that cannot be served.
    routes: Vec<Option<Arc<Route>>>,
}

impl RoutingSnapshot {
    pub(crate) fn new(file: Arc<FileRoutes>, apis: ApiRoutes) -> Self {
        let file_routes = file.routes.iter().map(|route| {
            let RouteFacts { host, path, .. } = &*route.facts;
            ((host.clone(), path.clone()), Some(route.clone()))
        });
        let api_routes = apis.routes.values().map(|(path, route)| ((None, path.clone()), route.clone()));
        let (keys, routes): (Vec<_>, Vec<_>) = file_routes.chain(api_routes).unzip();
        let uses = Arc::new(CertificateUses::new(file.uses.iter().chain(&apis.uses).cloned().collect()));
        Self { table: RouteTable::new(keys), routes, uses, file, apis }
    }

    /// Returns all routes that can be served.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().flatten().map(|route| &**route)
    }

    /// Returns the route for this host and path.
    pub(crate) fn find(&self, host: Option<&str>, path: &NormalizedPath<'_>) -> Result<&Route, RoutingError> {
        let found = self.table.find(host, path.as_str());
        let is_same = |path: &NormalizedPath<'_>| self.table.find(host, path.as_str()) == found;
        // An upstream that ignores path parameters must see a path of the same route.
        let plain = path.has_parameters().then(|| path.without_parameters());
        if plain.as_ref().is_some_and(|plain| !is_same(plain)) {
            return Err(RoutingError::AmbiguousPath);
        }
        let index = found.ok_or(RoutingError::NoRoute)?;
        let route =
            self.routes.get(index).ok_or(RoutingError::NoRoute)?.as_deref().ok_or(RoutingError::BrokenApi)?;
        if path.has_empty_segments() {
            // The same for an upstream that merges empty segments.
            let mut paths = [Some(path), plain.as_ref()].into_iter().flatten();
            if !route.allow_empty_segments || !paths.all(|path| is_same(&path.without_empty_segments())) {
                return Err(RoutingError::AmbiguousPath);
            }
        }
        Ok(route)
    }

    /// Returns the route that replaces a route of another snapshot for this host and path.
    pub(crate) fn successor(&self, host: Option<&str>, path: &str) -> Option<&Route> {
        self.routes.get(self.table.find(host, path)?)?.as_deref()
    }

    /// Finds the route, and normalizes the request's path, so that rules, routing and upstream use the same path.
    pub(super) fn route(&self, request: &mut Request<CallerBody>) -> Result<&Route, RoutingError> {
        if request.method() == Method::CONNECT {
            return Err(RoutingError::Connect);
        }
        if target_length(request) > MAX_TARGET {
            return Err(RoutingError::TargetTooLong);
        }
        if head_size(request) > MAX_HEAD {
            return Err(RoutingError::HeadTooLarge);
        }
        if !is_only_chunked(request.headers()) {
            return Err(RoutingError::TransferCoding);
        }
        let normal = normalized_path(request.uri().path())?;
        let route = self.find(host(request)?, &normal)?;
        if normal.as_str() != request.uri().path() {
            *request.uri_mut() = normal.replace_in(request.uri()).ok_or(RoutingError::AmbiguousPath)?;
        }
        Ok(route)
    }
}
