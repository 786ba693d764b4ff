//! The listener for callers, which serves the current routes, and the management listener.

use std::{convert::Infallible, io, num::NonZero, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use http::Request;
use tower::{ServiceExt, service_fn};
use tower_mtls::{ServerTls, Workers, serve::CallerBody};

use crate::{
    build::Endpoint,
    config::{Diagnostic, Limits, RequestLimits, Severity},
    edge::{self, ConnectionLimit, Listener},
    routing::{self, RoutingSnapshot},
};

/// Maximum idle timeout and body timeout of the management listener.
const MANAGEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Binds the listener for callers and serves the routes on it, on `workers` if there are any. `file` is the configuration
/// file, for the error.
pub(super) async fn bind(
    snapshot: &Arc<ArcSwap<RoutingSnapshot>>,
    endpoint: &Endpoint,
    limits: &Limits,
    workers: Option<&Workers>,
    file: &Path,
) -> Result<Listener, Diagnostic> {
    let snapshot = snapshot.clone();
    // Boxed: the layers outside move it several times, and an idle connection keeps room for one.
    let service = service_fn(move |request: Request<CallerBody>| {
        let snapshot = snapshot.clone();
        Box::pin(async move { Ok::<_, Infallible>(routing::respond(&snapshot, request).await) })
    });
    let (address, tls) = (endpoint.address.value, endpoint.tls.clone());
    let limits = listener_limits(limits);
    let bound = Listener::bind("main", address, tls, &limits, workers, service).await;
    bound.map_err(|error| bind_error(endpoint, file, &error))
}

/// The management listener: health, metrics, REST API and portal. Its connections are on a thread of their own.
#[derive(Debug)]
pub(super) struct ManagementListener {
    pub(super) listener: Listener,
    router: Arc<ArcSwap<Router>>,
}

impl ManagementListener {
    /// Binds the listener and serves the router on it. `file` is the configuration file, for the error.
    pub(super) async fn bind(
        router: Router,
        endpoint: &Endpoint,
        limits: &Limits,
        file: &Path,
    ) -> Result<Self, Diagnostic> {
        let router = Arc::new(ArcSwap::from_pointee(router));
        let current = router.clone();
        let service = service_fn(move |request: Request<CallerBody>| {
            let router = Router::clone(&current.load());
            router.oneshot(request)
        });
        let (address, tls) = (endpoint.address.value, endpoint.tls.clone());
        let limits = management_limits(limits);
        // Large lists and filters must not delay callers.
        let bound = match Workers::start(NonZero::<usize>::MIN) {
            Ok(worker) => Listener::bind("management", address, tls, &limits, Some(&worker), service).await,
            Err(error) => Err(error),
        };
        let listener = bound.map_err(|error| bind_error(endpoint, file, &error))?;
        Ok(Self { listener, router })
    }

    /// Replaces router, TLS settings and limits from the next request and handshake on.
    pub(super) fn update(&self, router: Router, tls: ServerTls, limits: &Limits) {
        self.listener.update(tls, &management_limits(limits));
        self.router.store(Arc::new(router));
    }
}

/// Returns the limits of the listener for callers. Those that are not configured derive from the limit of open files.
pub(super) fn listener_limits(limits: &Limits) -> Limits {
    let default = edge::caller_limit();
    Limits {
        max_connections: limits.max_connections.or(Some(default.connections)),
        max_handshakes: limits.max_handshakes.or(Some(default.handshakes)),
        ..limits.clone()
    }
}

/// Returns the limits of the management listener: shorter timeouts, because it has fewer connections.
fn management_limits(limits: &Limits) -> Limits {
    let ConnectionLimit { connections, handshakes } = edge::management_limit();
    let idle_timeout = limits.idle_timeout.min(MANAGEMENT_TIMEOUT);
    let body_timeout = limits.request.body_timeout.unwrap_or(MANAGEMENT_TIMEOUT).min(MANAGEMENT_TIMEOUT);
    let RequestLimits { max_head_size, max_header_fields, max_target_size, .. } = RequestLimits::default();
    let request = RequestLimits {
        body_timeout: Some(body_timeout),
        max_head_size,
        max_header_fields,
        max_target_size,
        ..limits.request
    };
    Limits {
        idle_timeout,
        request,
        max_connections: Some(connections),
        max_handshakes: Some(handshakes),
        max_connections_per_address: None,
        max_handshakes_per_address: None,
        ..limits.clone()
    }
}

fn bind_error(endpoint: &Endpoint, file: &Path, error: &io::Error) -> Diagnostic {
    let address = &endpoint.address;
    let problem = format!("cannot listen on {}: {error}", address.value);
    let remedy = "choose another address, or stop the process that listens there";
    address.diagnostic(file, Severity::Error, problem, remedy)
}
