//! Revoked certificates: CRLs, and a status that is unknown.
//!
//! An authority publishes the serial numbers of its revoked certificates in a certificate revocation list (CRL; RFC 5280,
//! section 5). [`RevocationList::read`] reads it from PEM or DER; [`TrustAnchors::with_revocation`] checks every certificate
//! of a chain but the root against the lists of its issuer.
//!
//! | status | reason | [`Soft`] | [`Strict`] |
//! |---|---|---|---|
//! | revoked | a list contains the serial number, also if it is overdue | rejected as `revoked` | rejected as `revoked` |
//! | good | current lists cover the certificate for all reasons | accepted | accepted |
//! | unknown | no list, an overdue one, or one that does not cover the certificate | accepted | rejected as `revocation_unknown` |
//!
//! With [`Strict`], every authority of a chain needs a list that is renewed before its nextUpdate: an authority that stops
//! publishing stops its clients. With [`Soft`], a missing list goes unnoticed: watch
//! [`next_update`](crate::policy::RevocationList::next_update) and
//! [`limitation`](crate::policy::RevocationList::limitation).
//!
//! ```
//! # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = rcgen::KeyPair::generate()?;
//! # let mut params = rcgen::CertificateParams::default();
//! # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
//! # params.distinguished_name.push(rcgen::DnType::CommonName, "root");
//! # let ca_pem = params.self_signed(&key)?.pem();
//! # let issuer = rcgen::Issuer::new(params, key);
//! # let client = |serial: u64| {
//! #     let mut params = rcgen::CertificateParams::default();
//! #     params.serial_number = Some(serial.into());
//! #     Ok::<_, Box<dyn std::error::Error>>(params.signed_by(&rcgen::KeyPair::generate()?, &issuer)?)
//! # };
//! # let (orders, stolen) = (client(1)?, client(2)?);
//! # let crl_of = |crl_number: u64, serials: &[u64]| {
//! #     let revoked = |serial: &u64| rcgen::RevokedCertParams {
//! #         serial_number: (*serial).into(),
//! #         revocation_time: rcgen::date_time_ymd(2026, 1, 1),
//! #         reason_code: None,
//! #         invalidity_date: None,
//! #     };
//! #     let crl = rcgen::CertificateRevocationListParams {
//! #         this_update: rcgen::date_time_ymd(2026, 1, 1),
//! #         next_update: rcgen::date_time_ymd(2026, 2, 1),
//! #         crl_number: crl_number.into(),
//! #         issuing_distribution_point: None,
//! #         revoked_certs: serials.iter().map(revoked).collect(),
//! #         key_identifier_method: rcgen::KeyIdMethod::Sha256,
//! #     };
//! #     crl.signed_by(&issuer)?.pem()
//! # };
//! # let (crl_pem, new_crl_pem) = (crl_of(1, &[])?, crl_of(2, &[2])?);
//! # let (orders, stolen) = [orders, stolen].map(|client| Presented::from_der_chain([&client.der()[..]])).into();
//! # let now = Timestamp::from_unix(1_768_000_000); // 9 January 2026
//! use tower_mtls::{
//!     Policy, Shared, TrustAnchors,
//!     certificate::{Presented, Timestamp},
//!     policy::{RejectionKind, Revocation, RevocationList, RevocationMode},
//! };
//!
//! let policy_with = |lists: Vec<RevocationList>| -> Result<Policy, Box<dyn std::error::Error>> {
//!     let roots = TrustAnchors::from_pem(&ca_pem)?;
//!     Ok(Policy::builder().trust(roots.with_revocation(Revocation::new(RevocationMode::Strict, lists))).build()?)
//! };
//! let lists = RevocationList::read(crl_pem.into_bytes())?;
//! let policy = Shared::new(policy_with(lists.clone())?);
//! assert!(policy.current().judge(&orders, now).is_ok());
//! assert!(policy.current().judge(&stolen, now).is_ok());
//!
//! // The authority has published a new list. An older copy, or a file without the issuer, is an error.
//! let new = RevocationList::read(new_crl_pem.into_bytes())?;
//! RevocationList::check_replacement(&lists, &new)?;
//! policy.replace(policy_with(new)?);
//! assert!(policy.current().judge(&orders, now).is_ok());
//! let rejection = policy.current().judge(&stolen, now).unwrap_err();
//! assert_eq!(rejection.kind(), RejectionKind::Revoked);
//!
//! // The list is overdue from February on.
//! let rejection = policy.current().judge(&orders, now.plus(31 * 86_400)).unwrap_err();
//! assert_eq!(rejection.kind(), RejectionKind::RevocationUnknown);
//! # Ok(())
//! # }
//! # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
//! # fn main() {}
//! ```
//!
//! # Lists that count
//!
//! A list counts if the key of the issuer in the chain signed it; keyUsage, if the issuer's certificate has it, must include
//! cRLSign. The signature is verified once for each list and key: by [`TrustAnchors::with_revocation`] for lists of the
//! roots, with the first valid chain for those of intermediates. Until then the encoding is kept beside the index of serial
//! numbers, which takes 20 bytes for most entries. [`Revocation::unverified`] counts such lists.
//!
//! Several lists of one issuer are used together: those of its old and its new key, and those for some distribution points,
//! kinds of certificates or reasons (issuingDistributionPoint). Of several lists for the same purpose the highest CRL number
//! counts.
//!
//! # Not supported
//!
//! Delta CRLs, indirect CRLs and OCSP. A certificate that a delta CRL lists is revoked; otherwise the status by such a list
//! is unknown. A list also needs a nextUpdate and, as RFC 5280 requires, a CRL number (`crlnumber` in the configuration of
//! `openssl ca`), and no critical extension that this crate does not know. [`RevocationList::limitation`] reports the
//! reason. Lists are not fetched here: read them again when the file changes, or from the authority's address, and replace
//! the policy as in [`live_changes`](super::live_changes).
//!
//! [`RevocationList::read`]: crate::policy::RevocationList::read
//! [`RevocationList::limitation`]: crate::policy::RevocationList::limitation
//! [`TrustAnchors::with_revocation`]: crate::TrustAnchors::with_revocation
//! [`Revocation::unverified`]: crate::policy::Revocation::unverified
//! [`Soft`]: crate::policy::RevocationMode::Soft
//! [`Strict`]: crate::policy::RevocationMode::Strict
