//! Items that give up a protection. Their path shows it at every use.

/// Returns the certificate that the caller presented in the handshake, admitted by a layer or not.
///
/// **Danger:** any caller can present a self-made certificate. Do not base decisions on it; use it for logs and
/// explanations. None if no listener of this crate captured anything.
///
/// ```
/// use tower_mtls::danger::presented;
///
/// let request = http::Request::new(());
/// assert!(presented(request.extensions()).is_none());
/// ```
#[cfg(feature = "inbound")]
pub fn presented(extensions: &http::Extensions) -> Option<&crate::certificate::Presented> {
    crate::inbound::presented(extensions)
}

#[cfg(feature = "inbound")]
pub use crate::inbound::capture::{AssumeAdmitted, AssumeAdmittedLayer, AssumePresentedLayer};

#[cfg(feature = "outbound")]
pub use crate::outbound::verification::UpstreamVerification;
