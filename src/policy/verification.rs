/// Proof behind an admitted certificate: a chain to a trusted root, a hash, or membership of a set.
///
/// Only a policy or document with `allow_unanchored`
/// ([`PolicyBuilder::allow_unanchored`](super::PolicyBuilder::allow_unanchored)) admits certificates without a proof.
/// Returned by [`verification`](crate::verification).
///
/// ```
/// use tower_mtls::policy::Verification;
///
/// assert!(Verification::Proven.is_proven());
/// assert!(!Verification::Unproven.is_proven());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verification {
    /// The rules that admitted the certificate require no proof: the client can have made it itself, with any names.
    Unproven,
    /// The rules that admitted the certificate require a proof.
    Proven,
}

impl Verification {
    /// [`Proven`](Self::Proven) if the rules are anchored.
    pub(crate) fn of(is_anchored: bool) -> Self {
        if is_anchored { Self::Proven } else { Self::Unproven }
    }

    /// Returns true for [`Proven`](Self::Proven).
    pub fn is_proven(self) -> bool {
        self == Self::Proven
    }
}
