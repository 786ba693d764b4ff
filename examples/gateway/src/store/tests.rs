//! The store on disk: what it keeps, and what a crash leaves of it.

mod crash;
mod opening;

use std::{path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::*;
use crate::config::{self, Diagnostic, FilePath, Located};

fn located<T>(value: T) -> Located<T> {
    Located { value, line: 1, key: "store".into() }
}

fn file(path: &Path) -> Located<FilePath> {
    located(FilePath { resolved: path.to_owned(), written: "FILE".into() })
}

/// The store in this folder, with the key beside it.
async fn opened(folder: &Path) -> Result<(Arc<Published>, Opened), Diagnostic> {
    let (path, key_file) = (file(&folder.join("store")), file(&folder.join("store.key")));
    let config = located(config::Store { path, key_file, is_own_key: false });
    let published = Arc::<Published>::default();
    let opened =
        open(&config, Path::new("gateway.toml"), published.clone(), Arc::default, |_, _| Ok(()), |_| {})
            .await?;
    Ok((published, opened))
}

/// A certificate, and a .pfx file of it and its key; and the key in plain.
struct Made {
    certificate: Vec<u8>,
    pfx: Vec<u8>,
    key: Vec<u8>,
}

fn made(name: &str) -> Made {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (certificate, key) = (made.cert.der().to_vec(), made.signing_key.serialize_der());
    let chain = [Certificate::from_der(&certificate).unwrap()];
    let chain = PrivateKeyChain::new(name, PrivateKey::from_der(&key).unwrap(), chain);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    let pfx = store.writer("secret").encryption_iterations(100).mac_iterations(100).write().unwrap();
    Made { certificate, pfx, key }
}

fn upload(data: &[u8], password: &str) -> Upload {
    Upload { data: Zeroizing::new(data.to_vec()), password: Zeroizing::new(password.to_owned()) }
}
