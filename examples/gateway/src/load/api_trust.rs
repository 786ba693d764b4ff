//! Trust in the back ends of APIs, made when it is first asked for: dangerous kinds announce themselves.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tower_mtls::{BackEndTrust, danger::BackEndVerification};

use crate::{config::Verify, store::Id};

/// The CAs of every route, and what was made of them.
pub(crate) struct ApiTrust {
    /// PEM; none: the system's.
    roots: Vec<Vec<u8>>,
    made: Mutex<Made>,
}

/// Each value has connections of its own.
#[derive(Default)]
struct Made {
    by_kind: BTreeMap<Verify, BackEndTrust>,
    by_back_end: BTreeMap<(Id, Verify), BackEndTrust>,
}

impl ApiTrust {
    pub(super) fn new(roots: Vec<Vec<u8>>) -> Self {
        Self { roots, made: Mutex::default() }
    }

    /// Full trust in the upstreams of APIs; why there can be none.
    pub(super) fn full(&self) -> Result<BackEndTrust, String> {
        self.kind(&mut self.lock(), Verify::Full)
    }

    /// Trust in this upstream, or the reason why there is none.
    pub(super) fn of_back_end(&self, id: &Id, verify: Verify) -> Result<BackEndTrust, String> {
        let mut made = self.lock();
        let key = (id.clone(), verify);
        if let Some(trust) = made.by_back_end.get(&key) {
            return Ok(trust.clone());
        }
        let trust = self.kind(&mut made, verify)?.renewed();
        made.by_back_end.insert(key, trust.clone());
        Ok(trust)
    }

    fn kind(&self, made: &mut Made, verify: Verify) -> Result<BackEndTrust, String> {
        if let Some(trust) = made.by_kind.get(&verify) {
            return Ok(trust.clone());
        }
        let builder = match verify {
            Verify::Full => BackEndTrust::builder(),
            Verify::Chain => BackEndTrust::builder().dangerous(BackEndVerification::ChainOnly),
            Verify::Name => BackEndTrust::builder().dangerous(BackEndVerification::NameOnly),
            Verify::None => BackEndTrust::builder().dangerous(BackEndVerification::Nothing),
        };
        let built = self.roots.iter().fold(builder, |builder, pem| builder.add_roots_pem(pem)).build();
        let trust = built.map_err(|error| {
            format!("{error}; the gateway's operator names the back end's CA in [upstream_tls] ca")
        })?;
        made.by_kind.insert(verify, trust.clone());
        Ok(trust)
    }

    /// Forgets the trust in back ends for which `is_used` does not hold, and returns it.
    pub(crate) fn release(&self, is_used: impl Fn(&Id, Verify) -> bool) -> Vec<BackEndTrust> {
        let mut made = self.lock();
        let all = mem::take(&mut made.by_back_end);
        let (kept, over): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|((id, verify), _)| is_used(id, *verify));
        made.by_back_end = kept;
        BTreeMap::into_values(over).collect()
    }

    /// All that was made.
    pub(crate) fn made(&self) -> Vec<BackEndTrust> {
        let made = self.lock();
        made.by_kind.values().chain(made.by_back_end.values()).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ApiTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTrust")
    }
}
