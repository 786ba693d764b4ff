use std::fmt;

use super::list::RevocationList;
use crate::certificate::{DistinguishedName, Timestamp};

/// Error of [`RevocationList::check_replacement`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = rcgen::KeyPair::generate()?;
/// # let mut params = rcgen::CertificateParams::default();
/// # params.distinguished_name.push(rcgen::DnType::CommonName, "root");
/// # let issuer = rcgen::Issuer::new(params, key);
/// # let crl = |number: u64| rcgen::CertificateRevocationListParams {
/// #     this_update: rcgen::date_time_ymd(2026, 1, 1),
/// #     next_update: rcgen::date_time_ymd(2026, 2, 1),
/// #     crl_number: number.into(),
/// #     issuing_distribution_point: None,
/// #     revoked_certs: vec![],
/// #     key_identifier_method: rcgen::KeyIdMethod::Sha256,
/// # };
/// # let [seven, eight] =
/// #     [7, 8].map(|number| crl(number).signed_by(&issuer).and_then(|crl| crl.pem()).unwrap_or_default());
/// use tower_mtls::policy::{ReplacementError, RevocationList};
///
/// let seven = RevocationList::read(seven.into_bytes())?;
/// let eight = RevocationList::read(eight.into_bytes())?;
/// assert_eq!(RevocationList::check_replacement(&seven, &eight), Ok(()));
///
/// let error: ReplacementError = RevocationList::check_replacement(&eight, &seven).unwrap_err();
/// assert_eq!(error.issuer().to_string(), "CN=root");
/// assert_eq!(error.to_string(), "CRL of CN=root: its number falls from 08 to 07");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplacementError {
    /// The new lists have none of this issuer.
    #[non_exhaustive]
    MissingIssuer {
        /// The issuer.
        issuer: DistinguishedName,
    },
    /// The new lists have none of this issuer for the same distribution point, certificates and reasons.
    #[non_exhaustive]
    MissingScope {
        /// The issuer.
        issuer: DistinguishedName,
    },
    /// The CRL number is lower, or missing.
    #[non_exhaustive]
    LowerNumber {
        /// The issuer.
        issuer: DistinguishedName,
        /// The number of the old list.
        old: Vec<u8>,
        /// The number of the new list.
        new: Option<Vec<u8>>,
    },
    /// The list is issued before the one that it replaces.
    #[non_exhaustive]
    Older {
        /// The issuer.
        issuer: DistinguishedName,
        /// The time of issue of the old list.
        old: Timestamp,
        /// The time of issue of the new list.
        new: Timestamp,
    },
}

impl ReplacementError {
    /// The issuer of the list that would be lost.
    pub fn issuer(&self) -> &DistinguishedName {
        match self {
            Self::MissingIssuer { issuer }
            | Self::MissingScope { issuer }
            | Self::LowerNumber { issuer, .. }
            | Self::Older { issuer, .. } => issuer,
        }
    }
}

impl fmt::Display for ReplacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |number: &[u8]| number.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        write!(f, "CRL of {}: ", self.issuer())?;
        match self {
            Self::MissingIssuer { .. } => f.write_str("it is missing"),
            Self::MissingScope { .. } => f.write_str("the one for the same distribution point is missing"),
            Self::LowerNumber { old, new: Some(new), .. } => {
                write!(f, "its number falls from {} to {}", hex(old), hex(new))
            }
            Self::LowerNumber { old, new: None, .. } => write!(f, "its number {} is missing", hex(old)),
            Self::Older { old, new, .. } => write!(f, "issued at {new}, before the current one of {old}"),
        }
    }
}

impl std::error::Error for ReplacementError {}

impl RevocationList {
    /// Checks that new lists of a file or an address may replace the old ones: a server that serves an old copy, or a file
    /// that was cut between two lists, would admit revoked certificates.
    ///
    /// Omit lists from `old` whose issuer is not configured any more. Lists with another key identifier replace those of
    /// the same issuer and distribution point, as after a renewal with a new key. Old delta CRLs may be omitted by the new
    /// lists.
    ///
    /// # Errors
    ///
    /// 1. [`ReplacementError::MissingIssuer`]: an issuer of the old lists has none in the new ones.
    /// 2. [`ReplacementError::MissingScope`]: an issuer has lists, but none for the same distribution point.
    /// 3. [`ReplacementError::LowerNumber`]: a list has a lower CRL number than the old one with the same key identifier.
    /// 4. [`ReplacementError::Older`]: a list was issued before the old one.
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
    /// use tower_mtls::policy::RevocationList;
    ///
    /// let lists = RevocationList::read(pem.into_bytes())?;
    /// assert!(RevocationList::check_replacement(&lists, &lists).is_ok()); // unchanged
    /// assert!(RevocationList::check_replacement(&lists, &[]).is_err()); // the issuer is missing
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_replacement(old: &[Self], new: &[Self]) -> Result<(), ReplacementError> {
        old.iter().try_for_each(|old| old.check_replacement_by(new))
    }

    fn check_replacement_by(&self, new: &[Self]) -> Result<(), ReplacementError> {
        let issuer = || self.issuer().clone();
        let of_issuer = || new.iter().filter(|list| list.issuer() == self.issuer());
        let of_series = || of_issuer().filter(|list| list.series() == self.series());
        let Some(newest) = of_series().max_by_key(|list| list.age()) else {
            return match of_issuer().next() {
                _ if self.is_delta() => Ok(()),
                None => Err(ReplacementError::MissingIssuer { issuer: issuer() }),
                Some(_) => Err(ReplacementError::MissingScope { issuer: issuer() }),
            };
        };
        let of_key = of_series().filter(|list| list.authority_key_id() == self.authority_key_id());
        let same_key = of_key.max_by_key(|list| list.age());
        if let (Some(list), Some(old)) = (same_key, self.number())
            && (list.age().0, list.age().1) < (self.age().0, self.age().1)
        {
            let new = list.number().map(Into::into);
            return Err(ReplacementError::LowerNumber { issuer: issuer(), old: old.into(), new });
        }
        let new = same_key.unwrap_or(newest).this_update();
        if new < self.this_update() {
            return Err(ReplacementError::Older { issuer: issuer(), old: self.this_update(), new });
        }
        Ok(())
    }
}
