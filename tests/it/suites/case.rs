//! One chain with all inputs of its validation.

use tower_mtls::{
    Policy, TrustAnchors,
    certificate::{Presented, Timestamp},
    policy::{ChainRequirements, Revocation, RevocationList, RevocationMode},
};

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) roots: Vec<Vec<u8>>,
    /// In the order of a handshake, without the leaf.
    pub(super) intermediates: Vec<Vec<u8>>,
    pub(super) leaf: Vec<u8>,
    /// Revocation lists, each of which must be known and current for its issuer's certificates; None: not checked.
    pub(super) lists: Option<Vec<Vec<u8>>>,
    pub(super) policies: Policies,
    pub(super) now: Timestamp,
}

/// Inputs of RFC 5280, section 6.1.1 (c) to (g).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policies {
    /// Dotted OIDs; none stand for anyPolicy.
    pub(super) initial: Vec<String>,
    pub(super) explicit: bool,
    pub(super) inhibit_mapping: bool,
    pub(super) inhibit_any: bool,
}

impl Case {
    /// The library's decision, through its public API.
    ///
    /// # Errors
    ///
    /// The problem of the roots, or the explanation of the policy.
    pub(super) fn judge(&self) -> Result<(), String> {
        let anchors = self.anchors()?;
        let presented = self.presented();
        let judged = anchors.judge(&presented, self.now);
        judged.map_err(|rejection| {
            let policy = Policy::builder().trust(anchors).build().unwrap();
            format!("{:?}: {}", rejection.kind(), policy.explain(&presented, self.now))
        })
    }

    /// True if the library accepts the chain.
    pub(super) fn is_accepted(&self) -> bool {
        self.anchors().is_ok_and(|anchors| anchors.judge(&self.presented(), self.now).is_ok())
    }

    fn presented(&self) -> Presented {
        let chain = std::iter::once(&self.leaf).chain(&self.intermediates);
        Presented::from_der_chain(chain.map(Vec::as_slice))
    }

    fn anchors(&self) -> Result<TrustAnchors, String> {
        let anchors = TrustAnchors::from_der(self.roots.iter().map(Vec::as_slice))
            .map_err(|error| error.to_string())?
            .with_requirements(self.policies.requirements());
        if self.lists.is_none() {
            return Ok(anchors);
        }
        let lists =
            self.readable_lists().filter_map(|list| RevocationList::read(list.as_slice()).ok()).flatten();
        Ok(anchors.with_revocation(Revocation::new(RevocationMode::Strict, lists)))
    }

    /// The lists that the library reads. Others are absent.
    pub(super) fn readable_lists(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.lists.iter().flatten().filter(|list| RevocationList::read(list.as_slice()).is_ok())
    }
}

impl Policies {
    fn requirements(&self) -> ChainRequirements {
        let requirements = ChainRequirements::new()
            .require_explicit_policy(self.explicit)
            .inhibit_policy_mapping(self.inhibit_mapping)
            .inhibit_any_policy(self.inhibit_any);
        match self.initial.as_slice() {
            [] => requirements,
            policies => requirements.policies(policies).unwrap(),
        }
    }
}
