use std::{fmt, sync::Arc};

use http::Request;

use super::{
    builder::DocumentBuilder,
    decision::DocumentDecision,
    deployment::Deployment,
    error::{DocumentErrors, Finding},
    explain::DocumentExplanation,
    expression::Inputs,
    facts::RequestFacts,
    guard,
    program::Program,
    run,
    summary::DocumentSummary,
    trust::DocumentTrust,
};
use crate::{
    certificate::{Presented, Timestamp},
    policy::{Rejection, RejectionKind},
    shared::sealed::Sealed,
};

/// A policy document of Azure API Management, checked and compiled. See the [module](super) for supported elements.
///
/// Immutable and cheap to clone; put it behind a [`Shared<Document>`](crate::Shared) to replace it while serving.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, StatusCode};
/// use tower_mtls::{apim::{Document, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let document = Document::parse(r#"
///     <choose>
///         <when condition="@(context.Request.Certificate?.Thumbprint != "31CBB8262B6710B510178BC639C738F8B85B71E6")">
///             <return-response><set-status code="403" reason="Invalid client certificate" /></return-response>
///         </when>
///     </choose>
///     <set-header name="x-gateway"><value>orders</value></set-header>"#)?;
///
/// let request = Request::new(());
/// let now = Timestamp::from_unix(1_750_000_000);
/// let decision = document.evaluate(&RequestFacts::new(&request, &Presented::Nothing), now);
/// assert_eq!(decision.response().unwrap().status(), StatusCode::FORBIDDEN);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Document(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) program: Arc<Program>,
    pub(super) trust: Option<DocumentTrust>,
    pub(super) deployment: Option<Arc<dyn Deployment>>,
    pub(super) warnings: Vec<Finding>,
    pub(super) summary: DocumentSummary,
}

/// The scope of a document, as in `context.LastError.Scope`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower_mtls::{apim::{Document, DocumentScope, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let document = Document::builder().allow_unanchored().scope(DocumentScope::Global).load(
///     r#"<policies>
///          <inbound><validate-client-certificate validate-trust="false" validate-revocation="false" /></inbound>
///          <on-error><set-body>@(context.LastError.Scope)</set-body></on-error>
///        </policies>"#,
/// )?;
/// let request = Request::new(());
/// let facts = RequestFacts::new(&request, &Presented::Nothing);
/// let decision = document.evaluate(&facts, Timestamp::from_unix(1_750_000_000));
/// assert_eq!(decision.response().expect("no certificate").body(), "global");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DocumentScope {
    /// All APIs.
    Global,
    /// One API, here one route.
    #[default]
    Api,
    /// One operation of an API.
    Operation,
}

impl Document {
    /// Returns a builder with the defaults: raw XML, no trusted roots, no deployment, no base document.
    ///
    /// ```
    /// use tower_mtls::apim::Document;
    ///
    /// let errors = Document::builder().file_name("orders.xml").load("<set-variable").unwrap_err();
    /// assert!(errors.to_string().starts_with("orders.xml:1:"));
    /// ```
    pub fn builder() -> DocumentBuilder {
        DocumentBuilder::default()
    }

    /// Reads a document that needs no trusted roots and no deployment.
    ///
    /// # Errors
    ///
    /// As [`DocumentBuilder::load`].
    ///
    /// ```
    /// use tower_mtls::apim::Document;
    ///
    /// assert!(Document::parse(r#"<set-variable name="team" value="orders" />"#).is_ok());
    /// assert!(Document::parse("<rate-limit calls='5' />").is_err()); // would not be enforced
    /// ```
    pub fn parse(text: &str) -> Result<Self, DocumentErrors> {
        Self::builder().load(text)
    }

    /// Decides about one request at the time `now`.
    ///
    /// A pure function of its arguments, the document and the state of its deployment. A certificate that cannot be read
    /// is rejected if the document uses the certificate: an expression cannot distinguish it from a missing one.
    pub fn evaluate(&self, facts: &RequestFacts<'_>, now: Timestamp) -> DocumentDecision {
        run::evaluate(&self.0.program, &self.inputs(facts, now), false, None)
    }

