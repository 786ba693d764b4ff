//! Client identities: a certificate chain and its private key, presented to upstreams.
//!
//! Built on [`certificate`](crate::certificate) and [`keys`](crate::keys).
//!
//! A [`ClientIdentity`] is built from a .pfx (PKCS#12) file with its password, modern (AES, PBKDF2) or legacy
//! (3DES, RC2-40) encryption, from PEM (a plain or encrypted key), or from a signer that keeps its key. Each
//! constructor checks that
//! 1. the file is within its limits of size and of key-derivation work, *before* any key is derived;
//! 2. the password is right ([`IdentityError::WrongPassword`] otherwise);
//! 3. there is exactly one private key, the crypto provider can use it, and it belongs to the certificate.
//!
//! The whole chain of the file is kept and sent. Each value is a new *generation*: connections opened under one
//! never serve another, even if both contain the same certificate. `Debug` shows names and thumbprints, never a
//! key.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
//! # let other = rcgen::generate_simple_self_signed(vec![])?;
//! # let other_key = other.signing_key.serialize_pem();
//! use tower_mtls::{ClientIdentity, identity::IdentityError, keys::KeyPairError};
//!
//! let identity = ClientIdentity::from_pem(chain.as_bytes(), key.as_bytes())?;
//! assert_eq!(identity.certificate().subject().to_string(), "CN=rcgen self signed cert");
//!
//! let mismatch = ClientIdentity::from_pem(chain.as_bytes(), other_key.as_bytes()).unwrap_err();
//! assert_eq!(mismatch, IdentityError::KeyPair(KeyPairError::Mismatch));
//! # Ok(())
//! # }
//! ```

mod builder;
mod client_identity;
mod encrypted_key;
mod error;
mod pfx;
mod reference;
#[cfg(test)]
mod tests;

pub use self::{
    builder::ClientIdentityBuilder,
    client_identity::ClientIdentity,
    error::IdentityError,
    pfx::PfxLimits,
    reference::{Identities, IdentityReference, ResolveIdentity},
};
