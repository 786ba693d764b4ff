//! Revocation status of one certificate (RFC 5280, section 6.3.3, without delta CRLs and indirect CRLs).

use std::{cmp::Reverse, fmt};

use super::{
    super::path::signature::Signed,
    limitation::RevocationListLimitation,
    list::RevocationList,
    revocation::Revocation,
    scope::{Points, Reasons},
};
use crate::{
    certificate::{DistinguishedName, Timestamp},
    policy::SignatureAlgorithm,
};

/// The certificate whose status is determined.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Subject<'a> {
    pub(in crate::policy) issuer: &'a DistinguishedName,
    /// Content bytes of the serial number.
    pub(in crate::policy) serial: &'a [u8],
    /// True if basicConstraints has cA.
    pub(in crate::policy) is_ca: bool,
    /// Value of the cRLDistributionPoints extension.
    pub(in crate::policy) distribution_points: Option<&'a [u8]>,
}

/// A key that may sign lists: that of the certificate's issuer in a valid path, or of another certificate with the same
/// name that is itself valid under the same trust anchor.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Issuer<'a> {
    pub(in crate::policy) name: &'a DistinguishedName,
    pub(in crate::policy) spki: &'a [u8],
    /// True if keyUsage is absent or includes cRLSign. Otherwise a list only revokes.
    pub(in crate::policy) may_sign_crls: bool,
    /// Accepted algorithms of lists; None accepts all. A list that is signed with another one only revokes.
    pub(in crate::policy) signature_algorithms: Option<&'a [SignatureAlgorithm]>,
}

/// Revocation status of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Status {
    /// Not revoked, until the earliest nextUpdate of the lists that are needed for it.
    Good {
        until: Timestamp,
    },
    Revoked,
    Unknown(UnknownReason),
}

/// Reason why the status is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum UnknownReason {
    /// No list of the issuer is configured.
    NoList,
    /// The issuer's keyUsage lacks cRLSign.
    KeyUsage,
    /// No list of the issuer is signed by this key.
    Signature,
    /// The list is signed with this algorithm, which is not accepted.
    SignatureAlgorithm(SignatureAlgorithm),
    /// The list is issued in the future.
    NotYetValid(Timestamp),
    /// The list is overdue since this time.
    Overdue(Timestamp),
    /// The list is for other certificates.
    Scope,
    /// The lists cover some reasons of revocation only.
    SomeReasons,
    /// The certificate's distribution points are malformed.
    DistributionPoints,
    Limitation(RevocationListLimitation),
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoList => "no CRL of its issuer is loaded",
            Self::KeyUsage => "the key usage of its issuer lacks cRLSign",
            Self::Signature => "no CRL of its issuer is signed by the issuer's key",
            Self::SignatureAlgorithm(algorithm) => {
                return write!(
                    f,
                    "the CRL of its issuer is signed with {algorithm}, which is not among signature_algorithms"
                );
            }
            Self::NotYetValid(time) => return write!(f, "the CRL of its issuer is not valid before {time}"),
            Self::Overdue(time) => return write!(f, "the CRL of its issuer is overdue since {time}"),
            Self::Scope => "the CRLs of its issuer are for other certificates or distribution points",
            Self::SomeReasons => "the CRLs of its issuer cover some reasons of revocation only",
            Self::DistributionPoints => "its CRL distribution points are malformed",
            Self::Limitation(limitation) => return write!(f, "the CRL of its issuer: {limitation}"),
        })
    }
}

