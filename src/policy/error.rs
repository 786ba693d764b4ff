use std::fmt;

/// Error of [`PolicyBuilder::build`](super::PolicyBuilder::build).
///
/// ```
/// use tower_mtls::{Policy, PolicyError, Rule};
///
/// assert_eq!(Policy::builder().build().unwrap_err(), PolicyError::Empty);
/// let empty_list = Policy::builder().require(Rule::thumbprint([])).build().unwrap_err();
/// assert!(matches!(empty_list, PolicyError::EmptyList { rule: "thumbprint", .. }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// No rule besides validity: any self-made certificate would be admitted.
    Empty,
    /// A list or group without entries.
    #[non_exhaustive]
    EmptyList {
        /// The rule's constructor on [`Rule`](super::Rule).
        rule: &'static str,
    },
    /// No rule that a self-made certificate cannot satisfy, such as a chain or a thumbprint.
    Unanchored,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "policy without rules: any self-made certificate would be admitted; add `trust` or `thumbprint`, or leave \
                 the layer out",
            ),
            Self::EmptyList { rule } => write!(f, "rule `{rule}`: the list is empty, so every client would be rejected; add an entry"),
            Self::Unanchored => f.write_str(
                "policy without chain or thumbprint: anyone can make a certificate that is admitted; add `trust` or \
                 `thumbprint`, or call `allow_unanchored`",
            ),
        }
    }
}

impl std::error::Error for PolicyError {}

/// Combinations of rules that are allowed, but prove less than they seem to. Returned by
/// [`Policy::warnings`](super::Policy::warnings).
///
/// ```
/// use tower_mtls::{Policy, Rule, policy::PolicyWarning};
///
/// let policy = Policy::builder().require(Rule::common_name(["orders"])).allow_unanchored().build()?;
/// assert_eq!(policy.warnings(), [PolicyWarning::Unanchored]);
/// # Ok::<(), tower_mtls::PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyWarning {
    /// Anyone can make a certificate that is admitted.
    Unanchored,
    /// Certificates outside their validity period are admitted: neither a validity rule nor a chain checks it.
    OutsideValidity,
    /// A certificate is excluded by a hash over all of it, which its owner can change: an ECDSA signature has a second
    /// valid form. Exclude by serial number under a proved issuer, or by
    /// [`spki_sha256`](super::Rule::spki_sha256).
    ExclusionByHash,
    /// Certificates are excluded by a chain, which a client breaks by not sending an intermediate. Exclude by issuer under
    /// a proved chain.
    ExclusionByChain,
    /// The issuer's name is compared, but no rule proves the signature.
    IssuerWithoutChain,
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unanchored => {
                "no chain or hash among the rules: anyone can make a certificate that is admitted"
            }
            Self::OutsideValidity => "validity is not checked: certificates are admitted before and after their validity period",
            Self::ExclusionByHash => {
                "exclusion by thumbprint: the owner of a certificate can change its thumbprint; exclude by serial number or \
                 public key"
            }
            Self::ExclusionByChain => {
                "exclusion by chain: a client breaks the chain by not sending an intermediate; exclude by issuer under a \
                 proved chain"
            }
            Self::IssuerWithoutChain => {
                "issuer without chain: the creator of a certificate chooses the issuer's name; require a chain too"
            }
        })
    }
}
