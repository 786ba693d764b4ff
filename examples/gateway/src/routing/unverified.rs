//! Counter and log of certificates that a route admits without verification (`allow_unanchored`).

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use http::{Extensions, Request};
use metrics::{Counter, counter};
use tower::{Layer, Service};
use tower_mtls::{admitted, policy::Verification, remote_addr, verification};

const UNVERIFIED: &str = "gateway_unverified_certificates_total";

/// Layer of [`Unverified`].
#[derive(Debug, Clone)]
pub(crate) struct UnverifiedLayer(Option<Arc<UnverifiedMetrics>>);

impl UnverifiedLayer {
    /// Creates the layer of a route. `host` is empty for a route without one. Nothing is recorded if `is_anchored`.
    pub(crate) fn new(is_anchored: bool, host: &str, path: &str) -> Self {
        let metrics = || {
            let route = format!("{host}{path}");
            let admitted = counter!(UNVERIFIED, "route" => route.clone());
            Arc::new(UnverifiedMetrics { route, admitted, logged: AtomicU64::new(0) })
        };
        Self((!is_anchored).then(metrics))
    }
}

impl<S> Layer<S> for UnverifiedLayer {
    type Service = Unverified<S>;

    fn layer(&self, inner: S) -> Unverified<S> {
        Unverified { inner, metrics: self.0.clone() }
    }
}

/// Service that records requests whose certificate was admitted without verification. Must be inside the admitting layer.
#[derive(Debug, Clone)]
pub(crate) struct Unverified<S> {
    inner: S,
    /// None: the route verifies certificates.
    metrics: Option<Arc<UnverifiedMetrics>>,
}

impl<S, B> Service<Request<B>> for Unverified<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(metrics) = &self.metrics {
            metrics.record(request.extensions());
        }
        self.inner.call(request)
    }
}

struct UnverifiedMetrics {
    route: String,
    admitted: Counter,
    /// Second of the last log line.
    logged: AtomicU64,
}

impl UnverifiedMetrics {
    fn record(&self, extensions: &Extensions) {
        if verification(extensions) != Some(Verification::Unproven) {
            return;
        }
        self.admitted.increment(1);
        if !self.is_log_due() {
            return;
        }
        let thumbprint =
            admitted(extensions).map(|certificate| tracing::field::display(certificate.sha256_thumbprint()));
        tracing::info!(
            verified = false,
            route = self.route,
            remote = remote_addr(extensions).map(tracing::field::display),
            thumbprint,
            "certificate admitted without a proof (allow_unanchored)"
        );
    }

    /// Returns true at most once a second: callers control the number of certificates and requests.
    fn is_log_due(&self) -> bool {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let second = START.elapsed().as_secs() + 1;
        self.logged.load(Ordering::Relaxed) != second && self.logged.swap(second, Ordering::Relaxed) != second
    }
}

impl fmt::Debug for UnverifiedMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedMetrics").field("route", &self.route).finish_non_exhaustive()
    }
}
