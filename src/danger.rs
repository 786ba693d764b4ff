//! Items that give up a protection. Their path shows it at every use.
//!
//! Re-exports only, of any room.

#[cfg(feature = "outbound")]
pub use crate::outbound::trust::UpstreamVerification;
#[cfg(feature = "inbound")]
pub use crate::request::{
    assume::{AssumeAdmitted, AssumeAdmittedLayer, AssumePresentedLayer},
    captured::presented,
};
