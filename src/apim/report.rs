//! What operators are told of requests that a document answers.

use http::Request;

use super::outcome::Answer;
use crate::{
    certificate::Presented,
    inbound::{Cut, captured},
    policy::{Rejection, RejectionKind},
};

/// The rejection that an answer is, for code that asks responses; none if the document answers with success.
pub(super) fn rejection_of(answer: &Answer) -> Option<Rejection> {
    if answer.status().as_u16() < 400 {
        return None;
    }
    Some(Rejection::new(match answer.code() {
        Some("ClientCertificateNotFound") => RejectionKind::Missing,
        Some("ClientCertificateNotYetValid") => RejectionKind::NotYetValid,
        Some("ClientCertificateExpired") => RejectionKind::Expired,
        Some("ClientCertificateNotTrusted") => RejectionKind::NotTrusted,
        Some("ExpressionValueEvaluationFailure") => RejectionKind::Undecidable,
        _ => RejectionKind::Custom,
    }))
}

/// An event for every answer, and a counter for refusals.
#[cold]
pub(super) fn answered<B>(answer: &Answer, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    if let Some(rejection) = rejection_of(answer) {
        metrics::counter!("tower_mtls_requests_refused_total", "reason" => rejection.kind().as_str())
            .increment(1);
    }
    let (presented, remote) = match captured(request.extensions()) {
        Some((presented, remote)) => (Some(presented), remote),
        None => (None, None),
    };
    let certificate = match presented {
        Some(Presented::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let (element, line, column) = answer.element();
    tracing::info!(
        status = answer.status().as_u16(),
        element,
        line,
        column,
        code = answer.code(),
        method = %request.method(),
        // Without the query, which may hold secrets.
        path = request.uri().path(),
        remote = remote.map(tracing::field::display),
        subject = certificate.map(|certificate| tracing::field::display(Cut(certificate.subject()))),
        issuer = certificate.map(|certificate| tracing::field::display(Cut(certificate.issuer()))),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "request answered by its policy document: {}",
        if answer.message().is_empty() { element } else { answer.message() }
    );
}
