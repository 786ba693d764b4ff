//! Trust in the back ends of APIs, made when it is first asked for: dangerous kinds announce themselves.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use tower_mtls::{BackEndTrust, danger::BackEndVerification, outbound::SharedBackEndTrust};

use crate::config::Verify;

/// The CAs of every route, and what was made of them.
pub(crate) struct ApiTrust {
    /// PEM; none: the system's.
    roots: Vec<Vec<u8>>,
    made: Mutex<BTreeMap<Verify, BackEndTrust>>,
}

impl ApiTrust {
    pub(super) fn new(roots: Vec<Vec<u8>>) -> Self {
        Self { roots, made: Mutex::default() }
    }

    /// Trust that verifies this much; why there can be none.
    pub(super) fn get(&self, verify: Verify) -> Result<SharedBackEndTrust, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trust) = made.get(&verify) {
            return Ok(trust.clone().into());
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
        made.insert(verify, trust.clone());
        Ok(trust.into())
    }

    /// All that was made.
    pub(crate) fn made(&self) -> Vec<BackEndTrust> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl fmt::Debug for ApiTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTrust")
    }
}
