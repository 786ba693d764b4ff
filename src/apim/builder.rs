use std::{collections::BTreeMap, sync::Arc};

use super::{
    backend::Backend,
    deployment::Deployment,
    document::{Document, DocumentScope, Inner},
    elements::{Compiler, DocumentAnalysis},
    error::{DocumentErrors, FindingKind, Findings, Position},
    expression::Scope,
    program::Section,
    reader::{self, Format},
    summary::DocumentSummary,
    trust::DocumentTrust,
};
use crate::policy::TrustAnchors;

/// Builds a [`Document`]. Only [`load`](Self::load) fails.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let root = params.self_signed(&rcgen::KeyPair::generate()?)?;
/// use tower_mtls::{TrustAnchors, apim::{Document, FindingKind}};
///
/// let text = r#"<validate-client-certificate />"#;
/// let builder = Document::builder()
///     .file_name("orders.xml")
///     .trust(TrustAnchors::from_der([&root.der()[..]])?.without_revocation());
/// assert!(builder.load(text)?.summary().is_anchored);
///
/// let errors = Document::builder().file_name("orders.xml").load(text).unwrap_err();
/// assert!(errors.to_string().starts_with("orders.xml:1:1: validate-trust"));
/// assert_eq!(errors.iter().next().unwrap().kind(), FindingKind::Trust);
///
/// // The document checks revocation, of which these roots state nothing.
/// let roots = TrustAnchors::from_der([&root.der()[..]])?;
/// let errors = Document::builder().trust(roots).load(text).unwrap_err();
/// assert_eq!(errors.iter().next().unwrap().kind(), FindingKind::Revocation);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct DocumentBuilder {
    format: Format,
    file: Option<Arc<str>>,
    trust: Option<TrustAnchors>,
    deployment: Option<Arc<dyn Deployment>>,
    only_known_certificates: bool,
    only_referenced_identities: bool,
    allow_unanchored: bool,
    backends: BTreeMap<Arc<str>, Backend>,
    base: Option<Document>,
    scope: DocumentScope,
}

