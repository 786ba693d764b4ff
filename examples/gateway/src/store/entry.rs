//! Certificates of the store, and their stored form, in which the private key is sealed.

use std::{fmt, io};

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tower_mtls::{
    Certificate,
    certificate::{Thumbprint, Timestamp},
};
use zeroize::{Zeroize, Zeroizing};

use super::{Id, Record, Revision, UploadedCertificate};

/// Length of a sealing key in bytes.
pub(super) const KEY_LENGTH: usize = 32;
/// Length of a nonce in bytes.
const NONCE_LENGTH: usize = 24;

/// Purpose of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EntryPurpose {
    /// A client identity towards upstreams, with its private key.
    Identity,
    /// A caller's certificate, without a private key.
    Caller,
}

impl EntryPurpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Caller => "caller",
        }
    }
}

/// A certificate in the store.
#[derive(Clone)]
pub(crate) struct CertificateEntry {
    pub(crate) id: Id,
    pub(crate) purpose: EntryPurpose,
    /// The certificate with its chain.
    pub(crate) certificate: Certificate,
    /// The sealed private key of an identity.
    key: Option<Vec<u8>>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// Changes with every write.
    pub(crate) revision: Revision,
}

/// Stored form of an entry, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    purpose: EntryPurpose,
    /// DER, the leaf first.
    chain: Vec<Base64Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Base64Bytes>,
    created: i64,
    updated: i64,
}

/// Bytes, serialized as base64.
struct Base64Bytes(Vec<u8>);

impl Serialize for Base64Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD.decode(&*text).map(Self).map_err(|_| de::Error::custom("invalid base64"))
    }
}

impl CertificateEntry {
    /// Creates an entry and seals its key.
    ///
    /// # Errors
    ///
    /// The system's random number generator fails.
    pub(super) fn new(
        id: &Id,
        uploaded: &UploadedCertificate,
        now: Timestamp,
        revision: Revision,
        sealer: &Sealer,
    ) -> io::Result<Self> {
        let UploadedCertificate { certificate, key } = uploaded;
        let purpose = if key.is_some() { EntryPurpose::Identity } else { EntryPurpose::Caller };
        let (id, certificate) = (id.clone(), certificate.clone());
        let mut entry = Self { id, purpose, certificate, key: None, created: now, updated: now, revision };
        entry.key = key.as_ref().map(|key| sealer.seal(key, entry.owner())).transpose()?;
        Ok(entry)
    }

    /// Encodes the entry for the store.
    pub(super) fn encode(&self) -> Vec<u8> {
        let chain = std::iter::once(self.certificate.der()).chain(self.certificate.chain());
        let stored = StoredEntry {
            purpose: self.purpose,
            chain: chain.map(|der| Base64Bytes(der.to_vec())).collect(),
            key: self.key.clone().map(Base64Bytes),
            created: self.created.as_unix(),
            updated: self.updated.as_unix(),
        };
        // Serialization of strings and numbers cannot fail.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Decodes a record.
    ///
    /// # Errors
    ///
    /// The record is not an output of [`encode`](Self::encode): it is damaged, or of a later version.
    pub(super) fn decode(record: &Record) -> Result<Self, String> {
        let id = record.id.parse().map_err(|problem| format!("its id {problem}"))?;
        let stored: StoredEntry = serde_json::from_slice(&record.value)
            .map_err(|error| format!("it is invalid (column {})", error.column()))?;
        let mut chain = stored.chain.iter().map(|der| &*der.0);
        let leaf = chain.next().ok_or("it has no certificate")?;
        let certificate = Certificate::from_der_chain(leaf, chain).map_err(|error| error.to_string())?;
        if stored.key.is_some() != (stored.purpose == EntryPurpose::Identity) {
            return Err("its purpose and its key contradict each other".into());
        }
        Ok(Self {
            id,
            purpose: stored.purpose,
            certificate,
            key: stored.key.map(|key| key.0),
            created: Timestamp::from_unix(stored.created),
            updated: Timestamp::from_unix(stored.updated),
            revision: record.revision,
        })
    }

    /// Opens the private key (PKCS#8); None if the entry has no key.
    pub(super) fn open_key(&self, sealer: &Sealer) -> Option<Result<Zeroizing<Vec<u8>>, UnsealError>> {
        self.key.as_deref().map(|sealed| sealer.open(sealed, self.owner()))
    }

    fn owner(&self) -> KeyOwner<'_> {
        KeyOwner { id: &self.id, purpose: self.purpose, thumbprint: self.certificate.sha256_thumbprint() }
    }
}

impl fmt::Debug for CertificateEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateEntry")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("thumbprint", &self.certificate.sha256_thumbprint())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// Seals data with XChaCha20-Poly1305 under one key.
pub(super) struct Sealer(XChaCha20Poly1305);

/// The entry that a sealed key is bound to, as associated data.
#[derive(Debug, Clone, Copy)]
struct KeyOwner<'a> {
    id: &'a Id,
    purpose: EntryPurpose,
    thumbprint: Thumbprint,
}

/// The data was sealed under another key or for another owner, or was modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnsealError;

impl Sealer {
    pub(super) fn new(key: &[u8; KEY_LENGTH]) -> Self {
        let mut copy = (*key).into();
        let cipher = XChaCha20Poly1305::new(&copy);
        copy.zeroize();
        Self(cipher)
    }

    /// Returns the nonce, followed by the ciphertext.
    fn seal(&self, plain: &[u8], owner: KeyOwner<'_>) -> io::Result<Vec<u8>> {
        self.seal_with(plain, &owner.to_associated_data())
    }

    /// Opens data that was sealed for this owner.
    fn open(&self, sealed: &[u8], owner: KeyOwner<'_>) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
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

/// Plaintext and associated data of the proof.
const PROOF: &[u8] = b"tower-mtls gateway: the sealing key of this store";

/// Fills the buffer with random bytes.
pub(super) fn random(bytes: &mut [u8]) -> io::Result<()> {
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
