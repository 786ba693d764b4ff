use std::{collections::BTreeMap, sync::Arc};

use super::{
    backend::Backend,
    deployment::Deployment,
    document::{Document, DocumentScope, Inner, Revocation},
    elements::{Compiler, Facts},
    error::{DocumentErrors, Findings, Position},
    expression::Scope,
    program::Section,
    reader::{self, Format},
    summary::DocumentSummary,
};
use crate::policy::TrustAnchors;

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
    /// stays. Default: off, and such a document is an error. Has no effect on an [anchored](DocumentSummary::is_anchored) one.
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
    /// 9. a document that is not [anchored](DocumentSummary::is_anchored), without [`allow_unanchored`](Self::allow_unanchored);
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
        let summary = DocumentSummary::new(&program, &compiler.named, compiler.facts.empty_base);
        let warnings = compiler.findings.into_result().map_err(failed)?;
        Ok(Document(Arc::new(Inner {
            program: Arc::new(program),
            trust: self.trust,
            deployment: self.deployment,
            warnings,
            summary,
        })))
    }
}
