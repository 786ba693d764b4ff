//! The demo's throw-away public key infrastructure.
//!
//! [`ensure`] leaves a folder with everything the demo's callers, gateway and upstreams need. What the files
//! are for:
//!
//! | file | what it is |
//! |---|---|
//! | `ca.pem` | signs the gateway's server certificate; `curl --cacert` |
//! | `server.pem`, `server.key` | the gateway's server certificate: localhost, 127.0.0.1, ::1 |
//! | `partners-ca.pem` | signs the callers that are let in |
//! | `client.pem`, `client.key` | a caller that is let in |
//! | `expired.pem`, `expired.key` | the same caller, out of date since a day |
//! | `stranger.pem`, `stranger.key` | the same subject under a CA nobody trusts |
//! | `impostor.pem`, `impostor.key` | the same subject under a CA with the partners CA's name, not its key |
//! | `backend-ca.pem` | signs the upstreams' server certificate and the identities below |
//! | `backend.pem`, `backend.key` | the upstreams' server certificate: localhost |
//! | `orders.pfx`, `orders.password` | the identity `CN=orders-gateway`; its certificate: `orders.pem` |
//! | `billing.pfx`, `billing.password` | the identity `CN=billing-gateway`; `billing.pem` likewise |
//! | `management.token` | the bearer token of the management API |
//! | `.gitignore` | keeps the folder out of any repository around it; also the mark that the folder is ours |
//!
//! The private keys of the certificate authorities are never written: once the certificates are signed,
//! nobody can sign another.

use std::{fs::File, path::Path};

use time::OffsetDateTime;

mod authority;
mod check;
mod error;
mod folder;
mod world;

#[cfg(test)]
mod tests;

pub(crate) use error::PkiError;
pub(super) use world::PARTNERS_CA;

/// Writes a file of the demo's that anyone may read who may read the folder: whole, and never through a link.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn write_public(dir: &Path, name: &str, text: &str) -> Result<(), PkiError> {
    folder::write(dir, name, folder::Access::Public, text.as_bytes())
}

/// Locks `dir`, which is made if it is missing, for as long as the result lives: a second demo must not write over the
/// files of one that runs. Nothing else is written.
///
/// # Errors
///
/// As [`ensure`]; and when another process has the lock.
pub(crate) fn lock(dir: &Path) -> Result<File, PkiError> {
    folder::claim(dir)?;
    folder::lock(dir)
}

/// What [`ensure`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The folder was empty or missing, and a new PKI was written.
    Made,
    /// The folder held a PKI that is complete and valid for an hour or more.
    Reused,
    /// The folder held a PKI of which something was missing, unreadable or about to expire; all of it was
    /// written anew.
    Remade,
}

/// Leaves a complete PKI in `dir` that is valid at `now` and for an hour after it.
///
/// A PKI that is there and good is left alone. Otherwise all of it is made anew, never a part; only files of
/// the demo's own names are written. The folder gets mode 0700 and every secret in it 0600.
///
/// # Errors
///
/// 1. `dir` is not a folder.
/// 2. `dir` holds files but is no folder of the demo's: it may have been mistyped.
/// 3. `dir` belongs to another user, who could put other keys into it.
/// 4. `dir` or a file in it cannot be read or written.
/// 5. The cryptographic library fails to make random bytes, a key, a certificate or a .pfx file.
pub(crate) fn ensure(dir: &Path, now: OffsetDateTime) -> Result<Outcome, PkiError> {
    let outcome = match folder::claim(dir)? {
        folder::Found::Empty => Outcome::Made,
        folder::Found::Ours if check::is_good(dir, now) => return Ok(Outcome::Reused),
        folder::Found::Ours => Outcome::Remade,
    };
    world::write(dir, now)?;
    Ok(outcome)
}
