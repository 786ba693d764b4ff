//! What gives up a protection. Everything here announces itself by its path.

/// What the caller presented in the handshake, whether a layer admitted it or not.
///
/// **Danger:** anyone can present a certificate of their own making. Nothing may be decided by it; use it to
/// log or to explain. None if no listener of this crate captured anything.
#[cfg(feature = "inbound")]
pub fn presented(extensions: &http::Extensions) -> Option<&crate::Presented> {
    crate::inbound::presented(extensions)
}

#[cfg(feature = "inbound")]
pub use crate::inbound::{AssumeAdmitted, AssumeAdmittedLayer, AssumePresentedLayer};

/// How much less than a chain and a name is demanded of an upstream's certificate.
///
/// **Danger:** each mode lets somebody else answer in the upstream's place. That the upstream holds the key
/// of whatever certificate it shows is proved in every mode.
#[cfg(feature = "outbound")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamVerification {
    /// A chain to a root, no name: anyone with a certificate of one of the roots can answer.
    ChainOnly,
    /// The name, no chain: anyone at all can answer who makes a certificate with that name.
    NameOnly,
    /// Nothing: anyone at all can answer.
    Nothing,
}

#[cfg(feature = "outbound")]
impl UpstreamVerification {
    /// A stable name for logs and metrics: `chain_only`, `name_only` or `nothing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChainOnly => "chain_only",
            Self::NameOnly => "name_only",
            Self::Nothing => "nothing",
        }
    }
}
