use crate::{
    certificate::{Certificate, Timestamp},
    policy::{ChainVerdict, TrustAnchors},
};

/// The roots of a document, for checks with and without revocation lists. Both sets have their own verdicts.
#[derive(Debug, Clone)]
pub(crate) struct DocumentTrust {
    anchors: TrustAnchors,
    without_revocation: TrustAnchors,
}

impl DocumentTrust {
    pub(crate) fn new(anchors: TrustAnchors) -> Self {
        // A set without lists has the same verdicts.
        let without_revocation = match anchors.checks_revocation() {
            true => anchors.clone().without_revocation(),
            false => anchors.clone(),
        };
        Self { anchors, without_revocation }
    }

    /// Returns true if every root has revocation lists, or is declared to have none.
    pub(crate) fn declares_revocation(&self) -> bool {
        self.anchors.declares_revocation()
    }

    /// Returns true if every root is declared to have no revocation lists.
    pub(crate) fn is_revocation_off(&self) -> bool {
        self.anchors.declares_revocation() && !self.anchors.checks_revocation()
    }

    /// The roots for a check of a chain.
    pub(crate) fn for_check(&self, checks_revocation: bool) -> &TrustAnchors {
        if checks_revocation { &self.anchors } else { &self.without_revocation }
    }

    /// Reason for a recent negative verdict, if there is one. Verifies no chain. `checks_revocation` is true if the document
    /// has a check with revocation lists.
    pub(crate) fn known_failure(
        &self,
        certificate: &Certificate,
        checks_revocation: bool,
        now: Timestamp,
    ) -> Option<&'static str> {
        let anchors = checks_revocation.then_some(&self.anchors);
        let mut sets = anchors.into_iter().chain([&self.without_revocation]);
        let failure = sets.find_map(|set| set.known_failure(certificate, now))?;
        Some(match certificate.validity() {
            validity if now > validity.not_after => "the certificate has expired",
            validity if now < validity.not_before => "the certificate is not valid yet",
            _ => failure,
        })
    }
}

/// Returns true if a valid chain leads from the certificate to one of the roots.
pub(crate) fn is_trusted(certificate: &Certificate, roots: &TrustAnchors, now: Timestamp) -> bool {
    roots.chain_verdict(certificate, now) == Some(ChainVerdict::Trusted)
}
