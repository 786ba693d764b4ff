//! Log events and metrics of requests that a document responds to.

use http::Request;

use super::decision::{DocumentResponse, UNREADABLE};
use crate::{
    certificate::{Certificate, Presented},
    inbound::{Shortened, shortened_path},
    policy::{Rejection, RejectionKind},
    request::captured::captured,
};

/// The rejection for the extensions of the response; none for a status below 400.
pub(super) fn rejection_of(response: &DocumentResponse) -> Option<Rejection> {
    if !response.is_rejection() {
        return None;
    }
    Some(Rejection::new(match response.code() {
        Some("ClientCertificateNotFound") => RejectionKind::Missing,
        Some("ClientCertificateNotYetValid") => RejectionKind::NotYetValid,
        Some("ClientCertificateExpired") => RejectionKind::Expired,
        Some("ClientCertificateNotTrusted") => RejectionKind::NotTrusted,
        Some(UNREADABLE) => RejectionKind::Unreadable,
        Some("ExpressionValueEvaluationFailure") => RejectionKind::Undecidable,
        _ => RejectionKind::Document,
    }))
}

/// Logs a response, and counts it if it is a rejection.
#[cold]
pub(super) fn response_sent<B>(response: &DocumentResponse, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    if let Some(rejection) = rejection_of(response) {
        metrics::counter!("tower_mtls_requests_refused_total", "reason" => rejection.kind().as_str())
            .increment(1);
    }
    event("request answered by its policy document", response, request);
}

/// Logs and counts a withheld rejection.
#[cold]
pub(super) fn response_withheld<B>(response: &DocumentResponse, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    if let Some(rejection) = rejection_of(response) {
        metrics::counter!("tower_mtls_requests_shadow_refused_total", "reason" => rejection.kind().as_str())
            .increment(1);
    }
    event("request would be refused by its policy document", response, request);
}

fn event<B>(message: &str, response: &DocumentResponse, request: &Request<B>) {
    let (presented, remote) = match captured(request.extensions()) {
        Some((presented, remote)) => (Some(presented), remote),
        None => (None, None),
    };
    let certificate = match presented {
        Some(Presented::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let (element, line, column) = response.element();
    tracing::info!(
        reason = rejection_of(response).map(|rejection| rejection.kind().as_str()),
        status = response.status().as_u16(),
        element,
        line,
        column,
        code = response.code(),
        chain = response.chain_failure(),
        method = %Shortened(request.method()),
        // Without the query, which may contain secrets.
        path = &*shortened_path(request.uri().path()),
        remote = remote.map(tracing::field::display),
        subject = certificate.map(|certificate| tracing::field::display(Shortened(certificate.subject()))),
        issuer = certificate.map(|certificate| tracing::field::display(Shortened(certificate.issuer()))),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        // In the form that documents compare.
        thumbprint_sha1 = certificate.map(Certificate::dotnet_thumbprint),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "{message}: {}",
        Shortened(if response.message().is_empty() { element } else { response.message() })
    );
}
