/// Result of a rule for a certificate.
///
/// Three-valued: [`not`](super::Rule::not) swaps the first two only, [`all`](super::Rule::all) holds if every rule holds,
/// [`any`](super::Rule::any) holds if one rule holds. A policy rejects the client unless its rules hold.
///
/// ```
/// use tower_mtls::policy::Answer;
///
/// assert_eq!(Answer::from(true), Answer::Holds);
/// assert_eq!(Answer::from(false), Answer::Fails);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The certificate satisfies the rule.
    Holds,
    /// The certificate does not satisfy the rule.
    Fails,
    /// The rule cannot be decided, for example because a name is unreadable or a set is unavailable.
    CannotTell,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}
