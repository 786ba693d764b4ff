//! Verification of upstreams' certificates.

use tower_mtls::{UpstreamTrust, danger::UpstreamVerification, outbound::UpstreamTrustBuilder};

use crate::config::Verify;

/// Returns a builder with this verification.
pub(super) fn trust_builder(verify: Verify) -> UpstreamTrustBuilder {
    let builder = UpstreamTrust::builder();
    match verify {
        Verify::Full => builder,
        Verify::Chain => builder.dangerous(UpstreamVerification::ChainOnly),
        Verify::Name => builder.dangerous(UpstreamVerification::NameOnly),
        Verify::None => builder.dangerous(UpstreamVerification::Nothing),
    }
}
