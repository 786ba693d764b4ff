//! Trust anchors (RFC 5280, section 6.1.1 (d)).

use std::sync::Arc;

use super::{
    certificate::{PathCertificate, Version},
    signature,
};
use crate::{
    certificate::DistinguishedName,
    policy::{ChainRequirements, Revocation},
};

/// A trusted root's certificate, and the requirements for chains to it.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Root {
    der: Arc<[u8]>,
    subject: DistinguishedName,
    is_ca: bool,
    is_self_issued: bool,
    /// True if the validity period is ignored.
    pub(in crate::policy) allow_expired: bool,
    pub(in crate::policy) requirements: Arc<ChainRequirements>,
    pub(super) revocation: Option<Revocation>,
    /// True if revocation is not checked, by the operator's decision.
    is_revocation_off: bool,
}

impl Root {
    /// Reads a root's certificate; the error is for [`TrustError`](crate::policy::TrustError).
    pub(in crate::policy) fn read(der: &[u8]) -> Result<Self, String> {
        let read = PathCertificate::read(der).map_err(|malformed| malformed.0.to_owned())?;
        let (is_ca, is_self_issued) = (is_ca(&read), read.is_self_issued());
        Ok(Self {
            der: der.into(),
            is_ca,
            is_self_issued,
            subject: read.subject,
            allow_expired: false,
            requirements: Arc::default(),
            revocation: None,
            is_revocation_off: false,
        })
    }

    pub(in crate::policy) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(in crate::policy) fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Sets the revocation lists of chains to this root. The root's key verifies those that it signed.
    pub(in crate::policy) fn set_revocation(&mut self, revocation: Revocation) {
        if let Ok(read) = PathCertificate::read(&self.der) {
            let issuer = read.as_crl_issuer(&self.requirements);
            revocation
                .verify_lists_of(&issuer, &mut |signed, spki| Some(signature::verify(signed, spki).is_ok()));
        }
        self.revocation = Some(revocation);
        self.is_revocation_off = false;
    }

    /// Declares that revocation is not checked.
    pub(in crate::policy) fn set_revocation_off(&mut self) {
        self.revocation = None;
        self.is_revocation_off = true;
    }

    pub(in crate::policy) fn is_revocation_off(&self) -> bool {
        self.is_revocation_off
    }

    /// Returns true if chains to this root are checked against revocation lists.
    #[cfg(feature = "apim")]
    pub(in crate::policy) fn checks_revocation(&self) -> bool {
        self.revocation.is_some()
    }

    /// Applies the requirements and the revocation lists of another root.
    pub(in crate::policy) fn judged_as(self, other: &Self) -> Self {
        let (requirements, revocation) = (other.requirements.clone(), other.revocation.clone());
        Self { requirements, revocation, ..self }
    }

    /// Returns true if the requirements and the revocation lists of another root are the same.
    pub(in crate::policy) fn is_judged_as(&self, other: &Self) -> bool {
        self.requirements == other.requirements
            && match (&self.revocation, &other.revocation) {
                (Some(own), Some(other)) => own.is_same(other),
                (own, other) => own.is_none() && other.is_none(),
            }
    }

    pub(super) fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// Returns true if no chain can end in this certificate: it is not a CA, and another certificate issued it. A
    /// self-signed one is a chain on its own.
    pub(in crate::policy) fn is_leaf(&self) -> bool {
        !self.is_ca && !self.is_self_issued
    }
}

/// Returns true for a CA: by basicConstraints, or, without the extension, for a self-issued version 1 certificate and for
/// a keyUsage that includes keyCertSign, as in OpenSSL.
fn is_ca(certificate: &PathCertificate<'_>) -> bool {
    if certificate.extensions.basic_constraints.is_some() {
        return certificate.is_ca();
    }
    let is_old = certificate.version == Version::V1 && certificate.is_self_issued();
    is_old || certificate.extensions.key_usage.is_some_and(|usage| usage.key_cert_sign())
}
