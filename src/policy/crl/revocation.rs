use std::{cmp::Reverse, collections::HashMap, fmt, sync::Arc};

use super::{super::path::signature::Signed, list::RevocationList, status::Issuer};
use crate::certificate::DistinguishedName;

/// Treatment of certificates whose revocation status is unknown: no list covers them, or only an overdue one.
///
/// ```
/// use tower_mtls::policy::{Revocation, RevocationMode};
///
/// assert_eq!(Revocation::new(RevocationMode::Strict, []).mode(), RevocationMode::Strict);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationMode {
    /// Accepted. A certificate that a list contains is rejected, also if the list is overdue.
    Soft,
    /// Rejected, as [`RejectionKind::RevocationUnknown`](crate::policy::RejectionKind::RevocationUnknown).
    Strict,
}

/// Revocation lists of a trust set, and the [mode](RevocationMode). Cheap to clone.
///
/// Applies to every certificate of a chain but its trust anchor. A certificate is
/// 1. *revoked* if a list of its issuer contains its serial number;
/// 2. *good* if the current lists of its issuer cover it for all reasons of revocation;
/// 3. *unknown* otherwise.
///
/// A list counts only if its signature verifies with the key of the issuer's certificate in the chain, whose keyUsage, if
/// present, must include cRLSign. An issuer can have several lists: for some reasons or distribution points each, and by
/// several keys. Of lists for the same purpose, the one with the highest CRL number counts.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = rcgen::KeyPair::generate()?;
/// # let mut params = rcgen::CertificateParams::default();
/// # params.distinguished_name.push(rcgen::DnType::CommonName, "root");
/// # let issuer = rcgen::Issuer::new(params, key);
/// # let crl = rcgen::CertificateRevocationListParams {
/// #     this_update: rcgen::date_time_ymd(2026, 1, 1),
/// #     next_update: rcgen::date_time_ymd(2026, 2, 1),
/// #     crl_number: 7.into(),
/// #     issuing_distribution_point: None,
/// #     revoked_certs: vec![],
/// #     key_identifier_method: rcgen::KeyIdMethod::Sha256,
/// # };
/// # let pem = crl.signed_by(&issuer)?.pem()?;
/// use tower_mtls::policy::{Revocation, RevocationList, RevocationMode};
///
/// let revocation = Revocation::new(RevocationMode::Soft, RevocationList::read(pem.into_bytes())?);
/// assert_eq!(revocation.lists().len(), 1);
/// assert_eq!(revocation.unverified(), 1); // no issuer's key yet
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Revocation(Arc<Inner>);

struct Inner {
    mode: RevocationMode,
    lists: Box<[RevocationList]>,
    /// By series, the newest of each first.
    by_issuer: HashMap<DistinguishedName, Vec<RevocationList>>,
}

impl Revocation {
    /// Checks certificates against these lists.
    pub fn new(mode: RevocationMode, lists: impl IntoIterator<Item = RevocationList>) -> Self {
        let lists: Box<[_]> = lists.into_iter().collect();
        let mut by_issuer: HashMap<_, Vec<RevocationList>> = HashMap::new();
        for list in &lists {
            by_issuer.entry(list.issuer().clone()).or_default().push(list.clone());
        }
        for lists in by_issuer.values_mut() {
            lists.sort_by(|one, other| {
                (one.series(), Reverse(one.age())).cmp(&(other.series(), Reverse(other.age())))
            });
        }
        Self(Arc::new(Inner { mode, lists, by_issuer }))
    }

    /// Returns true for clones of one value.
    pub(in crate::policy) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The treatment of an unknown status.
    pub fn mode(&self) -> RevocationMode {
        self.0.mode
    }

    /// The lists, in the given order.
    pub fn lists(&self) -> &[RevocationList] {
        &self.0.lists
    }

    /// The number of lists that are not used, because no key of their issuer has verified their signature yet.
    pub fn unverified(&self) -> usize {
        self.0.lists.iter().filter(|list| !list.is_verified()).count()
    }

    /// Verifies and indexes the lists of this issuer now instead of with the first chain. `verify` as in
    /// [`status`](Self::status).
    pub(in crate::policy) fn verify_lists_of(
        &self,
        issuer: &Issuer<'_>,
        verify: &mut dyn FnMut(&Signed<'_>, &[u8]) -> Option<bool>,
    ) {
        for list in self.lists_of(issuer.name) {
            list.is_signed_by(issuer.spki, verify);
        }
    }

    /// The lists of an issuer: by series, the newest of each first.
    pub(super) fn lists_of(&self, issuer: &DistinguishedName) -> &[RevocationList] {
        self.0.by_issuer.get(issuer).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").field("mode", &self.0.mode).field("lists", &self.0.lists).finish()
    }
}
