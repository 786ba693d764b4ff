//! Log events and metrics of requests that a document responds to.

use http::Request;

use super::{
    decision::{DocumentResponse, UNREADABLE},
    dotnet,
};
#[cfg(feature = "metrics")]
use crate::inbound::counter;
use crate::{
    certificate::Presented,
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

/// Logs a response, sent or withheld, and counts it if it is a rejection.
#[cold]
pub(super) fn response<B>(response: &DocumentResponse, request: &Request<B>, is_withheld: bool) {
    let kind = rejection_of(response).map(|rejection| rejection.kind());
    #[cfg(feature = "metrics")]
    if let Some(kind) = kind {
        if is_withheld { counter::would_refuse(kind) } else { counter::refused(kind) }
    }
    let message = match is_withheld {
        true => "request would be refused by its policy document",
        false => "request answered by its policy document",
    };
    let captured = captured(request.extensions());
    let certificate = match captured {
        Some((Presented::Certificate(certificate), _)) => Some(certificate),
        _ => None,
    };
    let remote = captured.and_then(|(_, remote)| remote);
    let (element, line, column) = response.element();
    tracing::info!(
        reason = kind.map(RejectionKind::as_str),
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
        thumbprint_sha1 = certificate.map(dotnet::thumbprint),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "{message}: {}",
        Shortened(if response.message().is_empty() { element } else { response.message() })
    );
}
