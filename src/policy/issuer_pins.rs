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
/// verified as the root of a chain without intermediates.
#[derive(Debug)]
pub(super) struct IssuerPins {
    pins: ThumbprintSet,
    /// Pinned roots, which clients do not send.
    roots: Vec<Root>,
    /// Roots of the set, one for all with the same requirements and revocation lists. These apply to issuers that are sent.
    conditions: Vec<Root>,
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
        let pins: ThumbprintSet = thumbprints.into_iter().collect();
        let all = roots.as_ref().map(TrustAnchors::roots).unwrap_or_default();
        let mut conditions: Vec<Root> = Vec::new();
        for root in all {
            if !conditions.iter().any(|known| known.is_judged_as(root)) {
                conditions.push(root.clone());
            }
        }
        let roots = all.iter().filter(|root| is_pinned(&pins, root.der())).cloned().collect();
        Self { pins, roots, conditions, generation: Generation::next() }
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
        let until = |roots: &[Root]| Some(path::verify_issued_by(roots, certificate, now).ok()?.until);
        // A certificate that another one issued did not sign itself.
        let is_self_issued = certificate.subject() == certificate.issuer();
        let may_sign = |der: &[u8]| is_self_issued || der != certificate.der();
        let roots: Vec<_> = self.roots.iter().filter(|root| may_sign(root.der())).cloned().collect();
        // A client may send the same certificate several times. A root is judged as such.
        let mut sent: Vec<_> = certificate
            .chain()
            .filter(|der| may_sign(der) && is_pinned(&self.pins, der))
            .filter(|der| !self.roots.iter().any(|root| root.der() == *der))
            .collect();
        sent.sort_unstable();
        sent.dedup();
        until(&roots).or_else(|| {
            sent.into_iter().find_map(|der| {
                let issuer = Root::read(der).ok()?;
                if self.conditions.is_empty() {
                    return until(&[issuer]);
                }
                let all = self.conditions.iter().map(|root| until(&[issuer.clone().judged_as(root)]));
                all.collect::<Option<Vec<_>>>()?.into_iter().min()
            })
        })
    }
}

fn is_pinned(pins: &ThumbprintSet, der: &[u8]) -> bool {
    pins.contains(Thumbprint::sha256_of(der)) || pins.contains(Thumbprint::sha1_of(der))
}

fn result<'r>(verdict: u8) -> RuleResult<'r> {
    let answer = if verdict == SIGNED { Answer::Holds } else { Answer::CannotTell };
    RuleResult::cacheable(answer, RejectionKind::IssuerThumbprint)
}