impl Revocation {
    /// The status of a certificate by the lists that this issuer's key signed.
    ///
    /// Call it for valid paths only: `verify` runs once for each list and key, and its result is kept, so it must depend on
    /// its arguments only. A list of 1,000,000 entries takes about 0.2 s.
    pub(in crate::policy) fn status(
        &self,
        subject: &Subject<'_>,
        issuer: &Issuer<'_>,
        now: Timestamp,
        verify: &mut dyn FnMut(&Signed<'_>, &[u8]) -> Option<bool>,
    ) -> Status {
        let lists = self.lists_of(subject.issuer);
        if lists.is_empty() || issuer.name != subject.issuer {
            return Status::Unknown(UnknownReason::NoList);
        }
        let mut newest: Vec<&RevocationList> = Vec::new();
        for list in lists {
            // Lists are sorted: the newest verified one of a series is before the older ones.
            let is_replaced = newest.last().is_some_and(|newer| newer.replaces(list, now));
            if !is_replaced && list.is_signed_by(issuer.spki, verify) {
                newest.push(list);
            }
        }
        // The serial numbers of attribute certificates are others.
        let is_listed = |list: &&RevocationList| !list.scope().only_attributes && list.lists(subject.serial);
        if newest.iter().any(is_listed) {
            return Status::Revoked;
        }
        // Another certificate with this key may have cRLSign: without it, a list only revokes.
        if !issuer.may_sign_crls {
            return Status::Unknown(UnknownReason::KeyUsage);
        }
        let Some(points) = Points::read(subject.distribution_points, subject.issuer) else {
            return Status::Unknown(UnknownReason::DistributionPoints);
        };
        // The lists that are valid for the longest time are used first.
        newest.sort_by_key(|list| Reverse(list.next_update()));
        let (mut covered, mut problem) = (Reasons::NONE, None);
        for list in newest {
            match coverage(list, subject, issuer, &points, now) {
                Ok((reasons, until)) => {
                    covered = covered.or(reasons);
                    if covered == Reasons::ALL {
                        return Status::Good { until };
                    }
                }
                Err(reason) => problem = problem.or(Some(reason)),
            }
        }
        Status::Unknown(match problem {
            _ if covered != Reasons::NONE => UnknownReason::SomeReasons,
            Some(reason) => reason,
            None => UnknownReason::Signature,
        })
    }

    /// Returns true if a verified list contains the number, whichever key of this name signed it: that of an anchor, or of
    /// an earlier chain. So a caller cannot hide a list by leaving out the certificate of its key.
    pub(in crate::policy) fn is_listed(
        &self,
        issuer: &DistinguishedName,
        serial: &[u8],
        now: Timestamp,
    ) -> bool {
        let mut newest: Vec<&RevocationList> = Vec::new();
        for list in self.lists_of(issuer).iter().filter(|list| list.is_verified()) {
            if !newest.iter().any(|newer| newer.key() == list.key() && newer.replaces(list, now)) {
                newest.push(list);
            }
        }
        newest.iter().any(|list| !list.scope().only_attributes && list.lists(serial))
    }

    /// Returns true if a list of this issuer may be verified by a later chain.
    pub(in crate::policy) fn has_unverified(&self, issuer: &DistinguishedName) -> bool {
        self.lists_of(issuer).iter().any(|list| !list.is_verified())
    }
}

/// The reasons for which a list shows that a certificate is not revoked, and the end of its validity.
fn coverage(
    list: &RevocationList,
    subject: &Subject<'_>,
    issuer: &Issuer<'_>,
    points: &Points,
    now: Timestamp,
) -> Result<(Reasons, Timestamp), UnknownReason> {
    if let Some(limitation) = list.limitation() {
        return Err(UnknownReason::Limitation(limitation.clone()));
    }
    let accepted = issuer.signature_algorithms;
    if let Some(algorithm) = list.algorithm().filter(|used| accepted.is_some_and(|all| !all.contains(used))) {
        return Err(UnknownReason::SignatureAlgorithm(algorithm));
    }
    let reasons = list.scope().coverage(subject.is_ca, points);
    if reasons == Reasons::NONE {
        return Err(UnknownReason::Scope);
    }
    if now < list.this_update() {
        return Err(UnknownReason::NotYetValid(list.this_update()));
    }
    match list.next_update() {
        Some(until) if now <= until => Ok((reasons, until)),
        Some(since) => Err(UnknownReason::Overdue(since)),
        None => Err(UnknownReason::Limitation(RevocationListLimitation::NoNextUpdate)),
    }
}
