//! Requests in flight, judged again by the current snapshot.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, Uri, header};
use tower_mtls::{
    certificate::{Clock, Presented, SystemClock},
    proxy::NormalizedPath,
    remote_addr,
    serve::{CallerBody, recheck},
};

use super::{
    metrics,
    route::{Route, RouteFacts},
    snapshot::RoutingSnapshot,
};
use crate::{config::OnRevoked, log};

/// The parts of a request that decide about its admission, and its route.
pub(super) struct InFlight {
    snapshot: Arc<ArcSwap<RoutingSnapshot>>,
    /// With the normalized path.
    uri: Uri,
    /// The Host field.
    host: Option<HeaderValue>,
    remote: Option<SocketAddr>,
    facts: Arc<RouteFacts>,
    on_revoked: OnRevoked,
    /// True if the route judged the certificate.
    was_judged: bool,
    /// True once the request was rejected: its response is not cut.
    is_rejected: AtomicBool,
}

/// Judges a request of this route again until it ends, and cuts it once its caller would not be admitted.
///
/// The snapshot of its begin is not kept, only the current one.
pub(super) fn judge_again(
    snapshot: &Arc<ArcSwap<RoutingSnapshot>>,
    route: &Route,
    request: &Request<CallerBody>,
) -> Arc<InFlight> {
    let in_flight = Arc::new(InFlight {
        snapshot: snapshot.clone(),
        uri: request.uri().clone(),
        host: request.headers().get(header::HOST).cloned(),
        remote: remote_addr(request.extensions()),
        facts: route.facts.clone(),
        on_revoked: route.on_revoked,
        was_judged: route.policy.judges_certificates(),
        is_rejected: AtomicBool::new(false),
    });
    let judged = in_flight.clone();
    recheck(request.extensions(), move |presented| judged.is_admitted(presented));
    in_flight
}

impl InFlight {
    /// Records that the gateway or a layer responded in place of the upstream.
    pub(super) fn reject(&self) {
        self.is_rejected.store(true, Ordering::Relaxed);
    }

    fn is_admitted(&self, presented: &Presented) -> bool {
        if self.is_rejected.load(Ordering::Relaxed) {
            return true;
        }
        match self.judge(&self.snapshot.load(), presented) {
            Ok(()) => true,
            Err(reason) => {
                self.report(reason, presented);
                metrics::cut(reason);
                false
            }
        }
    }

    /// Judges the request as one that begins now. The error is the reason for its end.
    fn judge(&self, snapshot: &RoutingSnapshot, presented: &Presented) -> Result<(), &'static str> {
        let host = self.uri.authority().map(|authority| authority.as_str());
        let host = host.or_else(|| self.host.as_ref()?.to_str().ok());
        let path = NormalizedPath::parse(self.uri.path()).map_err(|_| "ambiguous_path")?;
        let found = snapshot.find(host, &path).map_err(|error| error.code());
        if found.as_ref().map_or(self.on_revoked, |route| route.on_revoked) == OnRevoked::Finish {
            return Ok(());
        }
        let (route, now) = (found?, SystemClock.now());
        let required = snapshot.file.handshake_rule.judge_at(Some(presented), now);
        let judged = required.and_then(|()| match route.is_shadow {
            true => Ok(()),
            false => route.policy.judge_again(self.was_judged, presented, now),
        });
        judged.map_err(|kind| kind.as_str())
    }

    #[cold]
    fn report(&self, reason: &'static str, presented: &Presented) {
        let certificate = match presented {
            Presented::Certificate(certificate) => Some(certificate),
            _ => None,
        };
        let RouteFacts { path: route, upstream, .. } = &*self.facts;
        tracing::info!(
            reason,
            route,
            upstream,
            path = &*log::cut(self.uri.path()),
            remote = self.remote.map(tracing::field::display),
            thumbprint =
                certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
            not_after =
                certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
            "request in flight cut: its caller would not be admitted any more (on_revoked)"
        );
    }
}
