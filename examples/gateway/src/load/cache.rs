//! What one load hands on to the next: whatever was made of contents that did not change is the very same value,
//! so that its connections and sessions go on.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use sha2::{Digest as _, Sha256};
use tower_mtls::{
    ClientIdentity, ServerTls, TrustAnchors, UpstreamTrust,
    apim::{Document, SharedDeployment},
    identity::SharedIdentities,
    outbound::SharedUpstreamTrust,
};

use super::api_trust::ApiTrust;
use crate::{serve::Client, store::CurrentStore};

/// SHA-256 of everything that a value was made of. Some of that is secret: it stays in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Of these parts, in this order; `kind` keeps values of different kinds apart.
    pub(super) fn of<'a>(kind: &'a str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(kind.as_bytes()).chain(parts) {
            // With their lengths, so that no two lists of parts are the same octets.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What loads made so far.
#[derive(Default)]
pub(crate) struct Cache {
    pub(super) identities: Memo<ClientIdentity>,
    pub(super) anchors: Memo<TrustAnchors>,
    pub(super) upstream_trusts: Memo<UpstreamTrust>,
    /// That of APIs, by the CAs.
    pub(super) api_trusts: Memo<Arc<ApiTrust>>,
    /// The same trusts by their settings: what requests of all configurations look up.
    pub(super) shared_trusts: Memo<SharedUpstreamTrust>,
    /// The identities, likewise.
    pub(super) shared_identities: SharedIdentities,
    pub(super) server_tls: Memo<ServerTls>,
    pub(super) documents: Memo<Document>,
    pub(super) deployments: Memo<SharedDeployment>,
    pub(super) clients: Memo<Client>,
    /// How many requests each route has in flight: they count whatever configuration they came under.
    pub(super) in_flight: Memo<Arc<AtomicUsize>>,
    /// What requests see of the store: loads come and go, it stays.
    pub(super) store: Arc<CurrentStore>,
}

impl Cache {
    /// Ends a load. What a successful one did not use is dropped; after one that failed all is kept, since the
    /// last successful one still serves.
    pub(crate) fn finish_load(&mut self, succeeded: bool) {
        self.identities.finish_load(succeeded);
        self.anchors.finish_load(succeeded);
        self.upstream_trusts.finish_load(succeeded);
        self.shared_trusts.finish_load(succeeded);
        self.api_trusts.finish_load(succeeded);
        self.server_tls.finish_load(succeeded);
        self.documents.finish_load(succeeded);
        self.deployments.finish_load(succeeded);
        self.clients.finish_load(succeeded);
        self.in_flight.finish_load(succeeded);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// Values by the digest of what they were made of.
pub(super) struct Memo<T>(HashMap<Digest, Entry<T>>);

struct Entry<T> {
    value: T,
    is_used: bool,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Memo<T> {
    /// The value that was made of the same contents, or else what `make` makes of them.
    ///
    /// # Errors
    /// Those of `make`; an error is not kept.
    pub(super) fn get_or_make<E>(
        &mut self,
        digest: Digest,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(entry) = self.0.get_mut(&digest) {
            entry.is_used = true;
            return Ok(entry.value.clone());
        }
        let value = make()?;
        self.0.insert(digest, Entry { value: value.clone(), is_used: true });
        Ok(value)
    }

    fn finish_load(&mut self, succeeded: bool) {
        self.0.retain(|_, entry| entry.is_used || !succeeded);
        for entry in self.0.values_mut() {
            entry.is_used = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(kept: &mut Memo<u32>, name: &str, make: Result<u32, ()>) -> Result<u32, ()> {
        kept.get_or_make(Digest::of("test", [name.as_bytes()]), || make)
    }

    #[test]
    fn a_value_is_kept_as_long_as_every_successful_load_uses_it() {
        let mut values = Memo::default();
        assert_eq!(kept(&mut values, "a", Ok(1)), Ok(1));
        assert_eq!(kept(&mut values, "a", Ok(2)), Ok(1), "within a load");
        values.finish_load(true);
        assert_eq!(kept(&mut values, "a", Ok(3)), Ok(1), "in the next load");
        values.finish_load(true);
        values.finish_load(false);
        assert_eq!(kept(&mut values, "a", Ok(4)), Ok(1), "after a load that failed before it came so far");
        values.finish_load(true);
        values.finish_load(true);
        assert_eq!(kept(&mut values, "a", Ok(5)), Ok(5), "after a load that did not use it");
        assert_eq!(kept(&mut values, "b", Err(())), Err(()));
        assert_eq!(kept(&mut values, "b", Ok(6)), Ok(6), "an error is not kept");
    }

    #[test]
    fn different_parts_have_different_digests() {
        let digest = |kind: &str, parts: &[&str]| Digest::of(kind, parts.iter().map(|part| part.as_bytes()));
        let all = [
            digest("k", &["ab", "c"]),
            digest("k", &["a", "bc"]),
            digest("k", &["abc"]),
            digest("k", &["abc", ""]),
            digest("ka", &["bc"]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{index}");
        }
    }
}
