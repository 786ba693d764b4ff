//! Named sets of CAs.

use tower_mtls::TrustAnchors;

use super::{
    advice,
    cache::{Digest, Kept},
    files::Findings,
};
use crate::config::{FilePath, Located, quoted};

/// The roots of a set, and the digest of the files that they were read from.
pub(super) struct Roots {
    pub(super) anchors: TrustAnchors,
    pub(super) digest: Digest,
}

/// The roots of all files.
pub(super) fn roots(
    files: &[Located<FilePath>],
    kept: &mut Kept<TrustAnchors>,
    findings: &mut Findings,
) -> Option<Roots> {
    let read: Vec<_> = files.iter().filter_map(|file| Some((file, findings.read(file)?))).collect();
    let digest = Digest::of("anchors", read.iter().map(|(_, pem)| pem.as_slice()));
    let made = kept.get_or_make(digest, || {
        let each: Vec<_> = read.iter().map(|(file, pem)| one(file, pem, findings)).collect();
        let each: Option<Vec<_>> = each.into_iter().collect();
        each.and_then(|each| each.into_iter().reduce(|all, next| all.union(&next))).ok_or(())
    });
    for (file, pem) in &read {
        advice::on_authorities(file, pem, findings);
    }
    let anchors = made.ok().filter(|_| read.len() == files.len())?;
    Some(Roots { anchors, digest })
}

/// The roots of one file.
fn one(file: &Located<FilePath>, pem: &[u8], findings: &mut Findings) -> Option<TrustAnchors> {
    match TrustAnchors::from_pem(pem) {
        Ok(anchors) => Some(anchors),
        Err(error) => {
            let problem = format!("{}: {error}", quoted(&file.written));
            findings.error(file, problem, "name a PEM file of CA certificates");
            None
        }
    }
}
