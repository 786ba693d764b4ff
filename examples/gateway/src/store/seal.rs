//! Sealing of private keys at rest: each sealed key is bound to its entry.

use std::{fmt, fs, io, path::Path};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use tower_mtls::certificate::Thumbprint;
use zeroize::{Zeroize, Zeroizing};

use super::{EntryPurpose, Id, private};
use crate::file;

/// Key length in bytes.
const KEY_LENGTH: usize = 32;
/// Nonce length in bytes.
const NONCE_LENGTH: usize = 24;

/// Maximum size of a key file in bytes.
const MAX_FILE_SIZE: u64 = 4096;

/// Seals data with XChaCha20-Poly1305 under one key.
pub(super) struct Sealer(XChaCha20Poly1305);

/// The entry that a sealed key is bound to, as associated data.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyOwner<'a> {
    pub(super) id: &'a Id,
    pub(super) purpose: EntryPurpose,
    pub(super) thumbprint: Thumbprint,
}

/// The data was sealed under another key or for another owner, or was modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnsealError;

impl Sealer {
    /// Reads the key from a file with 64 hex digits.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not contain a key.
    pub(super) fn from_file(file: &Path) -> Result<Self, KeyFileError> {
        let opened = fs::File::open(file)?;
        if opened.metadata()?.len() > MAX_FILE_SIZE {
            return Err(KeyFileError::Malformed);
        }
        let mut contents = Zeroizing::new(Vec::with_capacity(MAX_FILE_SIZE as usize));
        io::Read::read_to_end(&mut io::Read::take(opened, MAX_FILE_SIZE), &mut contents)?;
        let text = Zeroizing::new(file::decode(std::mem::take(&mut *contents)));
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        hex::decode_to_slice(text.trim_ascii(), &mut *key).map_err(|_| KeyFileError::Malformed)?;
        Ok(Self::new(&key))
    }

    fn new(key: &[u8; KEY_LENGTH]) -> Self {
        let mut copy = (*key).into();
        let cipher = XChaCha20Poly1305::new(&copy);
        copy.zeroize();
        Self(cipher)
    }

    /// Generates a key and writes it to a new file.
    pub(super) fn create(file: &Path) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        random(&mut *key)?;
        let mut text = Zeroizing::new([b'\n'; 2 * KEY_LENGTH + 1]);
        hex::encode_to_slice(&*key, &mut text[..2 * KEY_LENGTH]).map_err(io::Error::other)?;
        private::write_new(file, &*text)?;
        Ok(Self::new(&key))
    }

    /// Returns the nonce, followed by the ciphertext.
    pub(super) fn seal(&self, plain: &[u8], owner: KeyOwner<'_>) -> io::Result<Vec<u8>> {
        self.seal_with(plain, &owner.to_associated_data())
    }

    /// Opens data that was sealed for this owner.
    pub(super) fn open(&self, sealed: &[u8], owner: KeyOwner<'_>) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        self.open_with(sealed, &owner.to_associated_data())
    }

    /// Returns a value that identifies this key without revealing it.
    pub(super) fn proof(&self) -> io::Result<Vec<u8>> {
        self.seal_with(PROOF, PROOF)
    }

    /// Returns true if the proof was created with this key.
    pub(super) fn verifies(&self, proof: &[u8]) -> bool {
        self.open_with(proof, PROOF).is_ok()
    }

    fn seal_with(&self, msg: &[u8], aad: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LENGTH];
        random(&mut nonce)?;
        let sealed = self.0.encrypt(&XNonce::from(nonce), Payload { msg, aad });
        let sealed = sealed.map_err(|_| io::Error::other("sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open_with(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_LENGTH>().ok_or(UnsealError)?;
        let opened = self.0.decrypt(&XNonce::from(*nonce), Payload { msg, aad });
        opened.map(Zeroizing::new).map_err(|_| UnsealError)
    }
}

const PROOF: &[u8] = b"tower-mtls gateway: the sealing key of this store";

fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

impl KeyOwner<'_> {
    /// Encodes each part with its length, so that the encodings of two owners always differ.
    fn to_associated_data(self) -> Vec<u8> {
        let parts: [&[u8]; 4] = [
            b"tower-mtls gateway: a private key",
            self.id.as_bytes(),
            self.purpose.as_str().as_bytes(),
            self.thumbprint.as_bytes(),
        ];
        parts.into_iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// Error of reading a key file.
#[derive(Debug)]
pub(super) enum KeyFileError {
    Io(io::Error),
    Malformed,
}

impl From<io::Error> for KeyFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_key_opens_only_for_its_owner_and_under_its_key() {
        let (one, other) = (Sealer::new(&[7; KEY_LENGTH]), Sealer::new(&[8; KEY_LENGTH]));
        let (id, another): (Id, Id) = ("orders".parse().unwrap(), "orders2".parse().unwrap());
        let owner =
            KeyOwner { id: &id, purpose: EntryPurpose::Identity, thumbprint: Thumbprint::sha256_of(b"a") };
        let sealed = one.seal(b"a private key", owner).unwrap();
        assert_eq!(&**one.open(&sealed, owner).unwrap(), b"a private key");
        assert!(!sealed.windows(7).any(|part| part == b"private"));
        assert_ne!(one.seal(b"a private key", owner).unwrap(), sealed, "nonces are not reused");
        assert!(other.open(&sealed, owner).is_err());
        for owner in [
            KeyOwner { id: &another, ..owner },
            KeyOwner { purpose: EntryPurpose::Caller, ..owner },
            KeyOwner { thumbprint: Thumbprint::sha256_of(b"b"), ..owner },
        ] {
            assert!(one.open(&sealed, owner).is_err(), "{owner:?}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(one.open(&changed, owner).is_err(), "byte {at}");
            assert!(one.open(&sealed[..at], owner).is_err(), "truncated at {at}");
        }
        assert!(one.verifies(&one.proof().unwrap()) && !other.verifies(&one.proof().unwrap()));
        assert_eq!(format!("{one:?}"), "Sealer");
    }
}
