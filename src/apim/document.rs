use std::{collections::BTreeMap, fmt, sync::Arc};

use http::Uri;

use super::{
    backend::Backend,
    deployment::Deployment,
    elements::{Compiler, Facts},
    error::{DocumentErrors, DocumentWarning, Findings, Position},
    explain::Explanation,
    expression::{Constant, Kind, Scope},
    facts::RequestFacts,
    outcome::{ChosenIdentity, Outcome},
    program::{
        Action, CertificateKey, CertificateReference, IdentitySource, Program, Section, Target, Template,
    },
    reader::{self, Format},
    run,
};
use crate::{
    certificate::{Thumbprint, Timestamp},
    policy::TrustAnchors,
    shared::{Shared, sealed::Sealed},
};

/// A policy document of Azure API Management, checked and compiled. See the [module](super) for what it may hold.
///
/// Immutable and cheap to clone; put it behind a [`Shared<Document>`](crate::Shared) to replace it while serving.
#[derive(Clone)]
pub struct Document(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) program: Arc<Program>,
    pub(crate) trust: Option<TrustAnchors>,
    pub(crate) deployment: Option<Arc<dyn Deployment>>,
    warnings: Vec<DocumentWarning>,
    named: Vec<CertificateReference>,
    empty_base: Option<Position>,
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

    /// Identities and issuers that the document names literally, each with line and column, and the identities of back
    /// ends that it names, each where it names the backend: for those who know that the deployment never changes and a
    /// name that is not there is an error.
    pub fn certificates_named(&self) -> impl Iterator<Item = (ChosenIdentity, usize, usize)> + '_ {
        self.0.named.iter().map(|CertificateReference { named, position, .. }| {
            let identity = match named {
                CertificateKey::Id(id) => ChosenIdentity::Id(id.clone()),
                CertificateKey::Thumbprint(thumbprint) => ChosenIdentity::Thumbprint(*thumbprint),
            };
            (identity, position.line, position.column)
        })
    }

    /// The URLs of backends that the document writes out or names by their ids, each with line and column of its
    /// element, those of documents above included.
    pub fn base_urls(&self) -> Vec<(&Uri, usize, usize)> {
        self.of_targets(Target::known_url)
    }

    /// The ids of backends that the document names (`backend-id`), each with line and column of its element, in the
    /// order of the text and as often as they stand there; those of documents above included once, where they run first.
    pub fn backends_named(&self) -> Vec<(&str, usize, usize)> {
        self.of_targets(|target| target.id().map(|id| &**id))
    }

    /// What can be told of each `set-backend-service`, with its place.
    fn of_targets<'d, T>(&'d self, tell: impl Fn(&'d Target) -> Option<T>) -> Vec<(T, usize, usize)> {
        let mut found = Vec::new();
        self.0.program.visit(&mut |step| {
            if let Action::Backend(target) = &step.action {
                let position = step.place.position;
                found.extend(tell(target).map(|told| (told, position.line, position.column)));
            }
        });
        found
    }

    /// Whether the document chooses the backend of any request (`set-backend-service`).
    pub fn chooses_backend(&self) -> bool {
        self.does(|action| matches!(action, Action::Backend(_)))
    }

    /// Whether the document chooses the identity of any request: by `authentication-certificate`, or by a backend
    /// that has one of its own.
    pub fn chooses_identity(&self) -> bool {
        self.authenticates()
            || self.does(|action| matches!(action, Action::Backend(target) if target.identity().is_some()))
    }

    /// Whether the document chooses an identity for whatever backend is called (`authentication-certificate`), where
    /// one that belongs to a backend is shown to that backend only.
    pub fn authenticates(&self) -> bool {
        self.does(|action| matches!(action, Action::Authenticate(_)))
    }

    /// Ids and thumbprints that an expression for `certificate-id` or `thumbprint` may yield: every text that the
    /// document or one above writes out, if there is such an expression anywhere; else none. For those who ask what would
    /// break if a certificate were not there.
    pub fn certificates_possible(&self) -> Vec<ChosenIdentity> {
        let is_open = |action: &Action| {
            matches!(action, Action::Authenticate(IdentitySource::Id(_) | IdentitySource::Thumbprint(_)))
        };
        if !self.does(is_open) {
            return Vec::new();
        }
        let mut found = Vec::new();
        self.0.program.visit(&mut |step| {
            let mut add = |text: &str| {
                found.push(match text.parse::<Thumbprint>() {
                    Ok(thumbprint) => ChosenIdentity::Thumbprint(thumbprint),
                    Err(_) => ChosenIdentity::Id(text.into()),
                });
            };
            if let Action::Variable(_, Template::Literal(text)) = &step.action {
                add(text);
            }
            for (expression, _) in step.expressions() {
                expression.root.visit(&mut |node| {
                    if let Kind::Constant(Constant::Text(text)) = &node.kind {
                        add(text);
                    }
                });
            }
        });
        found
    }

    fn does(&self, is_it: impl Fn(&Action) -> bool) -> bool {
        let mut found = false;
        self.0.program.visit(&mut |step| found |= is_it(&step.action));
        found
    }

    /// Whether nobody passes with a certificate that they made themselves: on every way through `<inbound>`, documents
    /// above included, a chain or a thumbprint is demanded, and what lacks it is refused. Without that the names of a
    /// caller are whatever the caller likes.
    ///
    /// That `Verify()` or a thumbprint is mentioned is not enough: conditions are followed for a caller of whose
    /// certificate it is known only that no chain holds, and that its thumbprint is none of those that the document or
    /// the deployment holds. Where it cannot be told that such a caller is refused, the answer is no.
    pub fn proves_certificate(&self) -> bool {
        self.0.program.proves
    }

    /// Whether no certificate is admitted that its caller may have made itself: each way through `<inbound>` on which a rule
    /// has looked at the certificate demands a chain, a whole thumbprint or membership of the deployment. A document that
    /// admits none is anchored, too. A variable or header that the document sets, or does not set, depending on the
    /// certificate is as good as the certificate.
    ///
    /// Less than [`proves_certificate`](Self::proves_certificate), for callers may pass of whose certificate nothing was
    /// asked; they are not admitted. Where it cannot be told, the answer is no.
    pub fn is_anchored(&self) -> bool {
        self.0.program.is_anchored
    }

    /// Whether the trusted roots make a difference: the document asks for a chain, or which certificate issued the
    /// caller's.
    pub fn asks_for_trust(&self) -> bool {
        self.0.program.used.trust
            || self
                .does(|action| matches!(action, Action::Validate(validation) if validation.asks_for_roots()))
    }

    /// Line and column of the first `<base />` in `<inbound>` if there is no document [above](DocumentBuilder::base): what
    /// it stood for in APIM does not run.
    pub fn empty_base(&self) -> Option<(usize, usize)> {
        self.0.empty_base.map(|position| (position.line, position.column))
    }

    /// Whether the document looks at the caller's certificate at all.
    pub fn asks_for_certificate(&self) -> bool {
        self.0.program.used.certificate
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

/// Builds a [`Document`].
#[derive(Debug, Clone, Default)]
pub struct DocumentBuilder {
    format: Format,
    file: Option<Arc<str>>,
    trust: Option<TrustAnchors>,
    revocation: Option<Revocation>,
    deployment: Option<Arc<dyn Deployment>>,
    only_known: bool,
    allow_unanchored: bool,
    refuses_keys: bool,
    backends: BTreeMap<Arc<str>, Backend>,
    base: Option<Document>,
    scope: DocumentScope,
}

impl DocumentBuilder {
    /// How expressions are written. Default: [`Format::RawXml`], which reads well-formed XML too.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// What errors call the document. Default: nothing, errors begin with the line.
    #[must_use]
    pub fn file_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.file = Some(name.into());
        self
    }

    /// The roots that `Verify()`, `VerifyNoRevocation()` and `validate-trust` mean. Default: none, and a document
    /// that asks for them is an error.
    #[must_use]
    pub fn trust(mut self, anchors: TrustAnchors) -> Self {
        self.trust = Some(anchors);
        self
    }

    /// States what is known about revocation. Default: nothing is stated, and a document that asks for it
    /// (`Verify()`, `validate-revocation`) is an error. Has no effect without [`trust`](Self::trust).
    #[must_use]
    pub fn revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = Some(revocation);
        self
    }

    /// Where `context.Deployment.Certificates`, `certificate-id` and `issuer-certificate-id` look. Default: there
    /// are no certificates.
    #[must_use]
    pub fn deployment(mut self, deployment: impl Deployment) -> Self {
        self.deployment = Some(Arc::new(deployment));
        self
    }

    /// A certificate that the document names literally and that is not in the deployment now is an error, and so is one
    /// without a private key that it would show to backends. Default: a warning, since it may come later.
    #[must_use]
    pub fn only_known_certificates(mut self) -> Self {
        self.only_known = true;
        self
    }

    /// Accepts a document that judges certificates and proves none: names and dates are whatever the caller writes into a
    /// certificate of its own. What it admits is marked as [`Unproven`](crate::Verification::Unproven), and a warning
    /// stays. Default: off, and such a document is an error. Has no effect on an [anchored](Document::is_anchored) one.
    #[must_use]
    pub fn allow_unanchored(mut self) -> Self {
        self.allow_unanchored = true;
        self
    }

    /// A backend that the document may name by this id, exactly as it is written here (`backend-id`). One that was
    /// given under the same id before is replaced; documents [above](Self::base) keep those they were loaded with.
    /// Default: none, and a document that names one is an error.
    #[must_use]
    pub fn backend(mut self, id: impl Into<Arc<str>>, backend: Backend) -> Self {
        self.backends.insert(id.into(), backend);
        self
    }

    /// A private key in the text itself (`authentication-certificate body`) is an error, found before the key is opened:
    /// for those who keep or show documents as they are. Default: it is read at load, and warned of.
    #[must_use]
    pub fn without_private_keys(mut self) -> Self {
        self.refuses_keys = true;
        self
    }

    /// The document above this one, which runs where `<base />` stands, with its own trust left out: this
    /// document's counts. Default: none, and `<base />` does nothing.
    #[must_use]
    pub fn base(mut self, base: &Document) -> Self {
        self.base = Some(base.clone());
        self
    }

    /// The level at which the document stands. Default: [`DocumentScope::Api`].
    #[must_use]
    pub fn scope(mut self, scope: DocumentScope) -> Self {
        self.scope = scope;
        self
    }

    /// Reads, checks and compiles a document: `<policies>` with its sections, or what stands in `<inbound>` alone.
    ///
    /// # Errors
    ///
    /// Everything that would not be enforced as it stands, all of it at once (of very many errors the first hundred,
    /// and [how many more](DocumentErrors::left_out)):
    /// 1. a text that is not XML, longer than 256 KiB, nested more than 64 deep, with a document type, or with words
    ///    outside of all elements: then only that;
    /// 2. an element, attribute or value that is not supported;
    /// 3. an expression that is no C#, asks for a member that is not supported, or whose types do not fit. Of one that is
    ///    no C# only the first place is told, in a block each statement's; where a bracket or a quote is missing that may
    ///    be far behind it, and hide what is wrong elsewhere;
    /// 4. a demand for trust or revocation without [`trust`](Self::trust) or [`revocation`](Self::revocation);
    /// 5. a certificate that is not there, with [`only_known_certificates`](Self::only_known_certificates);
    /// 6. more than 256 variables, 64 attributes of one element, or 16 KiB of one expression;
    /// 7. a `backend-id` under which there is no [`backend`](Self::backend);
    /// 8. a [`base`](Self::base) that was checked against more than this document has;
    /// 9. a document that is not [anchored](Document::is_anchored), without [`allow_unanchored`](Self::allow_unanchored);
    ///    reported once nothing else is wrong.
    pub fn load(self, text: &str) -> Result<Document, DocumentErrors> {
        let failed = |errors: DocumentErrors| DocumentErrors { file: self.file.clone(), ..errors };
        let roots = reader::read(text, self.format).map_err(|error| failed(error.into()))?;
        let mut compiler = Compiler {
            findings: Findings::default(),
            trust: self.trust.as_ref(),
            scope: Scope {
                has_trust: self.trust.is_some(),
                is_revocation_off: self.trust.is_some() && self.revocation == Some(Revocation::Off),
                has_error: false,
            },
            deployment: self.deployment.as_deref(),
            only_known: self.only_known,
            allow_unanchored: self.allow_unanchored,
            refuses_keys: self.refuses_keys,
            backends: &self.backends,
            base: self.base.as_ref().map(|base| base.0.program.clone()),
            scope_name: match self.scope {
                DocumentScope::Global => "global",
                DocumentScope::Api => "api",
                DocumentScope::Operation => "operation",
            },
            section: Section::Inbound,
            named: Vec::new(),
            facts: Facts::default(),
        };
        // What the base was checked against must be there when it runs here.
        let above = self.base.as_ref().map(|base| base.0.program.used).unwrap_or_default();
        let start = Position { line: 1, column: 1 };
        if above.trust && !compiler.scope.has_trust {
            let message = "the document above needs trusted roots, and there are none here";
            compiler.findings.error(start, message);
        } else if above.revocation && !compiler.scope.is_revocation_off {
            let message =
                "the document above asks whether certificates are revoked, and revocation is not stated here";
            compiler.findings.error(start, message);
        }
        let program = compiler.document(&roots);
        let named = std::mem::take(&mut compiler.named);
        let empty_base = compiler.facts.empty_base;
        let warnings = compiler.findings.into_result().map_err(failed)?;
        Ok(Document(Arc::new(Inner {
            program: Arc::new(program),
            trust: self.trust,
            deployment: self.deployment,
            warnings,
            named,
            empty_base,
        })))
    }
}

impl Sealed for Document {}

impl Shared<Document> {
    /// Decides by the current document. See [`Document::evaluate`].
    pub fn evaluate(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Outcome {
        self.load().evaluate(facts, now)
    }

    /// As [`evaluate`](Self::evaluate), and rejects no caller. See [`Document::evaluate_shadow`].
    pub fn evaluate_shadow(&self, facts: &RequestFacts<'_>, now: Timestamp) -> Outcome {
        self.load().evaluate_shadow(facts, now)
    }
}
