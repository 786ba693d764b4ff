//! What operators are told of requests that a document answers.

use http::Request;

use super::outcome::{Answer, UNREADABLE};
use crate::{
    certificate::{Certificate, Presented},
    inbound::{Shortened, captured, shortened_path},
    policy::{Rejection, RejectionKind},
};

/// The rejection that an answer is, for code that asks responses; none if the document answers with success.
pub(super) fn rejection_of(answer: &Answer) -> Option<Rejection> {
    if !answer.refuses() {
        return None;
    }
    Some(Rejection::new(match answer.code() {
        Some("ClientCertificateNotFound") => RejectionKind::Missing,
        Some("ClientCertificateNotYetValid") => RejectionKind::NotYetValid,
        Some("ClientCertificateExpired") => RejectionKind::Expired,
        Some("ClientCertificateNotTrusted") => RejectionKind::NotTrusted,
        Some(UNREADABLE) => RejectionKind::Unreadable,
        Some("ExpressionValueEvaluationFailure") => RejectionKind::Undecidable,
        _ => RejectionKind::Document,
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
    event("request answered by its policy document", answer, request);
}

/// As [`answered`], for a refusal that is not carried out.
#[cold]
pub(super) fn would_refuse<B>(answer: &Answer, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    if let Some(rejection) = rejection_of(answer) {
        metrics::counter!("tower_mtls_requests_shadow_refused_total", "reason" => rejection.kind().as_str())
            .increment(1);
    }
    event("request would be refused by its policy document", answer, request);
}

fn event<B>(what: &str, answer: &Answer, request: &Request<B>) {
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
        reason = rejection_of(answer).map(|rejection| rejection.kind().as_str()),
        status = answer.status().as_u16(),
        element,
        line,
        column,
        code = answer.code(),
        chain = answer.chain_failure(),
        method = %Shortened(request.method()),
        // Without the query, which may hold secrets.
        path = &*shortened_path(request.uri().path()),
        remote = remote.map(tracing::field::display),
        subject = certificate.map(|certificate| tracing::field::display(Shortened(certificate.subject()))),
        issuer = certificate.map(|certificate| tracing::field::display(Shortened(certificate.issuer()))),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        // The form that documents compare.
        thumbprint_sha1 = certificate.map(Certificate::dotnet_thumbprint),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "{what}: {}",
        Shortened(if answer.message().is_empty() { element } else { answer.message() })
    );
}
