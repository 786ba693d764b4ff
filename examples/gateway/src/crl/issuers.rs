use tower_mtls::{
    TrustAnchors,
    certificate::{DistinguishedName, Timestamp},
    policy::{Revocation, RevocationList, RevocationMode},
};

use super::Lists;

/// The CAs of a set, which issue its lists.
#[derive(Debug, Clone)]
pub(crate) struct Issuers {
    /// The CAs without revocation lists.
    pub(crate) anchors: TrustAnchors,
    /// The subjects of the CAs.
    pub(crate) names: Vec<DistinguishedName>,
}

impl Issuers {
    /// Accepts lists that replace `old`, the last valid ones of the same source. `digest` is that of the file or
    /// response.
    ///
    /// # Errors
    ///
    /// The problem:
    /// 1. there are lists in the name of a CA of the set, and its key has signed none of them;
    /// 2. a list is older than the one that it replaces, or one that is still needed is missing.
    pub(crate) fn accept(
        &self,
        new: Vec<RevocationList>,
        digest: [u8; 32],
        old: Option<&Lists>,
        now: Timestamp,
    ) -> Result<Lists, String> {
        // Verifies the lists of the CAs. Those of intermediates are verified with the first chain.
        let revocation = Revocation::new(RevocationMode::Soft, new.iter().cloned());
        drop(self.anchors.clone().with_revocation(revocation));
        for name in &self.names {
            let mut lists = new.iter().filter(|list| list.issuer() == name).peekable();
            if lists.peek().is_some() && !lists.any(RevocationList::is_verified) {
                return Err(format!("CRL of {name}: its signature is not by the key of this CA"));
            }
        }
        let needed: Vec<_> = old.iter().flat_map(|old| self.needed(old, now)).cloned().collect();
        RevocationList::check_replacement(&needed, &new).map_err(|error| error.to_string())?;
        Ok(Lists { lists: new, digest, authorities: self.names.clone() })
    }

    /// The lists that must not be lost: those of CAs that are configured, and those of intermediates until they are overdue.
    fn needed<'a>(&self, old: &'a Lists, now: Timestamp) -> impl Iterator<Item = &'a RevocationList> {
        old.lists.iter().filter(move |list| {
            let is_intermediate = !old.authorities.contains(list.issuer());
            let is_current = list.next_update().is_none_or(|next| now <= next);
            self.names.contains(list.issuer()) || (is_intermediate && is_current)
        })
    }
}
