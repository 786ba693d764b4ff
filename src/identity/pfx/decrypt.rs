//! Decryption of encrypted parts of a PKCS#12 file, and of encrypted keys.

use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use p12_keystore::error::Error as P12Error;
use pkcs5::{der::Decode, pbes2};
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use sha1::Sha1;
use zeroize::Zeroizing;

/// An encrypted part: its algorithm (object identifier, parameters) and its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encrypted<'a> {
    pub(super) algorithm: &'a [u8],
    /// The parameters' DER encoding.
    pub(super) parameters: &'a [u8],
    /// Salt and iterations, if it is one of PKCS#12's own algorithms.
    pub(super) legacy: Option<(&'a [u8], u64)>,
    pub(super) content: &'a [u8],
}

const SHA1_3DES: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 12, 1, 3];
const SHA1_RC2_40: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 12, 1, 6];

impl Encrypted<'_> {
    /// Returns true if the algorithm is supported.
    pub(super) fn is_supported(&self) -> bool {
        match self.legacy {
            Some(_) => [SHA1_3DES, SHA1_RC2_40].contains(&self.algorithm),
            None => pbes2::Parameters::from_der(self.parameters).is_ok(),
        }
    }

    /// Decrypts the content.
    pub(super) fn decrypt(&self, password: &str) -> Result<Zeroizing<Vec<u8>>, P12Error> {
        match (self.legacy, self.algorithm) {
            (Some((salt, iterations)), SHA1_3DES) => {
                self.cbc::<des::TdesEde3>(password, salt, iterations, 24).ok_or(P12Error::UnpadError)
            }
            (Some((salt, iterations)), SHA1_RC2_40) => {
                self.cbc::<rc2::Rc2>(password, salt, iterations, 5).ok_or(P12Error::UnpadError)
            }
            (Some(_), _) => Err(P12Error::UnsupportedEncryptionScheme),
            (None, _) => {
                let parameters = pbes2::Parameters::from_der(self.parameters)?;
                let decrypted = parameters.decrypt(password, self.content);
                decrypted.map(Zeroizing::new).map_err(|error| P12Error::Pkcs5Error(error.to_string()))
            }
        }
    }

    fn cbc<C>(
        &self,
        password: &str,
        salt: &[u8],
        iterations: u64,
        key_size: usize,
    ) -> Option<Zeroizing<Vec<u8>>>
    where
        C: KeyInit + BlockCipherDecrypt,
    {
        let rounds = i32::try_from(iterations).ok()?;
        let derive = |purpose, size| derive_key_utf8::<Sha1>(password, salt, purpose, rounds, size).ok();
        let key = Zeroizing::new(derive(Pkcs12KeyType::EncryptionKey, key_size)?);
        let iv = derive(Pkcs12KeyType::Iv, 8)?;
        let cipher = cbc::Decryptor::<C>::new_from_slices(&key, &iv).ok()?;
        cipher.decrypt_padded_vec::<Pkcs7>(self.content).ok().map(Zeroizing::new)
    }
}

/// Returns the number of hashes that PBKDF2 computes in each iteration for the key length of these PBES2 parameters.
pub(super) fn blocks(parameters: &[u8]) -> u64 {
    let Ok(parameters) = pbes2::Parameters::from_der(parameters) else { return 1 };
    let hash = match parameters.kdf {
        pbes2::Kdf::Pbkdf2(derivation) => match derivation.prf {
            pbes2::Pbkdf2Prf::HmacWithSha1 => 20,
            pbes2::Pbkdf2Prf::HmacWithSha224 => 28,
            _ => 32,
        },
        _ => return 1,
    };
    if parameters.encryption.key_size() > hash { 2 } else { 1 }
}
