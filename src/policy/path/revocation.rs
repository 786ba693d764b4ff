//! Revocation status along a path (RFC 5280, sections 6.1.3 (a) (3) and 6.3.3).

use super::{
    build::MAX_SIGNATURES,
    certificate::PathCertificate,
    error::{Failure, PathError, Role},
    signature,
    validate::{Path, error},
};
use crate::{
    certificate::Timestamp,
    policy::{
        ChainRequirements, Revocation, RevocationMode,
        crl::{Issuer, Status, Subject, UnknownReason},
    },
};

/// A certificate for signing lists that is not in the path, and its issuer, which is.
#[derive(Debug, Clone, Copy)]
pub(super) struct CrlSigner<'p> {
    pub(super) certificate: &'p PathCertificate<'p>,
    pub(super) issuer: &'p PathCertificate<'p>,
}

/// Seconds after which a status is determined again while a list of the issuer is not verified.
const RETRY_AFTER: i64 = 60;

impl Path<'_> {
    /// Returns the time at which a status ends. A listed client certificate has no issuer, and no status.
    pub(super) fn check_revocation(&self, now: Timestamp) -> Result<Timestamp, PathError> {
        let (Some(revocation), Some(anchor)) = (&self.root.revocation, self.anchor) else {
            return Ok(Timestamp::MAX);
        };
        let mut until = Timestamp::MAX;
        // The last one is the issuer of the next.
        let mut above = vec![anchor];
        for (index, certificate) in self.certificates.iter().enumerate() {
            let role = if index + 1 == self.certificates.len() { Role::Leaf } else { Role::Ca };
            let status = self.status(revocation, certificate, &above, now);
            if self.is_exhausted() {
                return Err(error(role, certificate, Failure::TOO_MANY_STEPS));
            }
            match status {
                Status::Good { until: end } => until = until.min(end),
                Status::Revoked => return Err(error(role, certificate, Failure::Revoked)),
                Status::Unknown(reason) if revocation.mode() == RevocationMode::Strict => {
                    return Err(error(role, certificate, Failure::RevocationUnknown(reason.to_string())));
                }
                Status::Unknown(_) => {}
            }
            // A key that another chain brings may verify it, and the list revoke the certificate.
            if revocation.has_unverified(&certificate.issuer) {
                until = until.min(now.plus(RETRY_AFTER));
            }
            above.push(certificate);
        }
        Ok(until)
    }

    /// The status by the lists that a key of the issuer signed: the one that signed the certificate, one of the same name
    /// above it, or one for lists only. Revoked by any of them is revoked.
    fn status(
        &self,
        revocation: &Revocation,
        certificate: &PathCertificate<'_>,
        above: &[&PathCertificate<'_>],
        now: Timestamp,
    ) -> Status {
        let issuers = above.iter().rev().copied().filter(|issuer| issuer.subject == certificate.issuer);
        let issuers = issuers.map(|issuer| (issuer, Timestamp::MAX));
        let signers = self.signers.iter().filter_map(|signer| {
            // A CA does not decide about itself and those above it.
            let is_above = above.iter().any(|ca| std::ptr::eq(*ca, signer.issuer));
            if !is_above || signer.certificate.subject != certificate.issuer {
                return None;
            }
            let until = match self.status_by(revocation, signer.certificate, signer.issuer, now) {
                Status::Good { until } => until,
                Status::Unknown(_) if revocation.mode() == RevocationMode::Soft => Timestamp::MAX,
                Status::Unknown(_) | Status::Revoked => return None,
            };
            Some((signer.certificate, until.min(signer.certificate.validity.not_after)))
        });
        let (mut good, mut unknown): (Option<Timestamp>, Option<UnknownReason>) = (None, None);
        for (issuer, end) in issuers.chain(signers) {
            match self.status_by(revocation, certificate, issuer, now) {
                Status::Revoked => return Status::Revoked,
                Status::Good { until } => good = good.max(Some(until.min(end))),
                Status::Unknown(UnknownReason::Signature | UnknownReason::KeyUsage) if unknown.is_some() => {}
                Status::Unknown(reason) => unknown = Some(reason),
            }
        }
        if revocation.is_listed(&certificate.issuer, certificate.serial, now) {
            return Status::Revoked;
        }
        match good {
            Some(until) => Status::Good { until },
            None => Status::Unknown(unknown.unwrap_or(UnknownReason::NoList)),
        }
    }

    fn status_by(
        &self,
        revocation: &Revocation,
        certificate: &PathCertificate<'_>,
        issuer: &PathCertificate<'_>,
        now: Timestamp,
    ) -> Status {
        if self.is_exhausted() {
            return Status::Unknown(UnknownReason::Signature);
        }
        let subject = Subject {
            issuer: &certificate.issuer,
            serial: certificate.serial,
            is_ca: certificate.is_ca(),
            distribution_points: certificate.extensions.crl_distribution_points,
        };
        let issuer = issuer.as_crl_issuer(&self.root.requirements);
        revocation.status(&subject, &issuer, now, &mut |signed, spki| {
            if self.is_exhausted() {
                return None;
            }
            let is_signed = signature::verify(signed, spki).is_ok();
            // A list is verified once; any number of keys may fail to.
            self.signatures.set(self.signatures.get() + usize::from(!is_signed));
            Some(is_signed)
        })
    }

    fn is_exhausted(&self) -> bool {
        self.signatures.get() > MAX_SIGNATURES
    }
}

impl PathCertificate<'_> {
    pub(super) fn as_crl_issuer<'a>(&'a self, requirements: &'a ChainRequirements) -> Issuer<'a> {
        Issuer {
            name: &self.subject,
            spki: self.spki,
            may_sign_crls: self.extensions.key_usage.is_none_or(|usage| usage.crl_sign()),
            signature_algorithms: requirements.signature_algorithms.as_deref(),
        }
    }
}
