use rustls_pki_types::CertificateDer;

use super::{
    Answer, RejectionKind, TrustAnchors,
    answer::Judgement,
    pins::Pins,
    trust::{unix_time, verify},
};
use crate::{
    certificate::{ClientCertificate, Thumbprint, Timestamp},
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
    pub(super) fn judge(&self, certificate: &ClientCertificate, now: Timestamp) -> Judgement {
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

    fn signed_until(&self, certificate: &ClientCertificate, now: Timestamp) -> Option<Timestamp> {
        let time = unix_time(now)?;
        let roots = self.roots.as_ref().map(TrustAnchors::roots).unwrap_or_default();
        let is_listed = |der: &&[u8]| {
            self.pins.contains(Thumbprint::sha256_of(der)) || self.pins.contains(Thumbprint::sha1_of(der))
        };
        let mut candidates: Vec<&[u8]> =
            certificate.chain().chain(roots.iter().map(AsRef::as_ref)).filter(is_listed).collect();
        // The caller may send the same one again and again.
        candidates.sort_unstable();
        candidates.dedup();
        candidates.into_iter().find_map(|candidate| {
            let candidate = CertificateDer::from(candidate);
            let anchor = webpki::anchor_from_trusted_cert(&candidate).ok()?;
            verify(certificate, &[anchor], &[], time).ok()
        })
    }
}

fn judgement(verdict: u8) -> Judgement {
    let answer = if verdict == SIGNED { Answer::Holds } else { Answer::CannotTell };
    Judgement::lasting(answer, RejectionKind::IssuerThumbprint)
}
