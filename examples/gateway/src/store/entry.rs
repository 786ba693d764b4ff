//! Certificates of the store, and their stored form.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tower_mtls::{Certificate, certificate::Timestamp};

use super::{
    Id, Record, Revision, UploadedCertificate,
    seal::{KeyOwner, Sealer, UnsealError},
};

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
    ) -> std::io::Result<Self> {
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
    pub(super) fn open_key(
        &self,
        sealer: &Sealer,
    ) -> Option<Result<zeroize::Zeroizing<Vec<u8>>, UnsealError>> {
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