impl DocumentBuilder {
    /// Sets the quoting of expressions. Default: [`Format::RawXml`], which reads well-formed XML too.
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets the file name that errors begin with. Default: none; errors begin with the line.
    pub fn file_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.file = Some(name.into());
        self
    }

    /// Sets the roots for `Verify()`, `VerifyNoRevocation()` and `validate-trust`. Default: none; a document that needs
    /// them is an error.
    ///
    /// `Verify()` and `validate-revocation` use the [revocation lists](TrustAnchors::with_revocation) of the roots;
    /// `VerifyNoRevocation()` does not. A document that checks revocation is an error if the roots have no lists, unless they
    /// are declared to have none ([`without_revocation`](TrustAnchors::without_revocation)).
    pub fn trust(mut self, anchors: TrustAnchors) -> Self {
        self.trust = Some(anchors);
        self
    }

    /// Sets the source of `context.Deployment.Certificates`, `certificate-id` and `issuer-certificate-id`. Default: a
    /// deployment without certificates.
    pub fn deployment(mut self, deployment: impl Deployment) -> Self {
        self.deployment = Some(Arc::new(deployment));
        self
    }

    /// Rejects a document that names, by a literal, a certificate that is not in the deployment at load, or, for use
    /// towards backends, one without a private key. Default: a warning, since the certificate may be added later.
    pub fn only_known_certificates(mut self) -> Self {
        self.only_known_certificates = true;
        self
    }

    /// Rejects a private key in the text (`authentication-certificate body`) before it is decoded; use it where documents
    /// are stored or displayed. Default: the key is read at load, with a warning.
    pub fn only_referenced_identities(mut self) -> Self {
        self.only_referenced_identities = true;
        self
    }

    /// Accepts a document that is not [anchored](DocumentSummary::is_anchored): it judges certificates that may be
    /// self-made, with names and dates of the caller's choice. Certificates that it admits are
    /// [`Unproven`](crate::policy::Verification::Unproven), and the finding becomes a warning. Default: off; such a document is
    /// an error. Has no effect on an anchored document.
    pub fn allow_unanchored(mut self) -> Self {
        self.allow_unanchored = true;
        self
    }

    /// Adds a backend for `backend-id`, which must match `id` exactly. Replaces an earlier backend with the same id; the
    /// [base document](Self::base) keeps its own. Default: none; a document that names a backend is an error.
    pub fn add_backend(mut self, id: impl Into<Arc<str>>, backend: Backend) -> Self {
        self.backends.insert(id.into(), backend);
        self
    }

    /// Sets the document that runs at `<base />`. It uses the trust and the deployment of this document. Default: none;
    /// `<base />` has no effect.
    pub fn base(mut self, base: &Document) -> Self {
        self.base = Some(base.clone());
        self
    }

    /// Sets the scope of the document. Default: [`DocumentScope::Api`].
    pub fn scope(mut self, scope: DocumentScope) -> Self {
        self.scope = scope;
        self
    }

    /// Reads, checks and compiles a document: `<policies>` with its sections, or the content of `<inbound>` alone.
    ///
    /// # Errors
    ///
    /// Everything that would not be enforced as written, reported together (at most 100 errors, and the
    /// [number of those omitted](DocumentErrors::left_out)):
    /// 1. text that is not XML, is longer than 256 KiB, is nested more than 64 deep, has a document type, or has text
    ///    outside of all elements; reported alone;
    /// 2. an element, attribute or value that is not supported;
    /// 3. an expression that is not C#, uses a member that is not supported, or has a type mismatch. Of a syntax error
    ///    only the first position is reported, in a block one a statement; a missing bracket or quote may be reported far
    ///    behind its place, and may hide other errors;
    /// 4. a check of trust or revocation that [`trust`](Self::trust) does not allow;
    /// 5. a missing certificate, with [`only_known_certificates`](Self::only_known_certificates);
    /// 6. a private key in the text, with [`only_referenced_identities`](Self::only_referenced_identities);
    /// 7. more than 256 variables, 64 attributes of one element, or 16 KiB of one expression;
    /// 8. a `backend-id` without a backend ([`add_backend`](Self::add_backend));
    /// 9. a [`base`](Self::base) with such a check;
    /// 10. a document that is not [anchored](DocumentSummary::is_anchored), without
    ///     [`allow_unanchored`](Self::allow_unanchored), and an expression for identity or URL that the rule of
    ///     [guards](super#guards) does not allow; reported if nothing else is wrong.
    pub fn load(self, text: &str) -> Result<Document, DocumentErrors> {
        let roots = reader::read(text, self.format)
            .map_err(|error| DocumentErrors { file: self.file.clone(), ..error.into() })?;
        let trust = self.trust.map(DocumentTrust::new);
        let mut compiler = Compiler {
            findings: Findings::default(),
            trust: trust.as_ref(),
            scope: Scope {
                has_trust: trust.is_some(),
                declares_revocation: trust.as_ref().is_some_and(DocumentTrust::declares_revocation),
                has_error: false,
            },
            deployment: self.deployment.as_deref(),
            only_known_certificates: self.only_known_certificates,
            only_referenced_identities: self.only_referenced_identities,
            allow_unanchored: self.allow_unanchored,
            backends: &self.backends,
            base: self.base.as_ref().map(|base| base.0.program.clone()),
            scope_name: match self.scope {
                DocumentScope::Global => "global",
                DocumentScope::Api => "api",
                DocumentScope::Operation => "operation",
            },
            section: Section::Inbound,
            certificate_references: Vec::new(),
            analysis: DocumentAnalysis::default(),
        };
        // The base document was checked against its own trust, and runs with that of this document, except its
        // issuer-thumbprint claims.
        let base = compiler.base.clone().unwrap_or_default();
        let start = Position { line: 1, column: 1 };
        if base.used.trust && !compiler.scope.has_trust {
            let message = "the base document needs trusted roots, and none are configured; set the trust";
            compiler.findings.error(start, message);
        } else if base.used.revocation && !compiler.scope.declares_revocation {
            let problem = "the base document checks revocation, and revocation is not configured";
            let remedy = "give the roots revocation lists, or declare that they have none";
            compiler.findings.error_about(FindingKind::Revocation, start, problem, remedy);
        } else if base.checks_revocation_without_chain()
            && !trust.as_ref().is_some_and(DocumentTrust::is_revocation_off)
        {
            let message = "the base document checks revocation without a chain, and the roots have revocation lists; write \
                           validate-trust=\"true\" or validate-revocation=\"false\" there";
            compiler.findings.error(start, message);
        }
        let program = compiler.document(&roots);
        let summary = DocumentSummary::new(
            &program,
            &compiler.certificate_references,
            compiler.analysis.unresolved_base,
        );
        let warnings = compiler.findings.into_result(self.file)?;
        Ok(Document(Arc::new(Inner {
            program: Arc::new(program),
            trust,
            deployment: self.deployment,
            warnings,
            summary,
        })))
    }
}
