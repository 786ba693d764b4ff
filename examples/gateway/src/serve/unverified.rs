//! Certificates that a route admits without a proof (`allow_unanchored`): counted and logged.

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
use tower_mtls::{Verification, admitted, remote_addr, verification};

const UNVERIFIED: &str = "gateway_unverified_certificates_total";

/// Layer of [`Unverified`].
#[derive(Debug, Clone)]
pub(crate) struct UnverifiedLayer(Option<Arc<Record>>);

impl UnverifiedLayer {
    /// For the route of this host, empty if any, and this path; `is_anchored` says whether it demands a proof.
    pub(crate) fn new(is_anchored: bool, host: &str, path: &str) -> Self {
        let record = || {
            let route = format!("{host}{path}");
            let admitted = counter!(UNVERIFIED, "route" => route.clone());
            Arc::new(Record { route, admitted, logged: AtomicU64::new(0) })
        };
        Self((!is_anchored).then(record))
    }
}

impl<S> Layer<S> for UnverifiedLayer {
    type Service = Unverified<S>;

    fn layer(&self, inner: S) -> Unverified<S> {
        Unverified { inner, record: self.0.clone() }
    }
}

/// Service that records requests of which a certificate was admitted without a proof. Goes inside the layer that admits.
#[derive(Debug, Clone)]
pub(crate) struct Unverified<S> {
    inner: S,
    /// None: the route demands a proof.
    record: Option<Arc<Record>>,
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
        if let Some(record) = &self.record {
            record.see(request.extensions());
        }
        self.inner.call(request)
    }
}

struct Record {
    route: String,
    admitted: Counter,
    /// The second of the last line in the log.
    logged: AtomicU64,
}

impl Record {
    fn see(&self, extensions: &Extensions) {
        if verification(extensions) != Some(Verification::Unproven) {
            return;
        }
        self.admitted.increment(1);
        if !self.is_due() {
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

    /// At most one line a second: callers make as many certificates and requests as they like.
    fn is_due(&self) -> bool {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let second = START.elapsed().as_secs() + 1;
        self.logged.load(Ordering::Relaxed) != second && self.logged.swap(second, Ordering::Relaxed) != second
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("route", &self.route).finish_non_exhaustive()
    }
}
