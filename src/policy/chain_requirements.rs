//! Requirements for chains.

use std::{fmt, str::FromStr};

use x509_parser::asn1_rs::Oid;

use crate::certificate::RSA_BITS_MIN;

/// Requirements for chains beyond RFC 5280's defaults: the inputs of its section 6.1.1, keys and algorithms.
///
/// ```
/// use tower_mtls::policy::{ChainRequirements, SignatureAlgorithm};
///
/// let requirements = ChainRequirements::new()
///     .policies(["2.16.840.1.101.3.2.1.48.1"])?
///     .require_explicit_policy(true)
///     .minimum_rsa_bits(3_072)
///     .signature_algorithms([SignatureAlgorithm::EcdsaSha256, SignatureAlgorithm::RsaPssSha256]);
/// assert_ne!(requirements, ChainRequirements::new());
/// assert!(ChainRequirements::new().policies(["medium assurance"]).is_err());
/// # Ok::<(), tower_mtls::policy::ChainRequirementsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRequirements {
    /// Contents of the OIDs; None accepts any policy.
    pub(super) policies: Option<Vec<Box<[u8]>>>,
    pub(super) is_explicit_policy_required: bool,
    pub(super) is_policy_mapping_inhibited: bool,
    pub(super) is_any_policy_inhibited: bool,
    pub(super) minimum_rsa_bits: usize,
    /// None accepts all.
    pub(super) signature_algorithms: Option<Vec<SignatureAlgorithm>>,
}

impl Default for ChainRequirements {
    fn default() -> Self {
        Self::new()
    }
}

/// The OID of anyPolicy, which accepts any policy.
const ANY_POLICY: &str = "2.5.29.32.0";

impl ChainRequirements {
    /// RSA keys of at least 2048 bits, any policy, and all supported signature algorithms.
    ///
    /// ```
    /// use tower_mtls::policy::ChainRequirements;
    ///
    /// assert_eq!(ChainRequirements::new(), ChainRequirements::new().minimum_rsa_bits(2_048));
    /// ```
    pub fn new() -> Self {
        Self {
            policies: None,
            is_explicit_policy_required: false,
            is_policy_mapping_inhibited: false,
            is_any_policy_inhibited: false,
            minimum_rsa_bits: RSA_BITS_MIN,
            signature_algorithms: None,
        }
    }

    /// The user-initial-policy-set of RFC 5280, section 6.1.1, as dotted OIDs. With
    /// [`require_explicit_policy`](Self::require_explicit_policy), or where a CA requires it, only chains that are valid
    /// under one of these policies are accepted. Default, and with `2.5.29.32.0` (anyPolicy) on the list: any policy.
    ///
    /// # Errors
    ///
    /// A policy is not a dotted OID.
    pub fn policies(
        self,
        policies: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, ChainRequirementsError> {
        let mut oids = Vec::new();
        let mut has_any = false;
        for policy in policies {
            let policy = policy.as_ref();
            has_any |= policy == ANY_POLICY;
            let oid = Oid::from_str(policy).ok().filter(|oid| oid.to_id_string() == policy);
            let oid = oid.ok_or_else(|| ChainRequirementsError::Policy(policy.into()))?;
            oids.push(oid.as_bytes().into());
        }
        Ok(Self { policies: (!has_any).then_some(oids), ..self })
    }

    /// The initial-explicit-policy of RFC 5280, section 6.1.1: every chain must be valid under a policy of
    /// [`policies`](Self::policies). Default: false.
    #[must_use]
    pub fn require_explicit_policy(self, is_required: bool) -> Self {
        Self { is_explicit_policy_required: is_required, ..self }
    }

    /// The initial-policy-mapping-inhibit of RFC 5280, section 6.1.1: CAs may not map policies. Default: false.
    #[must_use]
    pub fn inhibit_policy_mapping(self, is_inhibited: bool) -> Self {
        Self { is_policy_mapping_inhibited: is_inhibited, ..self }
    }

    /// The initial-any-policy-inhibit of RFC 5280, section 6.1.1: anyPolicy in a certificate matches no other policy.
    /// Default: false.
    #[must_use]
    pub fn inhibit_any_policy(self, is_inhibited: bool) -> Self {
        Self { is_any_policy_inhibited: is_inhibited, ..self }
    }

    /// Minimum length of the RSA keys of a chain, the root's included, and of those that sign its revocation lists, in bits.
    /// Default: 2048. Smaller values are raised to 2048, the minimum of the crypto providers.
    #[must_use]
    pub fn minimum_rsa_bits(self, bits: usize) -> Self {
        Self { minimum_rsa_bits: bits.max(RSA_BITS_MIN), ..self }
    }

    /// Accepts certificates that are signed with these algorithms only. A root's own signature does not count. Revocation
    /// lists that are signed with others revoke, but do not show that a certificate is good. Default: all.
    #[must_use]
    pub fn signature_algorithms(self, algorithms: impl IntoIterator<Item = SignatureAlgorithm>) -> Self {
        Self { signature_algorithms: Some(algorithms.into_iter().collect()), ..self }
    }
}

/// Error of [`ChainRequirements::policies`], and of parsing a [`SignatureAlgorithm`].
///
/// ```
/// use tower_mtls::policy::{ChainRequirements, ChainRequirementsError};
///
/// let error = ChainRequirements::new().policies(["medium"]).unwrap_err();
/// assert_eq!(error, ChainRequirementsError::Policy("medium".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainRequirementsError {
    /// A policy is not a dotted OID.
    Policy(String),
    /// The name of a signature algorithm is not known.
    SignatureAlgorithm(String),
}

