//! The demo's throw-away public key infrastructure.
//!
//! [`ensure`] writes a folder with the files of the demo's callers, gateway and upstreams:
//!
//! | file | content |
//! |---|---|
//! | `ca.pem` | signs the gateway's server certificate; `curl --cacert` |
//! | `server.pem`, `server.key` | the gateway's server certificate: localhost, 127.0.0.1, ::1 |
//! | `partners-ca.pem` | signs the callers that are admitted |
//! | `client.pem`, `client.key` | a caller that is admitted |
//! | `expired.pem`, `expired.key` | the same caller, expired since a day |
//! | `stranger.pem`, `stranger.key` | the same subject, issued by an untrusted CA |
//! | `impostor.pem`, `impostor.key` | the same subject, issued by a CA with the partners CA's name but another key |
//! | `backend-ca.pem` | signs the upstreams' server certificate and the identities below |
//! | `backend.pem`, `backend.key` | the upstreams' server certificate: localhost |
//! | `orders.pfx`, `orders.password` | the identity `CN=orders-gateway`; its certificate: `orders.pem` |
//! | `billing.pfx`, `billing.password` | the identity `CN=billing-gateway`; `billing.pem` likewise |
//! | `management.token` | the bearer token of the management API |
//! | `.gitignore` | excludes the folder from a repository around it; also marks it as a folder of the demo |
//!
//! The private keys of the certificate authorities are not written: no further certificates can be signed.

use std::{fs::File, path::Path};

use time::OffsetDateTime;

mod authority;
mod check;
mod error;
mod folder;
mod generate;

#[cfg(test)]
mod tests;

pub(crate) use error::PkiError;
pub(super) use generate::PARTNERS_CA;

/// Writes a public file into the demo's folder. The file is replaced atomically; links are not followed.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) fn write_public(dir: &Path, name: &str, text: &str) -> Result<(), PkiError> {
    folder::write(dir, name, folder::FileAccess::Public, text.as_bytes())
}

/// Locks `dir` until the result is dropped, and creates it if it is missing. The lock keeps a second demo from replacing
/// the files of a running one.
///
/// # Errors
///
/// As [`ensure`], or another process has the lock.
pub(crate) fn lock(dir: &Path) -> Result<File, PkiError> {
    folder::claim(dir)?;
    folder::lock(dir)
}

/// Result of [`ensure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PkiState {
    /// The folder was empty or missing; a new PKI was written.
    Created,
    /// The folder contains a PKI that is complete and valid for at least an hour.
    Reused,
    /// The PKI in the folder was incomplete, unreadable or about to expire, and was replaced as a whole.
    Replaced,
}

/// Ensures that `dir` contains a complete PKI that is valid at `now` and for at least an hour.
///
/// A valid PKI is reused, any other is replaced as a whole. Only the demo's own files are written. The folder has mode
/// 0700, secrets have 0600.
///
/// # Errors
///
/// 1. `dir` is not a folder.
/// 2. `dir` contains files, but is not a folder of the demo.
/// 3. `dir` belongs to another user, who could replace its keys.
/// 4. `dir` or a file in it cannot be read or written.
/// 5. The cryptographic library fails to create random bytes, a key, a certificate or a .pfx file.
pub(crate) fn ensure(dir: &Path, now: OffsetDateTime) -> Result<PkiState, PkiError> {
    let state = match folder::claim(dir)? {
        folder::FolderState::Empty => PkiState::Created,
        folder::FolderState::Demo if check::is_valid(dir, now) => return Ok(PkiState::Reused),
        folder::FolderState::Demo => PkiState::Replaced,
    };
    generate::write(dir, now)?;
    Ok(state)
}
