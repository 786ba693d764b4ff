//! Opening of the configured store and its sealing key.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{
    Conflict, Expected, Publisher, RecordKey, RecordKind, Store, StoreHandle, Validator,
    embedded::Embedded,
    entry::{KEY_LENGTH, Sealer, random},
};
use crate::{
    config::{self, Diagnostic, Located, Severity, quoted},
    file::{self, is_open_to_others, private},
};

/// Maximum size of a key file in bytes.
const MAX_KEY_FILE_SIZE: usize = 4096;

/// A store that was opened.
#[derive(Debug)]
pub(crate) struct OpenStore {
    pub(crate) handle: StoreHandle,
    pub(crate) publisher: Publisher,
    /// Notices for the operator.
    pub(crate) notices: Vec<String>,
}

/// Opens the store of the configuration in `file`.
///
/// # Errors
///
/// The store cannot be opened, or the sealing key is not the store's. Nothing in the store is changed then.
pub(crate) async fn open(
    config: &Located<config::Store>,
    file: &Path,
    validator: Box<Validator>,
) -> Result<OpenStore, Diagnostic> {
    let path = &config.path;
    let diagnostic = |problem: String, remedy: &str| path.diagnostic(file, Severity::Error, problem, remedy);
    let embedded = Embedded::open(&path.resolved).map_err(|problem| {
        diagnostic(format!("{} {problem}", quoted(&path.written)), "use a folder that only the gateway uses")
    })?;
    let store: Arc<dyn Store> = Arc::new(embedded);
    let failed =
        |error: super::StoreError| diagnostic(error.to_string(), "check whether the disk is full or faulty");
    let mut notices = Vec::new();
    let sealer = Arc::new(sealer(&*store, config, file, &mut notices).await?);
    let publisher = Publisher::start(store.clone(), sealer.clone()).await.map_err(failed)?;
    let handle = StoreHandle::new(store, sealer, publisher.subscribe(), validator);
    Ok(OpenStore { handle, publisher, notices })
}

/// Key of the record that verifies the sealing key.
fn proof_key() -> RecordKey {
    RecordKey { kind: RecordKind::Sealing, id: "proof".into() }
}

/// Reads the configured key file and verifies that its key is the store's. Creates the key file of a new store.
async fn sealer(
    store: &dyn Store,
    config: &Located<config::Store>,
    file: &Path,
    notices: &mut Vec<String>,
) -> Result<Sealer, Diagnostic> {
    let key_file = &config.key_file;
    let name = quoted(&key_file.written);
    let diagnostic =
        |problem: String, remedy: &str| key_file.diagnostic(file, Severity::Error, problem, remedy);
    let io_failed = |problem: String| diagnostic(problem, "check whether the disk is full or faulty");
    let stored_proof = store.get(proof_key()).await.map_err(|error| io_failed(error.to_string()))?;
    let read = read_key(&key_file.resolved);
    let sealer = match read {
        Ok(sealer) => sealer,
        Err(KeyFileError::Io(error))
            if error.kind() == ErrorKind::NotFound && stored_proof.is_none() && !config.is_own_key =>
        {
            notices.push(format!(
                "{name} was created: it seals the private keys of the store. Back it up apart from the store; without \
                 it the private keys are lost"
            ));
            create_key(&key_file.resolved)
                .map_err(|error| io_failed(format!("{name} cannot be created: {error}")))?
        }
        Err(KeyFileError::Io(error)) => {
            let remedy = match stored_proof {
                Some(_) => {
                    "restore the key file that the store was created with; no other key opens its private keys"
                }
                None => {
                    "use a file with 64 hex digits, as `openssl rand -hex 32` prints, or leave key_file out"
                }
            };
            return Err(diagnostic(format!("{name} cannot be read: {error}"), remedy));
        }
        Err(KeyFileError::Malformed) => {
            let problem = format!("{name} does not contain a sealing key");
            let remedy = match stored_proof {
                Some(_) => "restore the key file that the store was created with: 64 hex digits",
                None => "write 64 hex digits into it, as `openssl rand -hex 32` prints",
            };
            return Err(diagnostic(problem, remedy));
        }
    };
    if is_open_to_others(&key_file.resolved) {
        notices.push(format!(
            "{name} contains a secret and is readable by other users; remove their permission (chmod 600)"
        ));
    }
    let proof = match stored_proof {
        Some(stored) => stored.value,
        None => {
            let created = sealer.proof().map_err(|error| io_failed(error.to_string()))?;
            let put = store.put(proof_key(), created.clone(), Expected { record: None, store: None }).await;
            match put.map_err(|error| io_failed(error.to_string()))? {
                Ok(_) => created,
                Err(Conflict::Changed | Conflict::Full) => {
                    let stored =
                        store.get(proof_key()).await.map_err(|error| io_failed(error.to_string()))?;
                    stored.map(|stored| stored.value).unwrap_or_default()
                }
            }
        }
    };
    if sealer.verifies(&proof) {
        return Ok(sealer);
    }
    let remedy = "use the key file that the store was created with; nothing in the store was changed";
    Err(diagnostic(format!("{name} is not the key that the store's private keys are sealed with"), remedy))
}

/// Reads the key from a file with 64 hex digits.
///
/// # Errors
///
/// The file cannot be read, or does not contain a key.
fn read_key(file: &Path) -> Result<Sealer, KeyFileError> {
    let opened = fs::File::open(file)?;
    let contents = match file::read_all(opened, MAX_KEY_FILE_SIZE, MAX_KEY_FILE_SIZE) {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => return Err(KeyFileError::Malformed),
        contents => contents?,
    };
    let text = file::decode(contents);
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    hex::decode_to_slice(text.trim_ascii(), &mut *key).map_err(|_| KeyFileError::Malformed)?;
    Ok(Sealer::new(&key))
}

/// Generates a key and writes it to a new file.
fn create_key(file: &Path) -> io::Result<Sealer> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    random(&mut *key)?;
    let mut text = Zeroizing::new([b'\n'; 2 * KEY_LENGTH + 1]);
    hex::encode_to_slice(key.as_slice(), &mut text[..2 * KEY_LENGTH]).map_err(io::Error::other)?;
    private::write_new(file, &*text)?;
    Ok(Sealer::new(&key))
}

/// Error of reading a key file.
#[derive(Debug)]
enum KeyFileError {
    Io(io::Error),
    Malformed,
}

impl From<io::Error> for KeyFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
