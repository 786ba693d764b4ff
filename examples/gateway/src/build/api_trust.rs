//! Trust in the backends of APIs. Built on first use, since building a dangerous kind logs a warning.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tower_mtls::UpstreamTrust;

use super::verification::trust_builder;
use crate::{config::Verify, store::Id};

/// The general CAs of upstreams, and the trust that was built from them.
pub(crate) struct ApiTrust {
    /// PEM; empty: the system's roots.
    roots: Vec<Vec<u8>>,
    built: Mutex<BuiltTrusts>,
}

/// Trust by verification and by backend. Each value has its own connections.
#[derive(Default)]
struct BuiltTrusts {
    by_kind: BTreeMap<Verify, UpstreamTrust>,
    by_backend: BTreeMap<(Id, Verify), UpstreamTrust>,
}

impl ApiTrust {
    pub(super) fn new(roots: Vec<Vec<u8>>) -> Self {
        Self { roots, built: Mutex::default() }
    }

    /// Returns full verification for upstreams of APIs.
    ///
    /// # Errors
    /// The CAs cannot be used.
    pub(super) fn full(&self) -> Result<UpstreamTrust, String> {
        self.kind(&mut self.lock(), Verify::Full)
    }

    /// Returns the trust in a backend.
    ///
    /// # Errors
    /// The CAs cannot be used.
    pub(super) fn of_backend(&self, id: &Id, verify: Verify) -> Result<UpstreamTrust, String> {
        let mut built = self.lock();
        let key = (id.clone(), verify);
        if let Some(trust) = built.by_backend.get(&key) {
            return Ok(trust.clone());
        }
        let trust = self.kind(&mut built, verify)?.renewed();
        built.by_backend.insert(key, trust.clone());
        Ok(trust)
    }

    fn kind(&self, built: &mut BuiltTrusts, verify: Verify) -> Result<UpstreamTrust, String> {
        if let Some(trust) = built.by_kind.get(&verify) {
            return Ok(trust.clone());
        }
        let result =
            self.roots.iter().fold(trust_builder(verify), |builder, pem| builder.add_roots_pem(pem)).build();
        let trust = result.map_err(|error| {
            format!("{error}; the gateway's operator must name the backend's CA in [upstream_tls] ca")
        })?;
        built.by_kind.insert(verify, trust.clone());
        Ok(trust)
    }

    /// Removes and returns the trust in backends that are not used.
    pub(crate) fn release(&self, is_used: impl Fn(&Id, Verify) -> bool) -> Vec<UpstreamTrust> {
        let mut built = self.lock();
        let all = mem::take(&mut built.by_backend);
        let (used, unused): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|((id, verify), _)| is_used(id, *verify));
        built.by_backend = used;
        BTreeMap::into_values(unused).collect()
    }

    /// Returns all values that were built.
    pub(crate) fn built(&self) -> Vec<UpstreamTrust> {
        let built = self.lock();
        built.by_kind.values().chain(built.by_backend.values()).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BuiltTrusts> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ApiTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTrust")
    }
}
