use std::fmt;

/// Why [`PolicyBuilder::build`](super::PolicyBuilder::build) refused a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// No rule besides validity: any self-made certificate would pass.
    Empty,
    /// A list or group without entries.
    #[non_exhaustive]
    EmptyList {
        /// The rule's constructor on [`Rule`](super::Rule).
        rule: &'static str,
    },
    /// Neither a chain nor a thumbprint is demanded: anyone can forge the rest.
    Unanchored,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "the policy has no rule, so any self-made certificate would pass; demand a chain (trust) or a \
                 thumbprint, or leave the layer out",
            ),
            Self::EmptyList { rule } => write!(f, "the list of the rule `{rule}` is empty, so nobody would pass"),
            Self::Unanchored => f.write_str(
                "the policy demands neither a chain nor a thumbprint, so anyone can forge a certificate that \
                 passes; add `trust` or `thumbprint`, or call `allow_unanchored`",
            ),
        }
    }
}

impl std::error::Error for PolicyError {}

/// What an operator should know about a [`Policy`](super::Policy) that was built: combinations that are
/// allowed, but prove less than they seem to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyWarning {
    /// Anyone can make a certificate that passes.
    Unanchored,
    /// Expired certificates pass: neither a rule of validity nor a chain judges the dates.
    OutsideValidity,
    /// A certificate is excluded by a hash over the whole of it, which whoever holds its key can change: an
    /// ECDSA signature has a second form that verifies as well. Exclude by serial number under a proved issuer,
    /// or by [`spki_sha256`](super::Rule::spki_sha256).
    ExclusionByHash,
    /// Certificates are excluded by a chain, which whoever leaves out an intermediate breaks. Exclude by issuer
    /// under a proved chain.
    ExclusionByChain,
    /// The issuer's name is compared, but nothing proves who signed.
    IssuerWithoutChain,
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unanchored => {
                "anyone can make a certificate that passes: neither a chain nor a hash anchors the rules"
            }
            Self::OutsideValidity => "certificates pass before and after their validity period",
            Self::ExclusionByHash => {
                "a certificate that is excluded by its thumbprint can be changed to have another one; exclude by serial \
                 number or public key"
            }
            Self::ExclusionByChain => {
                "a chain that excludes its callers is broken by leaving out an intermediate; exclude by issuer under a \
                 proved chain"
            }
            Self::IssuerWithoutChain => {
                "the issuer's name proves nothing without a chain: whoever makes a certificate chooses it"
            }
        })
    }
}
