use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    super::path::signature::{self, Signed},
    error::RevocationListError,
    limitation::RevocationListLimitation,
    proof::Proof,
    read,
    scope::Scope,
};
use crate::{
    certificate::{DistinguishedName, SerialNumber, Timestamp},
    policy::SignatureAlgorithm,
};

/// A certificate revocation list (CRL): parsed and indexed once, cheap to clone.
///
/// Takes 8, 16, 20 or 32 bytes for an entry, depending on the length of its serial number. Until the signature is verified,
/// the list is not used, and its encoding is kept in place of the index. The signatures of lists of roots are verified by
/// [`TrustAnchors::with_revocation`](crate::TrustAnchors::with_revocation), those of an intermediate's with the first valid
/// chain. Clones share the result.
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
/// #     revoked_certs: vec![rcgen::RevokedCertParams {
/// #         serial_number: 0x1a2b.into(),
/// #         revocation_time: rcgen::date_time_ymd(2026, 1, 1),
/// #         reason_code: None,
/// #         invalidity_date: None,
/// #     }],
/// #     key_identifier_method: rcgen::KeyIdMethod::Sha256,
/// # };
/// # let pem = crl.signed_by(&issuer)?.pem()?;
/// use tower_mtls::policy::RevocationList;
///
/// let lists = RevocationList::read(pem.into_bytes())?;
/// let [list] = &lists[..] else { panic!("one list") };
/// assert_eq!(list.issuer().only_common_name(), Some("root"));
/// assert_eq!(list.number(), Some(&[7][..]));
/// assert_eq!(list.next_update().map(|time| time.to_string()), Some("2026-02-01T00:00:00Z".into()));
/// assert!(list.contains(&"1A2B".parse()?) && !list.contains(&"1A2C".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RevocationList(Arc<Inner>);

pub(super) struct Inner {
    pub(super) issuer: DistinguishedName,
    pub(super) number: Option<Box<[u8]>>,
    pub(super) key_id: Option<Box<[u8]>>,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Option<Timestamp>,
    pub(super) scope: Scope,
    pub(super) is_delta: bool,
    pub(super) limitation: Option<RevocationListLimitation>,
    /// None if it is not supported, so that no key verifies the signature.
    pub(super) algorithm: Option<SignatureAlgorithm>,
    pub(super) entries: usize,
    pub(super) encoded_len: usize,
    pub(super) proof: Proof,
}

