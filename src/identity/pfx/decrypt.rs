//! Decrypting an encrypted part of a PKCS#12 file, to see how much work lies inside before it is done.

use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use pkcs5::{der::Decode, pbes2};
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use sha1::Sha1;

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
    /// Whether the algorithm is one of those below.
    pub(super) fn is_supported(&self) -> bool {
        match self.legacy {
            Some(_) => [SHA1_3DES, SHA1_RC2_40].contains(&self.algorithm),
            None => pbes2::Parameters::from_der(self.parameters).is_ok(),
        }
    }

    /// The content in the clear. None if the password is wrong or the algorithm not supported, which opening
    /// the file finds too.
    pub(super) fn decrypt(&self, password: &str) -> Option<Vec<u8>> {
        match (self.legacy, self.algorithm) {
            (Some((salt, iterations)), SHA1_3DES) => {
                self.cbc::<des::TdesEde3>(password, salt, iterations, 24)
            }
            (Some((salt, iterations)), SHA1_RC2_40) => self.cbc::<rc2::Rc2>(password, salt, iterations, 5),
            (Some(_), _) => None,
            (None, _) => {
                pbes2::Parameters::from_der(self.parameters).ok()?.decrypt(password, self.content).ok()
            }
        }
    }

    fn cbc<C>(&self, password: &str, salt: &[u8], iterations: u64, key_size: usize) -> Option<Vec<u8>>
    where
        C: KeyInit + BlockCipherDecrypt,
    {
        let rounds = i32::try_from(iterations).ok()?;
        let derive = |purpose, size| derive_key_utf8::<Sha1>(password, salt, purpose, rounds, size).ok();
        let key = derive(Pkcs12KeyType::EncryptionKey, key_size)?;
        let iv = derive(Pkcs12KeyType::Iv, 8)?;
        let cipher = cbc::Decryptor::<C>::new_from_slices(&key, &iv).ok()?;
        cipher.decrypt_padded_vec::<Pkcs7>(self.content).ok()
    }
}
