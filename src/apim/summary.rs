use std::sync::Arc;

use http::Uri;

use super::{
    backend::ChosenIdentity,
    error::Position,
    program::{Action, BackendTarget, CertificateReference, Program},
};

/// Static properties of a [`Document`](super::Document), for checking it against a configuration before it serves.
///
/// Computed at load; includes the [base document](super::DocumentBuilder::base) where a field does not say otherwise.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::apim::Document;
///
/// let document = Document::parse(
///     r#"<choose>
///          <when condition="@(context.Request.Certificate?.Thumbprint != "31CBB8262B6710B510178BC639C738F8B85B71E6")">
///            <return-response><set-status code="403" /></return-response>
///          </when>
///        </choose>
///        <set-backend-service base-url="https://orders.internal/v2" />
///        <authentication-certificate certificate-id="orders" />"#,
/// )?;
/// let summary = document.summary();
/// assert!(summary.uses_certificate && summary.proves_certificate && summary.is_anchored);
/// assert!(summary.chooses_identity && summary.chooses_backend && !summary.uses_trust);
///
/// let (url, position) = &summary.base_urls[0];
/// assert_eq!((url.to_string().as_str(), position.line), ("https://orders.internal/v2", 6));
/// assert_eq!(summary.certificates[0].0.to_string(), "the certificate with the id orders");
///
/// // A document without a condition on the certificate admits no certificate and proves none.
/// let open = Document::parse(r#"<set-header name="x-seen"><value>true</value></set-header>"#)?;
/// assert!(!open.summary().uses_certificate && !open.summary().proves_certificate);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DocumentSummary {
    /// True if an expression or `validate-client-certificate` reads the caller's certificate.
    pub uses_certificate: bool,
    /// True if trusted roots affect the decision: the document checks the chain or the issuer of the caller's certificate.
    pub uses_trust: bool,
    /// True if `<inbound>` has a [guard](super#guards): every request that passes has a certificate with a verified
    /// chain, a listed thumbprint, or membership of the deployment.
    pub proves_certificate: bool,
    /// True if the document [proves certificates](Self::proves_certificate), or no rule judges them: no certificate without
    /// a proof is admitted.
    pub is_anchored: bool,
    /// True if any request gets its backend from the document (`set-backend-service`).
    pub chooses_backend: bool,
    /// True if any request gets its identity from the document: by `authentication-certificate`, or from a backend with
    /// an identity.
    pub chooses_identity: bool,
    /// True if the document contains an `authentication-certificate`, which applies to every backend. An identity of a
    /// backend applies to that backend only.
    pub has_authentication_certificate: bool,
    /// Identities and issuers that this document names by a literal, and identities of the backends that it names, each
    /// at the position of the reference. Those of the base document are in its own summary.
    pub certificates: Vec<(ChosenIdentity, Position)>,
    /// The values of expressions in `certificate-id` and `thumbprint` that choose among literals. An expression over the
    /// certificate has no listed values.
    pub possible_certificates: Vec<ChosenIdentity>,
    /// Backend ids in document order, with duplicates; those of the base document once, at its first `<base />`.
    pub backends: Vec<(Arc<str>, Position)>,
    /// URLs of `set-backend-service`, literal or by backend id, in document order.
    pub base_urls: Vec<(Uri, Position)>,
    /// The first `<base />` in `<inbound>` of a document without a base document: it has no effect.
    pub unresolved_base: Option<Position>,
}

impl DocumentSummary {
    pub(super) fn new(
        program: &Program,
        certificates: &[CertificateReference],
        unresolved_base: Option<Position>,
    ) -> Self {
        let mut summary = Self {
            uses_certificate: program.used.certificate,
            uses_trust: program.used.trust,
            proves_certificate: program.ruling.has_guard,
            is_anchored: program.ruling.is_anchored(),
            certificates: certificates.iter().map(|found| (found.identity.clone(), found.position)).collect(),
            possible_certificates: program.ruling.possible_certificates.clone(),
            unresolved_base,
            ..Self::default()
        };
        program.visit(&mut |step| match &step.action {
            Action::Validate(validation) => summary.uses_trust |= validation.uses_trust(),
            Action::Authenticate(_) => summary.has_authentication_certificate = true,
            Action::Backend(selection) => {
                summary.chooses_backend = true;
                if let Some(BackendTarget { id, backend }) = selection.value.literal() {
                    let position = step.location.position;
                    summary.chooses_identity |= backend.identity().is_some();
                    summary.backends.extend(id.clone().map(|id| (id, position)));
                    summary.base_urls.push((backend.base_url().clone(), position));
                }
            }
            _ => {}
        });
        summary.chooses_identity |= summary.has_authentication_certificate;
        summary
    }
}