impl RevocationList {
    /// Reads one DER-encoded list, or PEM (see [`pem`](crate::keys::pem)) with one or more `X509 CRL` blocks. Signatures are
    /// not verified here.
    ///
    /// A `Vec<u8>` is used in place; other types are copied. Version 1 and 2 are accepted.
    ///
    /// # Errors
    ///
    /// 1. The bytes are neither a DER-encoded list nor PEM, or a PEM block is incomplete or not a list.
    /// 2. A list is truncated, or followed by other bytes.
    /// 3. A field, an entry or an extension is malformed, or an extension appears twice.
    /// 4. A limit is exceeded: 512 MiB, 256 lists, 64 extensions, 4 KiB for a name, 32 bytes for a serial number, 20 bytes
    ///    for a CRL number.
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
    /// # let crl = crl.signed_by(&issuer)?;
    /// # let (der, pem) = (crl.der().to_vec(), crl.pem()?);
    /// use tower_mtls::policy::RevocationList;
    ///
    /// assert_eq!(RevocationList::read(pem.repeat(2).into_bytes())?.len(), 2);
    ///
    /// let error = RevocationList::read(&der[..der.len() - 1]).unwrap_err();
    /// assert!(error.to_string().starts_with("truncated: "));
    /// # Ok(())
    /// # }
    /// ```
    pub fn read<'a>(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Vec<Self>, RevocationListError> {
        read::read(bytes.into())
    }

    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The issuer's name. Proved only if [`is_verified`](Self::is_verified).
    pub fn issuer(&self) -> &DistinguishedName {
        &self.0.issuer
    }

    /// The CRL number: big-endian bytes without leading zeros. Higher numbers replace lower ones.
    pub fn number(&self) -> Option<&[u8]> {
        self.0.number.as_deref()
    }

    /// The key identifier of the authorityKeyIdentifier extension, which selects among the issuer's keys.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.key_id.as_deref()
    }

    /// The time of issue (thisUpdate).
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// The time by which the next list is issued (nextUpdate). The list is overdue after it.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.next_update
    }

    /// The number of entries.
    #[expect(clippy::len_without_is_empty, reason = "a list without entries is usual")]
    pub fn len(&self) -> usize {
        self.0.entries
    }

    /// The length of the encoding, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.0.encoded_len
    }

    /// Returns true if an entry revokes the issuer's certificate with this serial number. Entries of a delta CRL that end a
    /// revocation do not count, nor do those of an indirect CRL that are about certificates of another issuer.
    ///
    /// Takes less than a microsecond for a verified list. An unverified one has no index, so that all its entries are read.
    pub fn contains(&self, serial: &SerialNumber) -> bool {
        self.lists(serial.as_bytes())
    }

    /// Returns true if a key of its issuer has verified the signature.
    pub fn is_verified(&self) -> bool {
        self.0.proof.is_verified()
    }

    /// Reason why the list does not establish that a certificate is not revoked; None for a complete list.
    pub fn limitation(&self) -> Option<&RevocationListLimitation> {
        self.0.limitation.as_ref()
    }

    /// As [`contains`](Self::contains), by the content bytes of the INTEGER.
    pub(super) fn lists(&self, serial: &[u8]) -> bool {
        self.0.proof.lists(&self.0.issuer, serial)
    }

    pub(super) fn algorithm(&self) -> Option<SignatureAlgorithm> {
        self.0.algorithm
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.0.scope
    }

    pub(super) fn is_delta(&self) -> bool {
        self.0.is_delta
    }

    /// Key of the order of lists: those of one issuer and scope are adjacent.
    pub(super) fn series(&self) -> (&[u8], bool) {
        (&self.0.scope.encoding, self.0.is_delta)
    }

    /// Age within a series: by number, then by time of issue.
    pub(super) fn age(&self) -> (usize, Option<&[u8]>, Timestamp) {
        (self.number().map_or(0, <[u8]>::len), self.number(), self.this_update())
    }

    /// Returns true if this list, which is not older, makes one of the same series superfluous.
    pub(super) fn replaces(&self, older: &Self, now: Timestamp) -> bool {
        let is_later = older.this_update() <= self.this_update() && self.this_update() <= now;
        self.series() == older.series() && self.limitation().is_none() && is_later
    }

    /// The key that signed the list, if it is verified.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.0.proof.key()
    }

    /// Verifies the list with the key that signed an earlier one of the same issuer. Returns false if there is none.
    ///
    /// ```
    /// use tower_mtls::policy::RevocationList;
    ///
    /// /// True unless the lists are of different keys.
    /// fn is_next(current: &RevocationList, next: &RevocationList) -> bool {
    ///     !current.is_verified() || next.verify_as(current)
    /// }
    /// ```
    pub fn verify_as(&self, earlier: &Self) -> bool {
        let verify = &mut |signed: &Signed<'_>, spki: &[u8]| Some(signature::verify(signed, spki).is_ok());
        self.issuer() == earlier.issuer() && earlier.key().is_some_and(|key| self.is_signed_by(key, verify))
    }

    /// Returns true if this key of the issuer signed the list.
    pub(super) fn is_signed_by(
        &self,
        spki: &[u8],
        verify: &mut dyn FnMut(&Signed<'_>, &[u8]) -> Option<bool>,
    ) -> bool {
        self.0.proof.is_signed_by(&self.0.issuer, spki, verify)
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("issuer", &format_args!("{}", self.0.issuer))
            .field("this_update", &format_args!("{}", self.0.this_update))
            .field("entries", &self.0.entries)
            .field("is_verified", &self.is_verified())
            .finish_non_exhaustive()
    }
}
