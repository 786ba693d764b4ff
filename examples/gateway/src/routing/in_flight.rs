//! Requests in flight, judged again by the current snapshot.

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, Uri, header};
use tower::{Layer, Service};
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
#[derive(Clone)]
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
}

/// Prepares a request of this route for [`JudgedAgain`].
///
/// The snapshot of its begin is not kept, only the current one.
pub(super) fn prepare(
    snapshot: &Arc<ArcSwap<RoutingSnapshot>>,
    route: &Route,
    request: &mut Request<CallerBody>,
) {
    let in_flight = InFlight {
        snapshot: snapshot.clone(),
        uri: request.uri().clone(),
        host: request.headers().get(header::HOST).cloned(),
        remote: remote_addr(request.extensions()),
        facts: route.facts.clone(),
        on_revoked: route.on_revoked,
        was_judged: route.policy.judges_certificates(),
    };
    request.extensions_mut().insert(in_flight);
}

/// Layer of [`JudgedAgain`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgeAgainLayer;

impl<S> Layer<S> for JudgeAgainLayer {
    type Service = JudgedAgain<S>;

    fn layer(&self, inner: S) -> JudgedAgain<S> {
        JudgedAgain(inner)
    }
}

/// Service that judges requests again until they end, and cuts them once their caller would not be admitted. Must be inside
/// the layers that reject requests, so that no rejection is cut.
#[derive(Debug, Clone)]
pub(crate) struct JudgedAgain<S>(S);

impl<S: Service<Request<CallerBody>>> Service<Request<CallerBody>> for JudgedAgain<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<CallerBody>) -> Self::Future {
        if let Some(in_flight) = request.extensions_mut().remove::<InFlight>() {
            recheck(request.extensions(), move |presented| in_flight.is_admitted(presented));
        }
        self.0.call(request)
    }
}

impl InFlight {
    fn is_admitted(&self, presented: &Presented) -> bool {
        let judged = self.judge(&self.snapshot.load(), presented);
        judged
            .inspect_err(|reason| {
                self.report(reason, presented);
                metrics::cut(reason);
            })
            .is_ok()
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
