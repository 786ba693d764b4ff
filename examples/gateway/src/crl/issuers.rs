use tower_mtls::{
    TrustAnchors,
    certificate::{DistinguishedName, Timestamp},
    policy::{Revocation, RevocationList, RevocationMode},
};

use super::Lists;

/// Maximum size of the lists that stay in use beside those that replace them, in bytes. Any server can write lists that no
/// key has signed.
const MAX_KEPT: usize = 64 * 1024 * 1024;

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
    /// response. Lists of an intermediate that no key has verified yet stay in use beside those that replace them.
    ///
    /// # Errors
    ///
    /// The problem:
    /// 1. there are lists in the name of a CA of the set, and its key has signed none of them;
    /// 2. a list is older than the one that it replaces, or one that is still needed is missing;
    /// 3. the lists that stay in use beside others have more than [`MAX_KEPT`] bytes.
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
        // Anyone can write a list that no key has signed: it does not count if its issuer has another one.
        let has_verified = |issuer: &DistinguishedName| {
            let mut all = old.iter().flat_map(|old| &old.lists);
            self.names.contains(issuer) || all.any(|list| list.is_verified() && list.issuer() == issuer)
        };
        let needed = old.iter().flat_map(|old| self.needed(old, now));
        let needed: Vec<_> =
            needed.filter(|old| old.is_verified() || !has_verified(old.issuer())).cloned().collect();
        let verified = || needed.iter().filter(|old| old.is_verified());
        // Nor does it replace one that is verified: each issuer's are compared with those that the same key signed.
        let is_offered = |list: &&RevocationList| {
            let mut earlier = verified().filter(|old| old.issuer() == list.issuer()).peekable();
            list.is_verified() || earlier.peek().is_none() || earlier.any(|old| list.verify_as(old))
        };
        let offered: Vec<_> = new.iter().filter(is_offered).cloned().collect();
        RevocationList::check_replacement(&needed, &offered).map_err(|error| error.to_string())?;
        let is_undecided = |list: &&RevocationList| {
            let is_current = list.next_update().is_none_or(|next| now <= next);
            is_current && !list.is_verified() && !has_verified(list.issuer())
        };
        let kept = old.map_or_else(Vec::new, |old| old.first(is_undecided, digest));
        if kept.iter().map(RevocationList::encoded_len).sum::<usize>() > MAX_KEPT {
            let problem = "the CRLs of intermediates that no client's chain has verified yet are too large";
            return Err(format!("{problem}: {MAX_KEPT} bytes are kept beside their replacements"));
        }
        let (count, lists) = (kept.len(), new.into_iter().chain(kept).collect());
        Ok(Lists { lists, kept: count, digest, authorities: self.names.clone() })
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

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
        IsCa, Issuer, KeyIdMethod, KeyPair, date_time_ymd,
    };

    use super::*;

    pub(in crate::crl) struct Ca {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    pub(in crate::crl) fn ca(name: &str) -> Ca {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Ca { issuer: Issuer::new(params, key), pem }
    }

    fn list(ca: &Ca, number: u64, year: i32) -> RevocationList {
        RevocationList::read(der(ca, number, year)).unwrap().remove(0)
    }

    /// A list with this number, which is overdue in this year.
    pub(in crate::crl) fn der(ca: &Ca, number: u64, year: i32) -> Vec<u8> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::PreSpecified(vec![1]),
        };
        params.signed_by(&ca.issuer).unwrap().der().to_vec()
    }

    pub(in crate::crl) fn issuers(cas: &[&Ca]) -> Issuers {
        let pem: String = cas.iter().map(|ca| ca.pem.as_str()).collect();
        let names = cas.iter().map(|ca| list(ca, 1, 2030).issuer().clone()).collect();
        Issuers { anchors: TrustAnchors::from_pem(pem).unwrap(), names }
    }

    #[test]
    fn unverified_list_of_an_intermediate_is_not_displaced_by_a_forged_one() {
        let now = Timestamp::from_unix(date_time_ymd(2026, 1, 1).unix_timestamp());
        let [root, intermediate, forger] = ["root", "intermediate", "intermediate"].map(ca);
        let set = issuers(&[&root]);
        let name = list(&intermediate, 1, 2030).issuer().clone();
        let numbers = |lists: &Lists| -> Vec<u8> {
            let of_name = lists.lists.iter().filter(|list| *list.issuer() == name);
            of_name.filter_map(|list| list.number()?.first().copied()).collect()
        };
        let mut digest: u8 = 0;
        let mut accept = |old: Option<&Lists>, ca: &Ca, number| {
            digest += 1;
            let lists = vec![list(&root, digest.into(), 2030), list(ca, number, 2030)];
            set.accept(lists, [digest; 32], old, now)
        };
        let first = accept(None, &intermediate, 5).unwrap();
        let forged = accept(Some(&first), &forger, 6).unwrap();
        assert_eq!(numbers(&forged), [6, 5]);
        let forged = accept(Some(&forged), &forger, 7).unwrap();
        assert_eq!(numbers(&forged), [7, 5], "the first one only");

        // A chain brings the key.
        let chain = TrustAnchors::from_pem(&intermediate.pem).unwrap();
        drop(chain.with_revocation(Revocation::new(RevocationMode::Soft, forged.lists.clone())));
        let error = accept(Some(&forged), &forger, 8).unwrap_err();
        assert!(error.contains("missing"), "{error}");
        let verified = accept(Some(&forged), &intermediate, 6).unwrap();
        assert_eq!(numbers(&verified), [6]);
        assert!(verified.lists.iter().all(RevocationList::is_verified));
    }

    #[test]
    fn list_is_replaced_by_a_newer_one_and_lost_only_if_it_is_not_needed() {
        let now = Timestamp::from_unix(date_time_ymd(2026, 1, 1).unix_timestamp());
        let [root, retired, intermediate, forger] = ["root", "retired", "intermediate", "root"].map(ca);
        let set = issuers(&[&root]);
        let before = issuers(&[&root, &retired]);
        let cases = [
            ("newer", vec![list(&root, 5, 2030)], vec![list(&root, 6, 2030)], ""),
            ("older", vec![list(&root, 5, 2030)], vec![list(&root, 4, 2030)], "its number falls"),
            (
                "older, with a forged one that is newer",
                vec![list(&root, 5, 2030)],
                vec![list(&root, 4, 2030), list(&forger, 6, 2030)],
                "its number falls",
            ),
            (
                "without a forged one",
                vec![list(&root, 5, 2030), list(&forger, 9, 2030)],
                vec![list(&root, 6, 2030)],
                "",
            ),
            ("forged", vec![], vec![list(&forger, 6, 2030)], "not by the key"),
            ("of a former key too", vec![], vec![list(&forger, 6, 2030), list(&root, 7, 2030)], ""),
            ("without the CA's", vec![list(&root, 5, 2030)], vec![list(&intermediate, 6, 2030)], "missing"),
            (
                "without a current intermediate's",
                vec![list(&root, 5, 2030), list(&intermediate, 5, 2030)],
                vec![list(&root, 6, 2030)],
                "missing",
            ),
            (
                "without an overdue intermediate's",
                vec![list(&root, 5, 2030), list(&intermediate, 5, 2021)],
                vec![list(&root, 6, 2030)],
                "",
            ),
            (
                "without a removed CA's",
                vec![list(&root, 5, 2030), list(&retired, 5, 2030)],
                vec![list(&root, 6, 2030)],
                "",
            ),
        ];
        for (case, old, new, expected) in cases {
            let old = before.accept(old, [0; 32], None, now).unwrap();
            let found = set.accept(new, [1; 32], Some(&old), now).map(drop);
            let error = found.err().unwrap_or_default();
            assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{case}: {error}");
        }
    }
}
