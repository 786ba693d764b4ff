//! Requirements on upstreams' certificates.

mod builder;
mod error;
mod pin;
mod upstream_trust;
mod verification;
mod verifier;

pub use self::{
    builder::UpstreamTrustBuilder,
    error::UpstreamTrustError,
    pin::{UpstreamPin, UpstreamPinParseError},
    upstream_trust::UpstreamTrust,
    verification::UpstreamVerification,
};
