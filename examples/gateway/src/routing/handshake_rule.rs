//! The listener's own requirement for client certificates, judged again on each request.

use http::Extensions;
use tower_mtls::{
    TrustAnchors,
    certificate::{Clock, Presented, SystemClock, Timestamp},
    danger::presented,
    policy::RejectionKind,
};

/// The requirement that a handshake must meet.
///
/// A resumed session skips the handshake's verifier, and a connection outlives its certificate or the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) enum HandshakeRule {
    /// No certificate is required.
    #[default]
    None,
    /// Any certificate.
    Certificate,
    /// A certificate with a chain to these roots.
    Trust(TrustAnchors),
}

impl HandshakeRule {
    /// Judges what the caller of a request presented. The verdict on a chain is cached: no lock, no allocation.
    #[inline]
    pub(super) fn judge(&self, extensions: &Extensions) -> Result<(), RejectionKind> {
        match self {
            Self::None => Ok(()),
            Self::Certificate | Self::Trust(_) => self.judge_at(presented(extensions), SystemClock.now()),
        }
    }

    /// Judges what a caller presented, at a given time.
    ///
    /// # Errors
    ///
    /// The kind of rejection.
    pub(crate) fn judge_at(
        &self,
        presented: Option<&Presented>,
        now: Timestamp,
    ) -> Result<(), RejectionKind> {
        match (self, presented) {
            (Self::None, _) => Ok(()),
            (_, None) => Err(RejectionKind::NotCaptured),
            (_, Some(Presented::Nothing)) => Err(RejectionKind::Missing),
            (Self::Certificate, Some(_)) => Ok(()),
            (Self::Trust(roots), Some(presented)) => {
                roots.judge(presented, now).map_err(|rejection| rejection.kind())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn requirement_is_judged_by_what_was_presented() {
        let (mut ca, ca_key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap();
        let (mut leaf, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        leaf.not_after = date_time_ymd(2026, 1, 2);
        let end = leaf.not_after.unix_timestamp();
        let partner = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let self_made = leaf.self_signed(&key).unwrap();
        let presented = |der: &[u8]| Presented::from_der_chain([der]);
        let (partner, self_made) = (presented(partner.der()), presented(self_made.der()));
        let unreadable = presented(b"garbage");
        let roots = TrustAnchors::from_der([&root.der()[..]]).unwrap();
        let (none, any, trust) =
            (HandshakeRule::None, HandshakeRule::Certificate, HandshakeRule::Trust(roots));
        for (name, rule, presented, now, expected) in [
            ("no rule, nothing", &none, None, end, None),
            ("no rule, self-made", &none, Some(&self_made), end, None),
            ("any, not captured", &any, None, end, Some(RejectionKind::NotCaptured)),
            ("any, nothing", &any, Some(&Presented::Nothing), end, Some(RejectionKind::Missing)),
            ("any, self-made", &any, Some(&self_made), end, None),
            ("any, unreadable", &any, Some(&unreadable), end, None),
            ("trust, not captured", &trust, None, end, Some(RejectionKind::NotCaptured)),
            ("trust, nothing", &trust, Some(&Presented::Nothing), end, Some(RejectionKind::Missing)),
            ("trust, unreadable", &trust, Some(&unreadable), end, Some(RejectionKind::Unreadable)),
            ("trust, self-made", &trust, Some(&self_made), end, Some(RejectionKind::NotTrusted)),
            ("trust, partner", &trust, Some(&partner), end - 60, None),
            ("trust, partner in its last second", &trust, Some(&partner), end, None),
            ("trust, expired partner", &trust, Some(&partner), end + 1, Some(RejectionKind::Expired)),
        ] {
            let judged = rule.judge_at(presented, Timestamp::from_unix(now)).err();
            assert_eq!(judged, expected, "{name}");
        }
    }
}
