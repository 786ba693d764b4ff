//! Validation of one path (RFC 5280, section 6.1). Signatures and name chaining are checked while it is built.

use std::cell::Cell;

use super::{
    certificate::{PathCertificate, Version},
    error::{Failure, PathError, Role},
    names::ConstrainedNames,
    policies::Policies,
    revocation::CrlSigner,
    root::Root,
    signature,
};
use crate::{certificate::Timestamp, policy::ChainRequirements};

/// A valid path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct ValidPath {
    /// The last second in which it is valid.
    pub(in crate::policy) until: Timestamp,
}

/// A path from a root to a client certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'p> {
    pub(super) root: &'p Root,
    /// None if the client certificate itself is listed as a root.
    pub(super) anchor: Option<&'p PathCertificate<'p>>,
    /// From the certificate that the root issued to the client's.
    pub(super) certificates: &'p [&'p PathCertificate<'p>],
    /// Certificates for lists of CAs in the path.
    pub(super) signers: &'p [CrlSigner<'p>],
    /// Signatures that were verified, of all paths.
    pub(super) signatures: &'p Cell<usize>,
    /// Comparisons of names with constraints, of all paths.
    pub(super) comparisons: &'p Cell<usize>,
}

impl Path<'_> {
    pub(super) fn validate(&self, now: Timestamp) -> Result<ValidPath, PathError> {
        let requirements = &*self.root.requirements;
        let length = self.certificates.len();
        let mut until = Timestamp::MAX;
        // 6.1.2.
        let mut names = ConstrainedNames::new(self.comparisons);
        let mut policies = Policies::new(requirements, length);
        let mut max_path_length = length;
        if let Some(anchor) = self.anchor {
            let failed = |failure| error(Role::Root, anchor, failure);
            self.check_anchor(anchor).map_err(failed)?;
            names.push(anchor.extensions.name_constraints.as_ref());
            limit(&mut max_path_length, anchor.path_length());
        }
        if let Some(anchor) = self.anchor.or_else(|| self.certificates.last().copied())
            && !self.root.allow_expired
        {
            within_validity(anchor, now).map_err(|failure| error(Role::Root, anchor, failure))?;
            until = until.min(anchor.validity.not_after);
        }
        for (index, certificate) in self.certificates.iter().enumerate() {
            let is_last = index + 1 == length;
            let role = if is_last { Role::Leaf } else { Role::Ca };
            let failed = |failure| error(role, certificate, failure);
            // 6.1.3.
            check(certificate, requirements, now).map_err(failed)?;
            check_purpose(certificate).map_err(failed)?;
            until = until.min(certificate.validity.not_after);
            if is_last || !certificate.is_self_issued() {
                names.check(certificate).map_err(failed)?;
            }
            policies.process(certificate, is_last).map_err(failed)?;
            if is_last {
                names.check_common_names(certificate).map_err(failed)?;
                break;
            }
            // 6.1.4.
            policies.prepare(certificate);
            names.push(certificate.extensions.name_constraints.as_ref());
            check_ca(certificate, &mut max_path_length).map_err(failed)?;
        }
        // 6.1.5.
        if let Some(leaf) = self.certificates.last() {
            let failed = |failure| error(Role::Leaf, leaf, failure);
            policies.finish(leaf, requirements).map_err(failed)?;
            check_leaf(leaf).map_err(failed)?;
        }
        Ok(ValidPath { until: until.min(self.check_revocation(now)?) })
    }

    /// The constraints of a root's certificate apply, as RFC 5937 and OpenSSL have it.
    fn check_anchor(&self, anchor: &PathCertificate<'_>) -> Result<(), Failure> {
        if !self.root.is_ca() {
            return Err(Failure::NotCa);
        }
        if !anchor.may_sign() {
            return Err(Failure::CaKeyUsage);
        }
        check_key(anchor, &self.root.requirements)?;
        check_critical(anchor)?;
        check_purpose(anchor)
    }
}

pub(super) fn error(role: Role, certificate: &PathCertificate<'_>, failure: Failure) -> PathError {
    PathError { role, name: certificate.subject.to_string(), failure }
}

fn limit(max_path_length: &mut usize, path_length: Option<u32>) {
    *max_path_length = path_length.map_or(*max_path_length, |limit| (*max_path_length).min(limit as usize));
}

fn within_validity(certificate: &PathCertificate<'_>, now: Timestamp) -> Result<(), Failure> {
    let validity = certificate.validity;
    if now < validity.not_before {
        return Err(Failure::NotYetValid(validity.not_before));
    }
    if now > validity.not_after {
        return Err(Failure::Expired(validity.not_after));
    }
    Ok(())
}

/// 6.1.3 (a) (1), (2): the algorithm and the key; the validity period. 6.1.4 (o), 6.1.5 (f): critical extensions.
pub(super) fn check(
    certificate: &PathCertificate<'_>,
    requirements: &ChainRequirements,
    now: Timestamp,
) -> Result<(), Failure> {
    if let Some(accepted) = &requirements.signature_algorithms {
        let algorithm = signature::algorithm(certificate.signed.algorithm).map_err(Failure::Signature)?;
        if !accepted.contains(&algorithm) {
            return Err(Failure::SignatureAlgorithm(algorithm));
        }
    }
    check_key(certificate, requirements)?;
    within_validity(certificate, now)?;
    check_critical(certificate)
}

fn check_key(certificate: &PathCertificate<'_>, requirements: &ChainRequirements) -> Result<(), Failure> {
    let minimum = requirements.minimum_rsa_bits;
    if certificate.key.is_accepted(minimum) {
        return Ok(());
    }
    Err(Failure::Key(certificate.key.clone(), minimum))
}

/// 6.1.4 (k) to (n).
fn check_ca(certificate: &PathCertificate<'_>, max_path_length: &mut usize) -> Result<(), Failure> {
    if certificate.version != Version::V3 {
        return Err(Failure::Version);
    }
    if !certificate.is_ca() {
        return Err(Failure::NotCa);
    }
    if !certificate.is_self_issued() {
        *max_path_length = max_path_length.checked_sub(1).ok_or(Failure::PathLength)?;
    }
    limit(max_path_length, certificate.path_length());
    if certificate.may_sign() { Ok(()) } else { Err(Failure::CaKeyUsage) }
}

fn check_critical(certificate: &PathCertificate<'_>) -> Result<(), Failure> {
    match certificate.extensions.unsupported_critical {
        Some(oid) => Err(Failure::CriticalExtension(super::der::dotted(oid))),
        None => Ok(()),
    }
}

/// 4.2.1.12: clientAuth or anyExtendedKeyUsage in every certificate that has the extension.
fn check_purpose(certificate: &PathCertificate<'_>) -> Result<(), Failure> {
    match certificate.extensions.extended_key_usage {
        Some(usage) if !usage.has_client_auth => Err(Failure::Purpose),
        _ => Ok(()),
    }
}

/// 4.2.1.3: the key signs in the handshake. 4.2.1.10: only CAs have name constraints.
fn check_leaf(leaf: &PathCertificate<'_>) -> Result<(), Failure> {
    if leaf.extensions.name_constraints.is_some() && !leaf.is_ca() {
        return Err(Failure::LeafNameConstraints);
    }
    match leaf.extensions.key_usage {
        Some(usage) if !usage.digital_signature() && !usage.key_agreement() => Err(Failure::LeafKeyUsage),
        _ => Ok(()),
    }
}