    /// Decides as [`evaluate`](Self::evaluate) does, without rejecting: a response with status 400 or above is recorded in
    /// [`Forward::withheld_response`](super::Forward::withheld_response), and evaluation continues with the next element.
    /// Such a request is not admitted. Headers, identity and backend are those of a request that passes.
    ///
    /// For trying a document on real traffic. Rejections are sent if the document has an `authentication-certificate` or
    /// `set-backend-service` in a `<choose>` or with an expression: the request would then reach a backend, or use an
    /// identity, that the document did not choose for it.
    pub fn evaluate_shadow(&self, facts: &RequestFacts<'_>, now: Timestamp) -> DocumentDecision {
        run::evaluate(&self.0.program, &self.inputs(facts, now), true, None)
    }

    /// Decides as [`evaluate`](Self::evaluate) does, and describes the effect of each element.
    ///
    /// For operators and tests; allocates text for every element.
    pub fn explain(&self, facts: &RequestFacts<'_>, now: Timestamp) -> DocumentExplanation {
        let mut lines = Vec::new();
        let decision = run::evaluate(&self.0.program, &self.inputs(facts, now), false, Some(&mut lines));
        DocumentExplanation { lines, decision }
    }

    /// Judges only the proofs of the document's [guards](super#guards), for a request that the document has admitted before:
    /// `validate-client-certificate`, and verified chains, thumbprints and membership of the deployment in conditions.
    ///
    /// Other conditions are not evaluated, and no element has an effect.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] whose kind is
    /// 1. [`Unreadable`](RejectionKind::Unreadable) if the certificate cannot be read;
    /// 2. that of the first `validate-client-certificate` that fails;
    /// 3. [`Document`](RejectionKind::Document) if another proof fails, or the document has no guard.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let caller = rcgen::generate_simple_self_signed(vec![])?;
    /// use tower_mtls::{Certificate, apim::Document, certificate::{Clock, Presented, SystemClock}};
    ///
    /// let caller = Certificate::from_der(caller.cert.der())?;
    /// let only = |thumbprint: &str| {
    ///     let condition = format!(r#"context.Request.Certificate?.Thumbprint != "{thumbprint}""#);
    ///     let reject = r#"<return-response><set-status code="403" /></return-response>"#;
    ///     Document::parse(&format!("<choose><when condition='@({condition})'>{reject}</when></choose>"))
    /// };
    /// let (presented, now) = (Presented::from(caller.clone()), SystemClock.now());
    /// assert!(only(&caller.sha1_thumbprint().to_string())?.judge_proofs(&presented, now).is_ok());
    /// assert!(only("31CBB8262B6710B510178BC639C738F8B85B71E6")?.judge_proofs(&presented, now).is_err());
    ///
    /// let open = Document::parse(r#"<set-variable name="team" value="orders" />"#)?;
    /// assert!(open.judge_proofs(&presented, now).is_err(), "no guard");
    /// # Ok(())
    /// # }
    /// ```
    pub fn judge_proofs(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        if matches!(presented, Presented::Unreadable(_)) {
            return Err(Rejection::new(RejectionKind::Unreadable));
        }
        let request = Request::new(());
        let facts = RequestFacts::new(&request, presented);
        guard::judge_proofs(&self.0.program, &self.inputs(&facts, now)).map_err(Rejection::new)
    }

    fn inputs<'r>(&'r self, facts: &RequestFacts<'r>, now: Timestamp) -> Inputs<'r> {
        Inputs::new(*facts, now, self.0.trust.as_ref(), self.0.deployment.as_deref())
    }

    /// Returns probable mistakes: comparisons that are never true, checks that prove nothing.
    pub fn warnings(&self) -> &[Finding] {
        &self.0.warnings
    }

    /// Returns the static properties of the document, for checking it against a configuration.
    pub fn summary(&self) -> &DocumentSummary {
        &self.0.summary
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("summary", &self.0.summary).finish_non_exhaustive()
    }
}

impl Sealed for Document {}
