use crate::certificate::SpiffeId;

/// Reduced verification of an upstream's certificate.
///
/// **Danger:** in each mode another host can pose as the upstream. Possession of the certificate's private key is
/// verified in every mode.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), tower_mtls::outbound::UpstreamTrustError> {
/// use tower_mtls::{UpstreamTrust, danger::UpstreamVerification};
///
/// let trust = UpstreamTrust::builder().dangerous(UpstreamVerification::NameOnly).build()?;
/// assert_eq!(UpstreamVerification::NameOnly.as_str(), "name_only");
/// # drop(trust);
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamVerification {
    /// A chain to a root, without the name: any host with a certificate of these roots can pose as the upstream.
    ChainOnly,
    /// The name, without a chain: any host can pose as the upstream, with a self-made certificate.
    NameOnly,
    /// Nothing: any host can pose as the upstream.
    Nothing,
}

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

/// Requirements on an upstream's certificate, apart from pins beside them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum VerificationMode {
    /// A chain to a root and the server name.
    #[default]
    Full,
    /// A chain to a root and this SPIFFE ID.
    SpiffeId(SpiffeId),
    /// One of the pins.
    PinsOnly,
    /// Less than a chain and a name.
    Dangerous(UpstreamVerification),
}

impl VerificationMode {
    pub(super) fn needs_roots(&self) -> bool {
        match self {
            Self::Full | Self::SpiffeId(_) | Self::Dangerous(UpstreamVerification::ChainOnly) => true,
            Self::PinsOnly | Self::Dangerous(_) => false,
        }
    }
}
