//! Trust in the backends of APIs, made when it is first asked for: dangerous kinds announce themselves.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tower_mtls::{UpstreamTrust, danger::UpstreamVerification};

use crate::{config::Verify, store::Id};

/// The CAs of every route, and what was made of them.
pub(crate) struct ApiTrust {
    /// PEM; none: the system's.
    roots: Vec<Vec<u8>>,
    made: Mutex<BuiltTrusts>,
}

/// Each value has connections of its own.
#[derive(Default)]
struct BuiltTrusts {
    by_kind: BTreeMap<Verify, UpstreamTrust>,
    by_backend: BTreeMap<(Id, Verify), UpstreamTrust>,
}

impl ApiTrust {
    pub(super) fn new(roots: Vec<Vec<u8>>) -> Self {
        Self { roots, made: Mutex::default() }
    }

    /// Full trust in the upstreams of APIs; why there can be none.
    pub(super) fn full(&self) -> Result<UpstreamTrust, String> {
        self.kind(&mut self.lock(), Verify::Full)
    }

    /// Trust in this upstream, or the reason why there is none.
    pub(super) fn of_backend(&self, id: &Id, verify: Verify) -> Result<UpstreamTrust, String> {
        let mut made = self.lock();
        let key = (id.clone(), verify);
        if let Some(trust) = made.by_backend.get(&key) {
            return Ok(trust.clone());
        }
        let trust = self.kind(&mut made, verify)?.renewed();
        made.by_backend.insert(key, trust.clone());
        Ok(trust)
    }

    fn kind(&self, made: &mut BuiltTrusts, verify: Verify) -> Result<UpstreamTrust, String> {
        if let Some(trust) = made.by_kind.get(&verify) {
            return Ok(trust.clone());
        }
        let builder = match verify {
            Verify::Full => UpstreamTrust::builder(),
            Verify::Chain => UpstreamTrust::builder().dangerous(UpstreamVerification::ChainOnly),
            Verify::Name => UpstreamTrust::builder().dangerous(UpstreamVerification::NameOnly),
            Verify::None => UpstreamTrust::builder().dangerous(UpstreamVerification::Nothing),
        };
        let built = self.roots.iter().fold(builder, |builder, pem| builder.add_roots_pem(pem)).build();
        let trust = built.map_err(|error| {
            format!("{error}; the gateway's operator names the backend's CA in [upstream_tls] ca")
        })?;
        made.by_kind.insert(verify, trust.clone());
        Ok(trust)
    }

    /// Forgets the trust in backends for which `is_used` does not hold, and returns it.
    pub(crate) fn release(&self, is_used: impl Fn(&Id, Verify) -> bool) -> Vec<UpstreamTrust> {
        let mut made = self.lock();
        let all = mem::take(&mut made.by_backend);
        let (kept, over): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|((id, verify), _)| is_used(id, *verify));
        made.by_backend = kept;
        BTreeMap::into_values(over).collect()
    }

    /// IdentityResolver that was made.
    pub(crate) fn made(&self) -> Vec<UpstreamTrust> {
        let made = self.lock();
        made.by_kind.values().chain(made.by_backend.values()).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BuiltTrusts> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ApiTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTrust")
    }
}
