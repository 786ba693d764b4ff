//! Path validation (RFC 5280, section 6) with path building (RFC 4158), for client certificates.
//!
//! Pure: certificates, roots and the time determine the result. Certificates are read as DER; extensions that are not
//! supported are ignored unless critical. Bounded: 16 certificates per path, 32 signatures and 256 steps per verdict, 256
//! policies and mappings per certificate, and 100,000 comparisons of names with constraints per verdict. Signatures of
//! revocation lists that verify do not count: each does so once.

mod build;
mod certificate;
pub(in crate::policy) mod der;
mod error;
mod extensions;
mod general_name;
mod key;
mod names;
mod policies;
mod qualifiers;
mod revocation;
mod root;
pub(in crate::policy) mod signature;
#[cfg(test)]
mod tests;
mod validate;

use self::{
    build::{MAX_DEPTH, Search},
    certificate::PathCertificate,
    error::{Failure, Role},
};
pub(super) use self::{error::PathError, root::Root, validate::ValidPath};
use crate::certificate::{Certificate, Timestamp};

/// Finds a valid path for TLS client authentication from a certificate, through those sent along, to one of `roots`.
pub(super) fn verify<'a>(
    certificate: &'a Certificate,
    sent: impl Iterator<Item = &'a [u8]>,
    roots: &'a [Root],
    now: Timestamp,
) -> Result<ValidPath, PathError> {
    search(certificate, sent, roots, now, MAX_DEPTH)
}

/// As [`verify`], without intermediates: the key of a root signed the certificate. Certificates sent along only sign
/// revocation lists.
pub(super) fn verify_issued_by<'a>(
    roots: &'a [Root],
    certificate: &'a Certificate,
    now: Timestamp,
) -> Result<ValidPath, PathError> {
    search(certificate, certificate.chain(), roots, now, 1)
}

fn search<'a>(
    certificate: &'a Certificate,
    sent: impl Iterator<Item = &'a [u8]>,
    roots: &'a [Root],
    now: Timestamp,
    max_depth: usize,
) -> Result<ValidPath, PathError> {
    let leaf = PathCertificate::read(certificate.der()).map_err(|malformed| PathError {
        role: Role::Leaf,
        name: certificate.subject().to_string(),
        failure: Failure::Malformed(malformed.0),
    })?;
    Search::new(leaf, sent, roots, now, max_depth).run()
}
