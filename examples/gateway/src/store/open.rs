//! Opens the configured store, with the key that seals its private keys.

use std::{io::ErrorKind, path::Path, sync::Arc};

use tower_mtls::ClientIdentity;

use super::{
    Apis, Certificates, Conflict, Expected, Follower, Item, Key, Kind, Published, Refusal, Settings, Store,
    Uses,
    embedded::Embedded,
    seal::{KeyFileError, Sealer},
    write_lock::WriteLock,
};
use crate::config::{self, Diagnostic, Located, Severity, quoted};

/// A store that is open and published.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) apis: Arc<Apis>,
    pub(crate) follower: Follower,
    /// What the operator should know.
    pub(crate) notices: Vec<String>,
}

/// Opens the store of the configuration in `file`, and publishes it. `uses` tells, at any time, who uses what; `judge`
/// whether requests can be served by new settings; `served` is told of each change that requests see, with the identities
/// that are gone.
///
/// # Errors
///
/// It cannot be opened, or its private keys cannot; nothing of it has been changed then.
pub(crate) async fn open(
    config: &Located<config::Store>,
    file: &Path,
    published: Arc<Published>,
    uses: impl Fn() -> Arc<Uses> + Send + Sync + 'static,
    judge: impl Fn(&Settings, &Item) -> Result<(), Refusal> + Send + Sync + 'static,
    served: impl Fn(&[ClientIdentity]) + Send + Sync + 'static,
) -> Result<Opened, Diagnostic> {
    let path = &config.path;
    let refuse = |problem: String, remedy: &str| path.diagnostic(file, Severity::Error, problem, remedy);
    let embedded = Embedded::open(&path.resolved).map_err(|problem| {
        refuse(format!("{} {problem}", quoted(&path.written)), "name a folder of the gateway's own")
    })?;
    let store: Arc<dyn Store> = Arc::new(embedded);
    let failed =
        |error: super::StoreError| refuse(error.to_string(), "see whether the disk is full or broken");
    let mut notices = Vec::new();
    let sealer = sealer(&*store, config, file, &mut notices).await?;
    let sealer = Arc::new(sealer);
    let follower = Follower::new(store.clone(), sealer.clone(), published.clone(), served);
    follower.publish().await.map_err(failed)?;
    let write_lock = Arc::new(WriteLock::new(store.clone(), follower.applied()));
    let apis = Apis::new(write_lock.clone(), published, judge);
    let certificates = Certificates::new(store, sealer, write_lock, uses);
    Ok(Opened { certificates: Arc::new(certificates), apis: Arc::new(apis), follower, notices })
}

/// Where the proof is that a sealing key is the store's.
fn proof() -> Key {
    Key { kind: Kind::Sealing, id: "proof".into() }
}

/// The key in the configured file, if it is the store's. A store without any key gets one.
async fn sealer(
    store: &dyn Store,
    config: &Located<config::Store>,
    file: &Path,
    notices: &mut Vec<String>,
) -> Result<Sealer, Diagnostic> {
    let key_file = &config.key_file;
    let named = quoted(&key_file.written);
    let refuse = |problem: String, remedy: &str| key_file.diagnostic(file, Severity::Error, problem, remedy);
    let broken = |problem: String| refuse(problem, "see whether the disk is full or broken");
    let known = store.get(proof()).await.map_err(|error| broken(error.to_string()))?;
    let read = Sealer::from_file(&key_file.resolved);
    let sealer = match read {
        Ok(sealer) => sealer,
        Err(KeyFileError::Io(error))
            if error.kind() == ErrorKind::NotFound && known.is_none() && !config.is_own_key =>
        {
            notices.push(format!(
                "{named} was made: it opens the private keys of the store. Keep a copy of it apart from copies of the \
                 store; without it they are lost"
            ));
            Sealer::make(&key_file.resolved)
                .map_err(|error| broken(format!("{named} cannot be made: {error}")))?
        }
        Err(KeyFileError::Io(error)) => {
            let remedy = match known {
                Some(_) => {
                    "put the key back that the store was made with; its private keys open with no other"
                }
                None => {
                    "name a file with 64 hex digits, such as `openssl rand -hex 32` prints, or leave key_file out"
                }
            };
            return Err(refuse(format!("{named} cannot be read: {error}"), remedy));
        }
        Err(KeyFileError::NoKey) => {
            let problem = format!("{named} does not hold a sealing key");
            let remedy = match known {
                Some(_) => "put the key back that the store was made with: 64 hex digits",
                None => "write 64 hex digits into it, such as `openssl rand -hex 32` prints",
            };
            return Err(refuse(problem, remedy));
        }
    };
    if crate::load::is_open_to_others(&key_file.resolved) {
        notices.push(format!(
            "{named} holds a secret, and others can read it: take their permission away (chmod 600)"
        ));
    }
    let known = match known {
        Some(known) => known.value,
        None => {
            let made = sealer.proof().map_err(|error| broken(error.to_string()))?;
            let put = store.put(proof(), made.clone(), Expected { record: None, store: None }).await;
            match put.map_err(|error| broken(error.to_string()))? {
                Ok(_) => made,
                Err(Conflict::Changed | Conflict::Full) => {
                    let present = store.get(proof()).await.map_err(|error| broken(error.to_string()))?;
                    present.map(|present| present.value).unwrap_or_default()
                }
            }
        }
    };
    if sealer.has_made(&known) {
        return Ok(sealer);
    }
    let remedy = "name the key that the store was made with; nothing in the store was changed";
    Err(refuse(format!("{named} is not the key that the store's private keys are sealed with"), remedy))
}
