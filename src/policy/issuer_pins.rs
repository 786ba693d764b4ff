use super::{
    Answer, RejectionKind, TrustAnchors,
    answer::Judgement,
    chain::{self, Root},
    pins::Pins,
};
use crate::{
    certificate::{Certificate, Thumbprint, Timestamp},
    generation::Generation,
};

/// Thumbprints of certificates of which one must have signed the caller's.
///
/// A thumbprint that the caller only shows proves nothing: the candidate's key must verify the signature, so
/// each is judged as the only root of a chain without intermediates.
#[derive(Debug)]
pub(super) struct IssuerPins {
    pins: Pins,
    /// Further candidates, which callers do not send.
    roots: Option<TrustAnchors>,
    generation: Generation,
}

const SIGNED: u8 = 1;
const UNKNOWN: u8 = 2;

/// What was not found is looked for again after this many seconds.
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

    /// Holds or cannot tell, never fails: the caller chooses what it sends, and `not` must not reward leaving the
    /// issuer out.
    pub(super) fn judge(&self, certificate: &Certificate, now: Timestamp) -> Judgement<'_> {
        if let Some(verdict) = certificate.chains().get(self.generation, now) {
            return judgement(verdict).no_longer_than(now);
        }
        let (verdict, until) = match self.signed_until(certificate, now) {
            Some(until) => (SIGNED, until),
            None => (UNKNOWN, now.plus(RETRY_AFTER)),
        };
        certificate.chains().put(self.generation, verdict, now, until);
        judgement(verdict).no_longer_than(until)
    }

    fn signed_until(&self, certificate: &Certificate, now: Timestamp) -> Option<Timestamp> {
        let sent = certificate.chain().map(|der| (der, false));
        let roots = self.roots.as_ref().map(TrustAnchors::roots).unwrap_or_default();
        let roots = roots.iter().map(|root| (root.der(), root.allow_expired));
        let is_listed = |(der, _): &(&[u8], bool)| {
            self.pins.contains(Thumbprint::sha256_of(der)) || self.pins.contains(Thumbprint::sha1_of(der))
        };
        let mut candidates: Vec<_> = sent.chain(roots).filter(is_listed).collect();
        // The caller may send the same one again and again.
        candidates.sort_unstable();
        candidates.dedup();
        candidates.into_iter().find_map(|(der, allow_expired)| {
            let (anchor, mut root) = Root::read(der).ok()?;
            root.allow_expired = allow_expired;
            chain::verify(certificate, &[anchor], &[root], &[], now).ok()
        })
    }
}

fn judgement<'r>(verdict: u8) -> Judgement<'r> {
    let answer = if verdict == SIGNED { Answer::Holds } else { Answer::CannotTell };
    Judgement::lasting(answer, RejectionKind::IssuerThumbprint)
}
