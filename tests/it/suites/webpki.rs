//! webpki's decision.

use std::time::Duration;

use ::webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationOptionsBuilder, anchor_from_trusted_cert,
};
use rustls::pki_types::{CertificateDer, UnixTime};

use super::case::{Case, Policies};

/// True if webpki accepts the chain. It has no inputs of policies: with such inputs it rejects.
pub(super) fn accepts(case: &Case) -> bool {
    if case.policies != Policies::default() {
        return false;
    }
    let certificate = |der: &Vec<u8>| CertificateDer::from(der.clone());
    let roots: Vec<_> = case.roots.iter().map(certificate).collect();
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let intermediates: Vec<_> = case.intermediates.iter().map(certificate).collect();
    let leaf = certificate(&case.leaf);
    let Ok(leaf) = EndEntityCert::try_from(&leaf) else { return false };
    let lists = case.lists.iter().flatten();
    let lists = lists.filter_map(|list| OwnedCertRevocationList::from_der(list).ok());
    let lists: Vec<_> = lists.map(CertRevocationList::from).collect();
    let lists: Vec<_> = lists.iter().collect();
    // The defaults check every certificate of the chain, and reject unknown status.
    let revocation = RevocationOptionsBuilder::new(&lists).ok();
    let revocation =
        revocation.map(|options| options.with_expiration_policy(ExpirationPolicy::Enforce).build());
    if case.lists.is_some() && revocation.is_none() {
        return false;
    }
    let now = UnixTime::since_unix_epoch(Duration::from_secs(case.now.as_unix().unsigned_abs()));
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &intermediates, now, usage, revocation, None)
        .is_ok()
}
