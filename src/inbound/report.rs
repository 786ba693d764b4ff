//! What operators are told of callers who are not admitted: an event and a counter each.

use http::Request;

use super::capture::Captured;
use crate::{
    certificate::Presented,
    policy::{Rejection, RejectionKind},
};

#[cold]
pub(super) fn refused<B>(rejection: Rejection, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_mtls_requests_refused_total", "reason" => rejection.kind().as_str())
        .increment(1);
    if rejection.kind() == RejectionKind::NotCaptured {
        tracing::error!(
            reason = rejection.kind().as_str(),
            method = %request.method(),
            path = request.uri().path(),
            "request refused with 500: no listener captured the caller's certificate; serve with MtlsListener and \
             capture(..)"
        );
        return;
    }
    event("request refused", rejection, request);
}

#[cold]
pub(super) fn would_refuse<B>(rejection: Rejection, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_mtls_requests_shadow_refused_total", "reason" => rejection.kind().as_str())
        .increment(1);
    event("request would be refused", rejection, request);
}

fn event<B>(what: &str, rejection: Rejection, request: &Request<B>) {
    let captured = request.extensions().get::<Captured>();
    let presented = captured.map(|captured| &captured.presented);
    let certificate = match presented {
        Some(Presented::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let error = match presented {
        Some(Presented::Unreadable(error)) => Some(error),
        _ => None,
    };
    tracing::info!(
        reason = rejection.kind().as_str(),
        method = %request.method(),
        // Without the query, which may hold secrets.
        path = request.uri().path(),
        remote = captured.and_then(|captured| captured.remote).map(tracing::field::display),
        subject = certificate.map(|certificate| tracing::field::display(certificate.subject())),
        issuer = certificate.map(|certificate| tracing::field::display(certificate.issuer())),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        error = error.map(tracing::field::display),
        "{what}: {rejection}"
    );
}
