//! Values that loads share. A value whose source did not change is reused, with its connections and sessions.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use sha2::{Digest as _, Sha256};
use tower_mtls::{
    ClientIdentity, Rule, ServerTls, Shared, TrustAnchors, UpstreamTrust,
    apim::{DeploymentCertificates, Document},
    identity::Identities,
};

use super::{api_trust::ApiTrust, rate_limits::LimiterMemo, revocation::CrlCache, served::LoadedSource};
use crate::{
    routing::{Client, RouteMetrics},
    store::CurrentStore,
};

/// SHA-256 of all sources of a value. Some sources are secret: a digest is never logged or stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Hashes these parts in order; `kind` separates values of different kinds.
    pub(super) fn of<'a>(kind: &'a str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(kind.as_bytes()).chain(parts) {
            // With its length, so that different lists of parts have different bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

/// Values of earlier loads.
#[derive(Default)]
pub(crate) struct Cache {
    /// The configuration that serves.
    pub(super) served: Option<LoadedSource>,
    /// The configuration of this load.
    pub(super) loaded: Option<LoadedSource>,
    pub(super) identities: Memo<ClientIdentity>,
    pub(super) anchors: Memo<TrustAnchors>,
    pub(super) crls: CrlCache,
    pub(super) upstream_trusts: Memo<UpstreamTrust>,
    /// Trust of APIs, by the CAs.
    pub(super) api_trusts: Memo<Arc<ApiTrust>>,
    /// The same by their settings. Requests of all configurations use these.
    pub(super) shared_trusts: Memo<Shared<UpstreamTrust>>,
    /// Identities by name. Requests of all configurations use these.
    pub(super) shared_identities: Shared<Identities>,
    pub(super) server_tls: Memo<ServerTls>,
    pub(super) documents: Memo<Document>,
    /// Rules of thumbprint files.
    pub(super) thumbprints: Memo<Rule>,
    /// Metrics of routes.
    pub(super) metrics: Memo<Arc<RouteMetrics>>,
    pub(super) deployments: Memo<Shared<DeploymentCertificates>>,
    pub(super) clients: Memo<Client>,
    /// Requests in flight by route, over all configurations.
    pub(super) in_flight: Memo<Arc<AtomicUsize>>,
    /// Rate limits with their counts, over all configurations.
    pub(super) rate_limits: LimiterMemo,
    /// Contents of the store for requests, over all configurations.
    pub(super) store: Arc<CurrentStore>,
}

impl Cache {
    /// Ends a load. Values that a successful load did not use are dropped; a failed load drops none, since the previous
    /// configuration still serves.
    pub(crate) fn finish_load(&mut self, succeeded: bool) {
        let loaded = self.loaded.take();
        if succeeded {
            self.served = loaded;
        }
        self.identities.finish_load(succeeded);
        self.anchors.finish_load(succeeded);
        self.crls.finish_load(succeeded);
        self.upstream_trusts.finish_load(succeeded);
        self.shared_trusts.finish_load(succeeded);
        self.api_trusts.finish_load(succeeded);
        self.server_tls.finish_load(succeeded);
        self.documents.finish_load(succeeded);
        self.thumbprints.finish_load(succeeded);
        self.metrics.finish_load(succeeded);
        self.deployments.finish_load(succeeded);
        self.clients.finish_load(succeeded);
        self.in_flight.finish_load(succeeded);
        self.rate_limits.finish_load(succeeded);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// Values by the digest of their sources.
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
    /// Returns the value for this digest, if there is one.
    pub(super) fn get(&mut self, digest: Digest) -> Option<T> {
        let entry = self.0.get_mut(&digest)?;
        entry.is_used = true;
        Some(entry.value.clone())
    }

    /// Returns the value for this digest, built by `build` if there is none.
    ///
    /// # Errors
    /// Those of `build`; an error is not stored.
    pub(super) fn get_or_build<E>(
        &mut self,
        digest: Digest,
        build: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(value) = self.get(digest) {
            return Ok(value);
        }
        let value = build()?;
        self.0.insert(digest, Entry { value: value.clone(), is_used: true });
        Ok(value)
    }

    pub(super) fn finish_load(&mut self, succeeded: bool) {
        self.0.retain(|_, entry| entry.is_used || !succeeded);
        for entry in self.0.values_mut() {
            entry.is_used = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(memo: &mut Memo<u32>, name: &str, built: Result<u32, ()>) -> Result<u32, ()> {
        memo.get_or_build(Digest::of("test", [name.as_bytes()]), || built)
    }

    #[test]
    fn value_is_reused_until_a_successful_load_does_not_use_it() {
        let mut values = Memo::default();
        assert_eq!(get(&mut values, "a", Ok(1)), Ok(1));
        assert_eq!(get(&mut values, "a", Ok(2)), Ok(1), "within a load");
        values.finish_load(true);
        assert_eq!(get(&mut values, "a", Ok(3)), Ok(1), "in the next load");
        values.finish_load(true);
        values.finish_load(false);
        assert_eq!(get(&mut values, "a", Ok(4)), Ok(1), "after a load that failed before it came so far");
        values.finish_load(true);
        values.finish_load(true);
        assert_eq!(get(&mut values, "a", Ok(5)), Ok(5), "after a load that did not use it");
        assert_eq!(get(&mut values, "b", Err(())), Err(()));
        assert_eq!(get(&mut values, "b", Ok(6)), Ok(6), "an error is not stored");
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
