//! Path building (RFC 4158): depth first from the client certificate, issuers by name, the likeliest first.

use std::cell::Cell;

use super::{
    certificate::PathCertificate,
    error::{Failure, PathError, Role},
    key::Key,
    revocation::CrlSigner,
    root::Root,
    signature::{self, SignatureError},
    validate::{self, Path, ValidPath},
};
use crate::{
    certificate::{RSA_BITS_MIN, Timestamp},
    policy::ChainRequirements,
};

/// Certificates of a path without its root.
pub(super) const MAX_DEPTH: usize = 16;
/// Verified signatures per verdict. Typical paths need two or three. Those of revocation lists are verified in addition, and
/// count if they are wrong.
pub(super) const MAX_SIGNATURES: usize = 32;
/// Visited certificates per verdict: signatures that were already verified are not verified again.
const MAX_STEPS: usize = 256;

/// The search for a valid path of one client certificate.
pub(super) struct Search<'a> {
    /// The client's certificate, and those sent along.
    certificates: Vec<PathCertificate<'a>>,
    roots: &'a [Root],
    now: Timestamp,
    max_depth: usize,
    signatures: Cell<usize>,
    steps: usize,
    comparisons: Cell<usize>,
    /// Verified edges: subject, issuer and result.
    verified: Vec<((usize, Issuer), Result<(), SignatureError>)>,
    /// The error to report, and its rank.
    error: Option<(Rank, PathError)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuer {
    Certificate(usize),
    Root(usize),
}

/// Rank of an error, least telling first. Of equal ranks the first is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A path that ends without a root, at this depth.
    End(usize),
    Unreadable,
    Signature,
    Limit,
    /// A path to a root that is not valid.
    Complete,
}

impl<'a> Search<'a> {
    /// Certificates sent along that cannot be read are left out.
    pub(super) fn new(
        leaf: PathCertificate<'a>,
        sent: impl Iterator<Item = &'a [u8]>,
        roots: &'a [Root],
        now: Timestamp,
        max_depth: usize,
    ) -> Self {
        let mut search = Self {
            certificates: vec![leaf],
            roots,
            now,
            max_depth,
            signatures: Cell::new(0),
            steps: 0,
            comparisons: Cell::new(0),
            verified: Vec::new(),
            error: None,
        };
        for (index, der) in sent.take(MAX_DEPTH).enumerate() {
            if search.certificates.iter().any(|known| known.der == der) {
                continue;
            }
            match PathCertificate::read(der) {
                Ok(read) => search.certificates.push(read),
                Err(malformed) => {
                    let (role, failure) = (Role::Sent(index + 1), Failure::Malformed(malformed.0));
                    search.note(Rank::Unreadable, PathError { role, name: String::new(), failure });
                }
            }
        }
        search
    }

    pub(super) fn run(mut self) -> Result<ValidPath, PathError> {
        let leaf = &self.certificates[..1];
        let listed = self.roots.iter().find(|root| leaf.iter().any(|leaf| leaf.der == root.der()));
        if let Some(root) = listed {
            let certificates: Vec<_> = leaf.iter().collect();
            let (signatures, comparisons) = (&self.signatures, &self.comparisons);
            let (anchor, signers) = (None, [].as_slice());
            let path = Path { root, anchor, certificates: &certificates, signers, signatures, comparisons };
            match path.validate(self.now) {
                Ok(valid) => return Ok(valid),
                Err(error) => self.note(Rank::Complete, error),
            }
        }
        if let Some(valid) = self.extend(&mut vec![0]) {
            return Ok(valid);
        }
        let unknown = || PathError { role: Role::Leaf, name: String::new(), failure: Failure::UnknownIssuer };
        Err(self.error.map_or_else(unknown, |(_, error)| error))
    }

    /// Extends a path, leaf first, by every issuer of its last certificate.
    fn extend(&mut self, path: &mut Vec<usize>) -> Option<ValidPath> {
        let last = *path.last()?;
        if self.is_exhausted(last) {
            return None;
        }
        self.steps += 1;
        if let Some(valid) = self.extend_to_root(path, last) {
            return Some(valid);
        }
        let mut has_issuer = false;
        if path.len() < self.max_depth {
            for issuer in self.issuers(path, last) {
                if self.is_signed(last, Issuer::Certificate(issuer)) {
                    has_issuer = true;
                    path.push(issuer);
                    let valid = self.extend(path);
                    path.pop();
                    if valid.is_some() {
                        return valid;
                    }
                }
            }
        }
        if !has_issuer {
            self.note(Rank::End(path.len()), self.error_at(last, Failure::UnknownIssuer));
        }
        None
    }

    fn extend_to_root(&mut self, path: &[usize], last: usize) -> Option<ValidPath> {
        let roots = self.roots;
        let issuer = self.certificates[last].issuer.clone();
        for (index, root) in roots.iter().enumerate() {
            if *root.subject() != issuer || issuer.is_empty() {
                continue;
            }
            // `Root::read` has read it.
            let Ok(anchor) = PathCertificate::read(root.der()) else { continue };
            if !self.is_signed_by(last, Issuer::Root(index), anchor.spki) {
                continue;
            }
            let signers = match root.revocation {
                Some(_) => self.crl_signers(path, (Issuer::Root(index), &anchor), &root.requirements),
                None => Vec::new(),
            };
            let of = |issuer| match issuer {
                Issuer::Certificate(index) => &self.certificates[index],
                Issuer::Root(_) => &anchor,
            };
            let signers: Vec<_> = signers
                .into_iter()
                .map(|(index, issuer)| CrlSigner {
                    certificate: &self.certificates[index],
                    issuer: of(issuer),
                })
                .collect();
            let certificates: Vec<_> = path.iter().rev().map(|index| &self.certificates[*index]).collect();
            let path = Path {
                root,
                anchor: Some(&anchor),
                certificates: &certificates,
                signers: &signers,
                signatures: &self.signatures,
                comparisons: &self.comparisons,
            };
            let validated = path.validate(self.now);
            match validated {
                Ok(valid) => return Some(valid),
                Err(error) => self.note(Rank::Complete, error),
            }
        }
        None
    }

