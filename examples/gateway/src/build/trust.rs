//! Named sets of CAs.

use std::convert::Infallible;

use tower_mtls::{
    TrustAnchors, UpstreamTrust,
    certificate::{Clock, DistinguishedName, SystemClock},
    keys::pem,
    outbound::UpstreamTrustError,
    policy::TrustError,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    advice::{self, CaUse},
    cache::{Cache, Digest},
    files::Findings,
    revocation::{SetContext, SetRevocation},
    unreadable,
};
use crate::{
    config::{Config, FilePath, Located, Trust, quoted},
    crl::Issuers,
};

/// The roots of a set with its requirements and CRLs, and the digest of their files.
pub(super) struct Roots {
    pub(super) anchors: TrustAnchors,
    pub(super) digest: Digest,
    /// None if revocation is not checked.
    pub(super) revocation: Option<SetRevocation>,
}

/// Reads all files of a set.
pub(super) fn roots(
    name: &str,
    set: &Trust,
    config: &Config,
    cache: &mut Cache,
    findings: &mut Findings,
) -> Option<Roots> {
    let read: Vec<_> = set.ca.iter().filter_map(|file| Some((file, findings.read(file)?))).collect();
    let kind = if set.allow_expired_ca { "anchors, expired too" } else { "anchors" };
    let digest = Digest::of(kind, read.iter().map(|(_, pem)| pem.as_slice()));
    let built = cache.anchors.get_or_build(digest, || {
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
    let requirements = format!("{:?}", set.requirements);
    let digest = Digest::of("anchors with requirements", [digest.as_bytes(), requirements.as_bytes()]);
    let built = cache
        .anchors
        .get_or_build(digest, || Ok::<_, Infallible>(anchors.with_requirements(set.requirements.clone())));
    let anchors = built.unwrap_or_else(|never| match never {});
    let names = read.iter().flat_map(|(_, pem)| subjects(pem)).collect();
    let issuers = Issuers { anchors, names };
    let context = SetContext {
        name,
        settings: &set.revocation,
        issuers: &issuers,
        digest,
        config,
        now: SystemClock.now(),
    };
    let Some(revocation) = context.load(cache, findings).ok()? else {
        let (anchors, digest) = match set.revocation.is_off() {
            true => (
                issuers.anchors.without_revocation(),
                Digest::of("anchors without revocation", [digest.as_bytes()]),
            ),
            false => (issuers.anchors, digest),
        };
        return Some(Roots { anchors, digest, revocation: None });
    };
    let digest = Digest::of("anchors with revocation", [digest.as_bytes(), revocation.digest.as_bytes()]);
    let built = cache.anchors.get_or_build(digest, || {
        Ok::<_, Infallible>(issuers.anchors.with_revocation(revocation.revocation.clone()))
    });
    let anchors = built.unwrap_or_else(|never| match never {});
    Some(Roots { anchors, digest, revocation: Some(revocation) })
}

/// The subjects of the certificates of a PEM text.
fn subjects(text: &[u8]) -> Vec<DistinguishedName> {
    let certificates = pem::certificates(text).unwrap_or_default();
    let subject = |der: &[u8]| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        DistinguishedName::from_der(certificate.subject().as_raw()).ok()
    };
    certificates.iter().filter_map(|der| subject(der)).collect()
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