impl fmt::Display for ChainRequirementsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy) => {
                write!(f, "{policy:?} is not an object identifier; write it as in 1.2.840.113549")
            }
            Self::SignatureAlgorithm(name) => {
                let known: Vec<_> = SignatureAlgorithm::ALL.iter().map(ToString::to_string).collect();
                write!(f, "{name:?} is not a signature algorithm; use {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for ChainRequirementsError {}

/// Signature algorithm of a certificate. Prints and parses its name, such as `ecdsa-sha256`.
///
/// ```
/// use tower_mtls::policy::SignatureAlgorithm;
///
/// assert_eq!("rsa-pss-sha256".parse(), Ok(SignatureAlgorithm::RsaPssSha256));
/// assert_eq!(SignatureAlgorithm::Ed25519.to_string(), "ed25519");
/// assert!("rsa-pkcs1-sha1".parse::<SignatureAlgorithm>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// `rsa-pkcs1-sha256`: RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// `rsa-pkcs1-sha384`: RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// `rsa-pkcs1-sha512`: RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// `rsa-pss-sha256`: RSASSA-PSS with SHA-256.
    RsaPssSha256,
    /// `rsa-pss-sha384`: RSASSA-PSS with SHA-384.
    RsaPssSha384,
    /// `rsa-pss-sha512`: RSASSA-PSS with SHA-512.
    RsaPssSha512,
    /// `ecdsa-sha256`: ECDSA with SHA-256, on any supported curve.
    EcdsaSha256,
    /// `ecdsa-sha384`: ECDSA with SHA-384, on any supported curve.
    EcdsaSha384,
    /// `ecdsa-sha512`: ECDSA with SHA-512, on any supported curve. Not with `ring`.
    EcdsaSha512,
    /// `ed25519`.
    Ed25519,
}

impl SignatureAlgorithm {
    const ALL: [Self; 10] = [
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::Ed25519,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Self::RsaPkcs1Sha384 => "rsa-pkcs1-sha384",
            Self::RsaPkcs1Sha512 => "rsa-pkcs1-sha512",
            Self::RsaPssSha256 => "rsa-pss-sha256",
            Self::RsaPssSha384 => "rsa-pss-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::EcdsaSha256 => "ecdsa-sha256",
            Self::EcdsaSha384 => "ecdsa-sha384",
            Self::EcdsaSha512 => "ecdsa-sha512",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignatureAlgorithm {
    type Err = ChainRequirementsError;

    /// # Errors
    ///
    /// [`ChainRequirementsError::SignatureAlgorithm`] if the name is not known.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        known.ok_or_else(|| ChainRequirementsError::SignatureAlgorithm(name.into()))
    }
}
