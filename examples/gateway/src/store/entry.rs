//! A certificate in the store, and how it is written down.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tower_mtls::{Certificate, Timestamp};

use super::{
    Id, Key, Kind, Record, Revision,
    seal::{NotOurs, Owner, Sealer},
};

/// What a certificate is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Purpose {
    /// The gateway's own towards backends, with its private key.
    Identity,
    /// Somebody's who may call; its public half alone.
    Caller,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Caller => "caller",
        }
    }
}

/// A certificate in the store.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) purpose: Purpose,
    /// With the chain behind it.
    pub(crate) certificate: Certificate,
    /// The private key, sealed; an identity has one.
    key: Option<Vec<u8>>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// Changes with every write.
    pub(crate) revision: Revision,
}

/// What is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    purpose: Purpose,
    /// DER, the leaf first.
    chain: Vec<Octets>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Octets>,
    created: i64,
    updated: i64,
}

/// Octets as base64.
struct Octets(Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD.decode(&*text).map(Self).map_err(|_| de::Error::custom("no base64"))
    }
}

impl Entry {
    /// A new entry; `key` is sealed for it.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(super) fn new(
        id: Id,
        certificate: Certificate,
        key: Option<&[u8]>,
        now: Timestamp,
        sealer: &Sealer,
    ) -> std::io::Result<Self> {
        let purpose = if key.is_some() { Purpose::Identity } else { Purpose::Caller };
        let mut entry = Self { id, purpose, certificate, key: None, created: now, updated: now, revision: 0 };
        entry.key = key.map(|key| sealer.seal(key, entry.owner())).transpose()?;
        Ok(entry)
    }

    /// Where it is kept.
    pub(super) fn key_of(id: &Id) -> Key {
        Key { kind: Kind::Certificate, id: id.shared() }
    }

    /// What is written down of it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let chain = std::iter::once(self.certificate.der()).chain(self.certificate.chain());
        let written = Written {
            purpose: self.purpose,
            chain: chain.map(|der| Octets(der.to_vec())).collect(),
            key: self.key.clone().map(Octets),
            created: self.created.as_unix(),
            updated: self.updated.as_unix(),
        };
        // Texts and numbers, whose serialization cannot fail.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// The entry that was written down.
    ///
    /// # Errors
    ///
    /// The record is not one that [`encode`](Self::encode) makes: a later version's, or damaged.
    pub(super) fn decode(record: &Record) -> Result<Self, String> {
        let id = record.id.parse().map_err(|problem| format!("its id {problem}"))?;
        let written: Written = serde_json::from_slice(&record.value)
            .map_err(|error| format!("it cannot be read (column {})", error.column()))?;
        let mut chain = written.chain.iter().map(|der| &*der.0);
        let leaf = chain.next().ok_or("it has no certificate")?;
        let certificate = Certificate::from_der_chain(leaf, chain).map_err(|error| error.to_string())?;
        if written.key.is_some() != (written.purpose == Purpose::Identity) {
            return Err("its purpose and its key contradict each other".into());
        }
        Ok(Self {
            id,
            purpose: written.purpose,
            certificate,
            key: written.key.map(|key| key.0),
            created: Timestamp::from_unix(written.created),
            updated: Timestamp::from_unix(written.updated),
            revision: record.revision,
        })
    }

    /// The private key (PKCS#8), if it has one.
    pub(super) fn open_key(&self, sealer: &Sealer) -> Option<Result<zeroize::Zeroizing<Vec<u8>>, NotOurs>> {
        self.key.as_deref().map(|sealed| sealer.open(sealed, self.owner()))
    }

    fn owner(&self) -> Owner<'_> {
        Owner { id: &self.id, purpose: self.purpose, thumbprint: self.certificate.sha256_thumbprint() }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("thumbprint", &self.certificate.sha256_thumbprint())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
