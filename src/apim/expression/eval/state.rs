//! Inputs and mutable state of evaluations for one request.

use std::{cell::OnceCell, sync::Arc};

use http::HeaderMap;

use super::Trace;
use crate::{
    apim::{
        deployment::{Deployment, DeploymentCertificates},
        expression::value::{CertificateValue, Value},
        facts::RequestFacts,
    },
    certificate::{Presented, Timestamp},
    policy::TrustAnchors,
};

/// Inputs of evaluations, constant for one request.
#[derive(Debug)]
pub(crate) struct Inputs<'r> {
    pub(crate) facts: RequestFacts<'r>,
    pub(crate) now: Timestamp,
    pub(crate) trust: Option<&'r TrustAnchors>,
    pub(crate) deployment: Option<&'r dyn Deployment>,
    snapshot: OnceCell<Arc<DeploymentCertificates>>,
}

impl<'r> Inputs<'r> {
    pub(crate) fn new(
        facts: RequestFacts<'r>,
        now: Timestamp,
        trust: Option<&'r TrustAnchors>,
        deployment: Option<&'r dyn Deployment>,
    ) -> Self {
        Self { facts, now, trust, deployment, snapshot: OnceCell::new() }
    }

    /// The deployment's certificates, read once per request.
    pub(crate) fn deployed(&self) -> &DeploymentCertificates {
        self.snapshot.get_or_init(|| match self.deployment {
            Some(deployment) => deployment.certificates(),
            None => Arc::default(),
        })
    }

    pub(crate) fn certificate(&self) -> Option<CertificateValue<'r>> {
        match self.facts.presented {
            Presented::Certificate(certificate) => {
                Some(CertificateValue { certificate, has_private_key: false })
            }
            _ => None,
        }
    }
}

/// A variable that the document has set.
#[derive(Debug, Clone)]
pub(crate) struct Variable<'r> {
    pub(crate) name: &'r str,
    pub(crate) value: Value<'r>,
    /// True if the value was computed from the certificate.
    pub(crate) reads_certificate: bool,
}

/// `context.LastError`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastError {
    pub(crate) source: String,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) scope: &'static str,
    pub(crate) section: &'static str,
    pub(crate) path: String,
    pub(crate) policy_id: Option<String>,
}

/// Mutable state of evaluations for one request.
#[derive(Debug, Default)]
pub(crate) struct State<'r> {
    /// The request's headers, once the document has changed them.
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) variables: Vec<Variable<'r>>,
    pub(crate) last_error: Option<LastError>,
    /// True if the certificate, or a variable computed from it, was read since this was last set to false.
    pub(crate) certificate_read: bool,
    /// The trace of the condition that is evaluated, for explanations.
    pub(crate) trace: Option<Trace<'r>>,
    pub(super) locals: Vec<Value<'r>>,
    pub(super) steps: u32,
    pub(super) bytes: usize,
}
