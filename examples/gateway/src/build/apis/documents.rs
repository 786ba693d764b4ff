//! Compilation of the policy documents of APIs.

use tower_mtls::{
    Shared, TrustAnchors,
    apim::{DeploymentCertificates, Document, DocumentBuilder, DocumentScope, FindingKind},
};

use super::{backends::Backends, problem::ApiProblem};
use crate::{
    config::{Scheme, UpstreamUrl},
    store::{ItemField, Policy},
};

pub(crate) struct DocumentCompiler {
    pub(crate) deployment: Shared<DeploymentCertificates>,
    pub(crate) trust: Option<TrustAnchors>,
    pub(crate) allow_unanchored: bool,
}

impl DocumentCompiler {
    /// Compiles a document below the policy of all APIs.
    pub(super) fn compile(
        &self,
        scope: DocumentScope,
        backends: &Backends,
        global: Option<&Document>,
        policy: &Policy,
    ) -> Result<Document, Vec<ApiProblem>> {
        let mut builder = Document::builder()
            .format(policy.format())
            .scope(scope)
            .deployment(self.deployment.clone())
            .only_known_certificates()
            .only_referenced_identities();
        if let Some(trust) = &self.trust {
            builder = builder.trust(trust.clone());
        }
        if self.allow_unanchored {
            builder = builder.allow_unanchored();
        }
        if let Some(global) = global {
            builder = builder.base(global);
        }
        for (id, resolved) in backends {
            builder = builder.add_backend(id.shared(), resolved.backend.clone());
        }
        load(builder, &policy.value)
    }
}

fn load(builder: DocumentBuilder, text: &str) -> Result<Document, Vec<ApiProblem>> {
    let errors = match builder.load(text) {
        Ok(document) => return Ok(document),
        Err(errors) => errors,
    };
    let problems = errors.iter().map(|error| {
            let (problem, remedy) = match error.kind() {
                FindingKind::Trust => (error.problem(), ": the gateway's operator names a set in [apis] trust = \"NAME\""),
                FindingKind::Revocation => (
                    error.problem(),
                    ": the gateway's operator writes revocation = \"soft\" with crl or crl_url, or \"off\", into the \
                     set of [apis] trust, or call VerifyNoRevocation() or write validate-revocation=\"false\"",
                ),
                FindingKind::Unanchored => (
                    error.problem(),
                    ": demand a chain (|| !context.Request.Certificate.VerifyNoRevocation()) or a thumbprint, or the \
                     gateway's operator writes allow_unanchored = true into [apis]",
                ),
                _ => (error.message(), ""),
            };
            (ItemField::Document, Some((error.line(), error.column())), format!("{problem}{remedy}"))
        });
    Err(problems.collect())
}

/// Rejects a document that would fail every request: an identity is never presented over http.
pub(super) fn refuse_plaintext(document: &Document, upstream: &UpstreamUrl) -> Result<(), Vec<ApiProblem>> {
    let summary = document.summary();
    if upstream.scheme == Scheme::Http && summary.has_authentication_certificate && !summary.chooses_backend {
        let problem = "an identity cannot be presented to an http backend: write an https serviceUrl, or remove \
                       <authentication-certificate>";
        return Err(vec![(ItemField::Document, None, problem.to_owned())]);
    }
    Ok(())
}
