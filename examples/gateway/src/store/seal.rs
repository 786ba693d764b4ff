//! Private keys at rest: sealed, and bound to the entry that they belong to.

use std::{fmt, fs, io, path::Path};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use tower_mtls::Thumbprint;
use zeroize::{Zeroize, Zeroizing};

use super::{Id, Purpose, private};
use crate::file;

const KEY: usize = 32;
const NONCE: usize = 24;

/// No key file comes near this size.
const LARGEST_FILE: u64 = 4096;

/// Seals with XChaCha20-Poly1305 under one key.
pub(super) struct Sealer(XChaCha20Poly1305);

/// What a sealed key belongs to: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) id: &'a Id,
    pub(super) purpose: Purpose,
    pub(super) thumbprint: Thumbprint,
}

/// It was sealed under another key, for another owner, or was changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotOurs;

impl Sealer {
    /// The sealer of the key in this file: 64 hex digits.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub(super) fn from_file(file: &Path) -> Result<Self, KeyFileError> {
        let opened = fs::File::open(file)?;
        if opened.metadata()?.len() > LARGEST_FILE {
            return Err(KeyFileError::NoKey);
        }
        let mut contents = Zeroizing::new(Vec::with_capacity(LARGEST_FILE as usize));
        io::Read::read_to_end(&mut io::Read::take(opened, LARGEST_FILE), &mut contents)?;
        let text = Zeroizing::new(file::decode(std::mem::take(&mut *contents)));
        let mut key = Zeroizing::new([0; KEY]);
        let digits = std::str::from_utf8(text.trim_ascii()).map_err(|_| KeyFileError::NoKey)?;
        if digits.len() != 2 * KEY || !digits.is_ascii() {
            return Err(KeyFileError::NoKey);
        }
        for (octet, at) in key.iter_mut().zip((0..).step_by(2)) {
            let digits =
                digits.get(at..at + 2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let digits = digits.ok_or(KeyFileError::NoKey)?;
            *octet = u8::from_str_radix(digits, 16).map_err(|_| KeyFileError::NoKey)?;
        }
        Ok(Self::new(&key))
    }

    fn new(key: &[u8; KEY]) -> Self {
        let mut copy = (*key).into();
        let cipher = XChaCha20Poly1305::new(&copy);
        copy.zeroize();
        Self(cipher)
    }

    /// Makes a key, and its file.
    pub(super) fn make(file: &Path) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        random(&mut *key)?;
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY + 1));
        for octet in key.iter() {
            // Writing to a string does not fail.
            let _ = fmt::Write::write_fmt(&mut *text, format_args!("{octet:02x}"));
        }
        text.push('\n');
        private::write_new(file, text.as_bytes())?;
        Ok(Self::new(&key))
    }

    /// The nonce, and behind it what it sealed.
    pub(super) fn seal(&self, plain: &[u8], owner: Owner<'_>) -> io::Result<Vec<u8>> {
        self.seal_with(plain, &owner.to_octets())
    }

    /// What was sealed for this owner.
    pub(super) fn open(&self, sealed: &[u8], owner: Owner<'_>) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
        self.open_with(sealed, &owner.to_octets())
    }

    /// What tells this key from another without saying anything of it.
    pub(super) fn proof(&self) -> io::Result<Vec<u8>> {
        self.seal_with(PROOF, PROOF)
    }

    /// Whether it made this proof.
    pub(super) fn has_made(&self, proof: &[u8]) -> bool {
        self.open_with(proof, PROOF).is_ok()
    }

    fn seal_with(&self, msg: &[u8], aad: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        let sealed = self.0.encrypt(&XNonce::from(nonce), Payload { msg, aad });
        let sealed = sealed.map_err(|_| io::Error::other("it cannot be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open_with(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE>().ok_or(NotOurs)?;
        let opened = self.0.decrypt(&XNonce::from(*nonce), Payload { msg, aad });
        opened.map(Zeroizing::new).map_err(|_| NotOurs)
    }
}

const PROOF: &[u8] = b"tower-mtls gateway: the sealing key of this store";

fn random(octets: &mut [u8]) -> io::Result<()> {
    getrandom::fill(octets).map_err(|error| io::Error::other(error.to_string()))
}

impl Owner<'_> {
    /// Each part with its length: no two owners are the same octets.
    fn to_octets(self) -> Vec<u8> {
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

/// Why there is no sealing key in a file.
#[derive(Debug)]
pub(super) enum KeyFileError {
    Io(io::Error),
    NoKey,
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
    fn a_sealed_key_opens_for_its_owner_and_under_its_key_only() {
        let (one, other) = (Sealer::new(&[7; KEY]), Sealer::new(&[8; KEY]));
        let (id, another): (Id, Id) = ("orders".parse().unwrap(), "orders2".parse().unwrap());
        let owner = Owner { id: &id, purpose: Purpose::Identity, thumbprint: Thumbprint::sha256_of(b"a") };
        let sealed = one.seal(b"a private key", owner).unwrap();
        assert_eq!(&**one.open(&sealed, owner).unwrap(), b"a private key");
        assert!(!sealed.windows(7).any(|part| part == b"private"));
        assert_ne!(one.seal(b"a private key", owner).unwrap(), sealed, "never twice under the same nonce");
        assert!(other.open(&sealed, owner).is_err());
        for owner in [
            Owner { id: &another, ..owner },
            Owner { purpose: Purpose::Caller, ..owner },
            Owner { thumbprint: Thumbprint::sha256_of(b"b"), ..owner },
        ] {
            assert!(one.open(&sealed, owner).is_err(), "{owner:?}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(one.open(&changed, owner).is_err(), "octet {at}");
            assert!(one.open(&sealed[..at], owner).is_err(), "cut at {at}");
        }
        assert!(one.has_made(&one.proof().unwrap()) && !other.has_made(&one.proof().unwrap()));
        assert_eq!(format!("{one:?}"), "Sealer");
    }
}
