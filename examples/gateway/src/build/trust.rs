//! Named sets of CAs.

use tower_mtls::{TrustAnchors, UpstreamTrust, outbound::UpstreamTrustError, policy::TrustError};

use super::{
    advice::{self, CaUse},
    cache::{Digest, Memo},
    files::Findings,
    unreadable,
};
use crate::config::{FilePath, Located, Trust, quoted};

/// The roots of a set, and the digest of their files.
pub(super) struct Roots {
    pub(super) anchors: TrustAnchors,
    pub(super) digest: Digest,
}

/// Reads all files of a set.
pub(super) fn roots(set: &Trust, memo: &mut Memo<TrustAnchors>, findings: &mut Findings) -> Option<Roots> {
    let read: Vec<_> = set.ca.iter().filter_map(|file| Some((file, findings.read(file)?))).collect();
    let kind = if set.allow_expired_ca { "anchors, expired too" } else { "anchors" };
    let digest = Digest::of(kind, read.iter().map(|(_, pem)| pem.as_slice()));
    let built = memo.get_or_build(digest, || {
        let each: Vec<_> = read.iter().map(|(file, pem)| anchors_of(file, pem, findings)).collect();
        let each: Option<Vec<_>> = each.into_iter().collect();
        let all = each.and_then(|each| each.into_iter().reduce(|all, next| all.union(&next))).ok_or(())?;
        Ok::<_, ()>(if set.allow_expired_ca { all.allow_expired_ca() } else { all })
    });
    let usage = CaUse::Callers { allow_expired: set.allow_expired_ca };
    for (file, pem) in &read {
        advice::on_authorities(file, pem, usage, findings);
    }
    let anchors = built.ok().filter(|_| read.len() == set.ca.len())?;
    Some(Roots { anchors, digest })
}

/// Reads and checks CA files of upstreams.
pub(super) fn upstreams(files: &[Located<FilePath>], findings: &mut Findings) -> Option<Vec<Vec<u8>>> {
    let read: Vec<_> = files.iter().map(|file| upstream(file, findings)).collect();
    read.into_iter().collect()
}

fn upstream(file: &Located<FilePath>, findings: &mut Findings) -> Option<Vec<u8>> {
    let mut text = findings.read(file)?;
    if let Err(error) = UpstreamTrust::from_pem(&text) {
        let pem = if let UpstreamTrustError::Pem(error) = &error { Some(error) } else { None };
        unreadable::on_authorities(file, &text, &error, pem, findings);
        return None;
    }
    advice::on_authorities(file, &text, CaUse::Upstreams, findings);
    // Certificates only.
    Some(std::mem::take(&mut *text))
}

/// Parses the roots of one file.
fn anchors_of(file: &Located<FilePath>, text: &[u8], findings: &mut Findings) -> Option<TrustAnchors> {
    match TrustAnchors::from_pem(text) {
        Ok(anchors) => Some(anchors),
        Err(TrustError::Leaf { line: Some(line), subject, .. }) => {
            let (name, subject) = (quoted(&file.written), quoted(&subject));
            findings.error(
                file,
                format!("{name}: line {line}: {subject} {}", advice::LEAF),
                advice::LEAF_REMEDY,
            );
            None
        }
        Err(error) => {
            let pem = if let TrustError::Pem(error) = &error { Some(error) } else { None };
            unreadable::on_authorities(file, text, &error, pem, findings);
            None
        }
    }
}