    /// Certificates sent along that are for lists of a CA in the path, and are issued by one, with their issuers. Each meets
    /// the requirements for certificates of the path.
    fn crl_signers(
        &mut self,
        path: &[usize],
        (root, anchor): (Issuer, &PathCertificate<'_>),
        requirements: &ChainRequirements,
    ) -> Vec<(usize, Issuer)> {
        let mut signers = Vec::new();
        for index in 1..self.certificates.len() {
            let signer = &self.certificates[index];
            let is_usable = signer.extensions.key_usage.is_some_and(|usage| usage.crl_sign())
                && validate::check(signer, requirements, self.now).is_ok();
            let cas = path.iter().skip(1).map(|ca| (Issuer::Certificate(*ca), &self.certificates[*ca]));
            let mut cas: Vec<_> = cas.chain([(root, anchor)]).collect();
            if path.contains(&index) || !is_usable || !cas.iter().any(|(_, ca)| ca.subject == signer.subject)
            {
                continue;
            }
            cas.retain(|(_, ca)| ca.subject == signer.issuer);
            let cas: Vec<_> = cas.into_iter().map(|(issuer, ca)| (issuer, ca.spki)).collect();
            let issuer = cas.into_iter().find(|(issuer, spki)| self.is_signed_by(index, *issuer, spki));
            signers.extend(issuer.map(|(issuer, _)| (index, issuer)));
        }
        signers
    }

    /// Certificates sent along with the issuer's name, which the path does not contain: neither their subject with their
    /// key. Those that fit best come first.
    fn issuers(&self, path: &[usize], last: usize) -> Vec<usize> {
        let subject = &self.certificates[last];
        let is_in_path = |candidate: &PathCertificate<'_>| {
            path.iter().map(|index| &self.certificates[*index]).any(|certificate| {
                certificate.spki == candidate.spki && certificate.subject == candidate.subject
            })
        };
        let candidates = self.certificates.iter().enumerate().skip(1).filter(|(_, candidate)| {
            candidate.subject == subject.issuer && !candidate.subject.is_empty() && !is_in_path(candidate)
        });
        let mut issuers: Vec<_> = candidates.map(|(index, _)| index).collect();
        issuers.sort_by_key(|index| {
            let candidate = &self.certificates[*index];
            let may_issue =
                candidate.is_ca() && candidate.may_sign() && candidate.validity.contains(self.now);
            let key_ids = (subject.extensions.authority_key_id, candidate.extensions.subject_key_id);
            let is_other_key = matches!(key_ids, (Some(named), Some(key)) if named != key);
            (!may_issue, is_other_key)
        });
        issuers
    }

    fn is_signed(&mut self, subject: usize, issuer: Issuer) -> bool {
        let Issuer::Certificate(index) = issuer else { return false };
        let spki = self.certificates[index].spki;
        self.is_signed_by(subject, issuer, spki)
    }

    /// 6.1.3 (a) (1).
    fn is_signed_by(&mut self, subject: usize, issuer: Issuer, spki: &[u8]) -> bool {
        let known = self.verified.iter().find(|(edge, _)| *edge == (subject, issuer));
        if let Some((_, result)) = known {
            return result.is_ok();
        }
        if self.is_exhausted(subject) {
            return false;
        }
        self.signatures.set(self.signatures.get() + 1);
        let result = signature::verify(&self.certificates[subject].signed, spki);
        let is_signed = result.is_ok();
        if let Err(error) = &result {
            let error = match Key::read(spki).filter(|key| !key.is_accepted(RSA_BITS_MIN)) {
                Some(key) => self.error_of(issuer, Failure::Key(key, RSA_BITS_MIN)),
                None => self.error_at(subject, Failure::Signature(error.clone())),
            };
            self.note(Rank::Signature, error);
        }
        self.verified.push(((subject, issuer), result));
        is_signed
    }

    fn is_exhausted(&mut self, at: usize) -> bool {
        let is_exhausted = self.signatures.get() >= MAX_SIGNATURES || self.steps == MAX_STEPS;
        if is_exhausted {
            self.note(Rank::Limit, self.error_at(at, Failure::TOO_MANY_STEPS));
        }
        is_exhausted
    }

    fn role(&self, index: usize) -> Role {
        if index == 0 { Role::Leaf } else { Role::Ca }
    }

    fn error_at(&self, index: usize, failure: Failure) -> PathError {
        PathError { role: self.role(index), name: self.certificates[index].subject.to_string(), failure }
    }

    fn error_of(&self, issuer: Issuer, failure: Failure) -> PathError {
        match issuer {
            Issuer::Certificate(index) => self.error_at(index, failure),
            Issuer::Root(index) => {
                PathError { role: Role::Root, name: self.roots[index].subject().to_string(), failure }
            }
        }
    }

    fn note(&mut self, rank: Rank, error: PathError) {
        if self.error.as_ref().is_none_or(|(noted, _)| *noted < rank) {
            self.error = Some((rank, error));
        }
    }
}
