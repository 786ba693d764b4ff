use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    builder::DocumentBuilder,
    deployment::Deployment,
    error::{DocumentErrors, DocumentWarning},
    explain::Explanation,
    facts::RequestFacts,
    outcome::Outcome,
    program::Program,
    run,
    summary::DocumentSummary,
};
use crate::{certificate::Timestamp, policy::TrustAnchors};

/// A policy document of Azure API Management, checked and compiled. See the [module](super) for what it may hold.
///
/// Immutable and cheap to clone; put it behind a [`SharedDocument`] to replace it while serving.
#[derive(Clone)]
pub struct Document(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) program: Arc<Program>,
    pub(crate) trust: Option<TrustAnchors>,
    pub(crate) deployment: Option<Arc<dyn Deployment>>,
    pub(super) warnings: Vec<DocumentWarning>,
    pub(super) summary: DocumentSummary,
}

/// What is known about revocation of the certificates that a trust set judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// Nobody asks whether a certificate was revoked, and the operator says so.
    Off,
}

/// The level at which a document stands, as `context.LastError.Scope` tells it.
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
    /// Starts a document with the defaults: raw XML, no trusted roots, no deployment, nothing above it.
    pub fn builder() -> DocumentBuilder {
        DocumentBuilder::default()
    }

    /// Reads a document that needs no trusted roots and no deployment.
    ///
    /// # Errors
    ///
    /// As [`DocumentBuilder::load`].
    pub fn parse(text: &str) -> Result<Self, DocumentErrors> {
        Self::builder().load(text)
    }

    /// Decides about one request, at the moment `now`.
    ///
    /// A pure function of its arguments, the document and its deployment's state. A certificate that cannot be read
    /// is refused if the document asks for one: no expression can tell it from a missing one.
    pub fn evaluate(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Outcome {
        run::evaluate(&self.0, facts, now, false, None)
    }

    /// Decides as [`evaluate`](Self::evaluate) does and refuses nobody: an answer of 400 or more is remembered
    /// ([`Forward::refused`](super::Forward::refused)), and the next element runs. Such a request is not admitted.
    /// The answer is given all the same where the request would be sent as somebody, or somewhere, that the document did
    /// not choose for it:
    /// 1. a condition or a variable fails in the `<inbound>` of a document that chooses identity or backend;
    /// 2. it is refused in a branch of a `<choose>` that has no `authentication-certificate`, or no
    ///    `set-backend-service`, and another branch has one;
    /// 3. it is refused, and its identity or backend was chosen by an expression over its certificate, or over a
    ///    variable: the refusal is what keeps self-made ones from choosing.
    ///
    /// For trying a document on real traffic: headers, identity and backend are those of a request that passes.
    pub fn evaluate_shadow(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Outcome {
        run::evaluate(&self.0, facts, now, true, None)
    }

    /// Decides as [`evaluate`](Self::evaluate) does, and says in words what each element made of the request.
    ///
    /// For operators and tests: texts are made.
    pub fn explain(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Explanation {
        let mut lines = Vec::new();
        let outcome = run::evaluate(&self.0, facts, now, false, Some(&mut lines));
        Explanation::new(lines, outcome)
    }

    /// What is odd about the document: comparisons that never hold, checks that prove nothing.
    pub fn warnings(&self) -> &[DocumentWarning] {
        &self.0.warnings
    }

    /// Static properties of the document, for checking it against a configuration.
    pub fn summary(&self) -> &DocumentSummary {
        &self.0.summary
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("elements", &self.0.program.inbound.len())
            .field("trust", &self.0.trust)
            .field("warnings", &self.0.warnings.len())
            .finish_non_exhaustive()
    }
}

/// A document that can be replaced while requests are served.
///
/// Clones share the document: keep one, give another to the layer. A replacement is effective on the next request,
/// on connections that are already open too.
#[derive(Debug, Clone)]
pub struct SharedDocument(Arc<ArcSwap<Document>>);

impl SharedDocument {
    /// Publishes a first document.
    pub fn new(document: Document) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(document)))
    }

    /// Replaces the document. Every request that is judged after this returns is judged by the new one.
    pub fn replace(&self, document: Document) {
        self.0.store(Arc::new(document));
    }

    /// The document that judges now.
    pub fn current(&self) -> Document {
        Document::clone(&self.0.load())
    }

    /// Decides by the document that is published now. See [`Document::evaluate`].
    pub fn evaluate(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Outcome {
        self.0.load().evaluate(facts, now)
    }

    /// As [`evaluate`](Self::evaluate), and refuses nobody. See [`Document::evaluate_shadow`].
    pub fn evaluate_shadow(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Outcome {
        self.0.load().evaluate_shadow(facts, now)
    }
}

impl From<Document> for SharedDocument {
    fn from(document: Document) -> Self {
        Self::new(document)
    }
}
