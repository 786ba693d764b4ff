//! Encrypted PEM private keys: PKCS#8's EncryptedPrivateKeyInfo (RFC 5958, section 3).

use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::{IdentityError, PfxLimits, pfx};
use crate::keys::{
    KeyPairError,
    pem::{self, Block, PemError, SecretText},
};

/// Decrypts the only encrypted key of a PEM text.
pub(super) fn open(
    text: &[u8],
    password: &str,
    limits: PfxLimits,
) -> Result<Zeroizing<PrivateKeyDer<'static>>, IdentityError> {
    let unreadable = |error| IdentityError::from(KeyPairError::KeyPem(error));
    let text = SecretText::decode(text);
    let blocks = pem::blocks(&text).map_err(unreadable)?;
    if blocks.iter().any(Block::is_encrypted_by_header) {
        let encryption =
            "OpenSSL's legacy PEM encryption (Proc-Type); convert it with `openssl pkcs8 -topk8`";
        return Err(IdentityError::UnsupportedKeyEncryption(encryption.into()));
    }
    let encrypted: Vec<_> = blocks.iter().filter(|block| block.is_encrypted()).collect();
    let [key] = encrypted[..] else {
        if encrypted.is_empty() && blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            return Err(KeyPairError::KeyNotEncrypted.into());
        }
        let problem = "not exactly one encrypted private key (-----BEGIN ENCRYPTED PRIVATE KEY-----)";
        return Err(unreadable(PemError::new(1, problem)));
    };
    let mut plain = pfx::decrypt_key(&key.der().map_err(unreadable)?, password, limits)?;
    Ok(Zeroizing::new(PrivateKeyDer::Pkcs8(std::mem::take(&mut *plain).into())))
}
