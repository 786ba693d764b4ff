/// Whether a proof that cannot be forged stands behind an admitted certificate: a chain to a trusted root, a hash, or
/// membership of a set.
///
/// Only a policy or document that was allowed to be unanchored
/// ([`allow_unanchored`](super::PolicyBuilder::allow_unanchored)) admits certificates without one. Found by
/// [`verification`](crate::inbound::verification).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verification {
    /// The rules that admitted the certificate demand no proof: the caller may have made it itself, with any names in it.
    Unproven,
    /// The rules that admitted the certificate demand a proof.
    Proven,
}

impl Verification {
    /// [`Proven`](Self::Proven) if a proof is demanded.
    pub(crate) fn of(is_anchored: bool) -> Self {
        if is_anchored { Self::Proven } else { Self::Unproven }
    }

    /// Whether this is [`Proven`](Self::Proven).
    pub fn is_proven(self) -> bool {
        self == Self::Proven
    }
}
