use std::fmt;

/// Reason why a revocation list alone does not establish that a certificate is not revoked.
///
/// The certificates that such a list contains are revoked. For all others of its issuer the status is unknown, unless
/// another list covers them.
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
/// #     crl_number: 1.into(),
/// #     issuing_distribution_point: None,
/// #     revoked_certs: vec![],
/// #     key_identifier_method: rcgen::KeyIdMethod::Sha256,
/// # };
/// # let complete = crl.signed_by(&issuer)?.der().to_vec();
/// use tower_mtls::policy::{RevocationList, RevocationListLimitation};
///
/// let [list] = &RevocationList::read(complete)?[..] else { panic!("one list") };
/// assert_eq!(list.limitation(), None);
/// assert!(RevocationListLimitation::Delta.to_string().starts_with("a delta CRL"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationListLimitation {
    /// A critical extension of the list or of an entry is not supported, or not critical in RFC 5280. Its dotted OID.
    CriticalExtension(String),
    /// A delta CRL (RFC 5280, section 5.2.4).
    Delta,
    /// An indirect CRL (RFC 5280, section 5.2.5).
    Indirect,
    /// Without a CRL number, which RFC 5280, section 5.2.3, requires.
    NoNumber,
    /// Without the time of the next list, which RFC 5280, section 5.1.2.5, requires.
    NoNextUpdate,
}

impl fmt::Display for RevocationListLimitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CriticalExtension(oid) => {
                return write!(f, "its critical extension {oid} is not supported");
            }
            Self::Delta => "a delta CRL is not supported; add the complete CRL",
            Self::Indirect => "an indirect CRL is not supported; add the CRL of the certificates' own issuer",
            Self::NoNumber => "it has no CRL number; issue it with one (`crlnumber` of `openssl ca`)",
            Self::NoNextUpdate => "it has no nextUpdate, so that it never becomes overdue",
        })
    }
}
