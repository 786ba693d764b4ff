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
pub use crate::inbound::AssumePresentedLayer;
