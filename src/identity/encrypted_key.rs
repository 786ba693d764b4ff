//! Encrypted private keys as PEM: PKCS#8's EncryptedPrivateKeyInfo (RFC 5958, section 3).

use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

use super::{IdentityError, PfxLimits, pfx};
use crate::{key_pair::KeyPairError, pem::PemError};

const LABEL: &[u8] = b"ENCRYPTED PRIVATE KEY";
const PLAIN_LABEL: &[u8] = b"PRIVATE KEY";

/// Opens the only encrypted key of a PEM text.
pub(super) fn open(
    pem: &[u8],
    password: &str,
    limits: PfxLimits,
) -> Result<PrivateKeyDer<'static>, IdentityError> {
    if contains(pem, b"Proc-Type: 4,ENCRYPTED") {
        let what = "OpenSSL's own old encryption of PEM (Proc-Type); convert it with `openssl pkcs8 -topk8`";
        return Err(IdentityError::UnsupportedKeyEncryption(what.into()));
    }
    let sections = count(pem, &[b"-----BEGIN ", LABEL].concat());
    if sections == 0 && contains(pem, b"PRIVATE KEY-----") {
        return Err(KeyPairError::KeyNotEncrypted.into());
    }
    if sections != 1 {
        let problem = "not exactly one encrypted private key (-----BEGIN ENCRYPTED PRIVATE KEY-----) in it";
        return Err(KeyPairError::KeyPem(PemError::new(1, problem)).into());
    }
    // The decoder knows no label for what is encrypted, and the label is all that tells the two apart in PEM.
    let renamed = replaced(pem, LABEL, PLAIN_LABEL);
    let Ok(PrivateKeyDer::Pkcs8(der)) = PrivateKeyDer::from_pem_slice(&renamed) else {
        return Err(
            KeyPairError::KeyPem(PemError::new(1, "the encrypted private key is not valid PEM")).into()
        );
    };
    let plain = pfx::decrypt_key(der.secret_pkcs8_der(), password, limits)?;
    Ok(PrivateKeyDer::Pkcs8(plain.into()))
}

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).filter(|window| *window == part).count()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    count(text, part) > 0
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(old.len()).position(|window| window == old) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
