use super::{
    Answer, RejectionKind, TrustAnchors,
    path::{self, Root},
    rule_result::RuleResult,
    thumbprint_set::ThumbprintSet,
    verdict_cache::VerdictCache,
};
use crate::{
    certificate::{Certificate, Thumbprint, Timestamp},
    generation::Generation,
};

/// Thumbprints of allowed issuers of client certificates.
///
/// A certificate that the client only sends proves nothing: its key must verify the signature, so each candidate is
/// verified as the only root of a chain without intermediates.
#[derive(Debug)]
pub(super) struct IssuerPins {
    pins: ThumbprintSet,
    /// Further candidates, which clients do not send.
    roots: Option<TrustAnchors>,
    generation: Generation,
}

const SIGNED: u8 = 1;
const UNKNOWN: u8 = 2;

/// Seconds before an issuer that was not found is searched again.
const RETRY_AFTER: i64 = 60;

impl IssuerPins {
    pub(super) fn new(
        thumbprints: impl IntoIterator<Item = Thumbprint>,
        roots: Option<TrustAnchors>,
    ) -> Self {
        Self { pins: thumbprints.into_iter().collect(), roots, generation: Generation::next() }
    }

    pub(super) fn len(&self) -> usize {
        self.pins.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }

    /// Holds or is undecided, never fails: the client chooses which certificates to send, and `not` must not reward leaving
    /// the issuer out.
    pub(super) fn judge(&self, certificate: &Certificate, now: Timestamp) -> RuleResult<'_> {
        if let Some(verdict) = VerdictCache::of_chain(certificate).get(self.generation, now) {
            return result(verdict).valid_until(now);
        }
        let (verdict, until) = match self.signed_until(certificate, now) {
            Some(until) => (SIGNED, until),
            None => (UNKNOWN, now.plus(RETRY_AFTER)),
        };
        VerdictCache::of_chain(certificate).put(self.generation, verdict, now, until);
        result(verdict).valid_until(until)
    }

    fn signed_until(&self, certificate: &Certificate, now: Timestamp) -> Option<Timestamp> {
        let sent = certificate.chain().map(|der| (der, false));
        let roots = self.roots.as_ref().map(TrustAnchors::roots).unwrap_or_default();
        let roots = roots.iter().map(|root| (root.der(), root.allow_expired));
        let is_listed = |(der, _): &(&[u8], bool)| {
            self.pins.contains(Thumbprint::sha256_of(der)) || self.pins.contains(Thumbprint::sha1_of(der))
        };
        let mut candidates: Vec<_> = sent.chain(roots).filter(is_listed).collect();
        // A client may send the same certificate several times.
        candidates.sort_unstable();
        candidates.dedup();
        // A certificate that another one issued did not sign itself.
        let is_self_issued = certificate.subject() == certificate.issuer();
        candidates.retain(|(der, _)| is_self_issued || *der != certificate.der());
        candidates.into_iter().find_map(|(der, allow_expired)| {
            let mut root = Root::read(der).ok()?;
            root.allow_expired = allow_expired;
            let valid = path::verify(certificate, std::iter::empty(), &[root], now).ok()?;
            Some(valid.until)
        })
    }
}

fn result<'r>(verdict: u8) -> RuleResult<'r> {
    let answer = if verdict == SIGNED { Answer::Holds } else { Answer::CannotTell };
    RuleResult::cacheable(answer, RejectionKind::IssuerThumbprint)
}
