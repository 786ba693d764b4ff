//! Tests of the store on disk: opening and crashes.

mod crash;
mod opening;

use std::{path::Path, sync::Arc};

use tokio::sync::watch;
use zeroize::Zeroizing;

use super::*;
use crate::config::{self, Diagnostic, FilePath, Located};

fn located<T>(value: T) -> Located<T> {
    Located { value, line: 1, key: "store".into() }
}

fn file(path: &Path) -> Located<FilePath> {
    located(FilePath { resolved: path.to_owned(), written: "FILE".into() })
}

/// Opens the store in this folder, with the key file beside it. All changes are valid.
async fn open_in(folder: &Path) -> Result<OpenStore, Diagnostic> {
    let (path, key_file) = (file(&folder.join("store")), file(&folder.join("store.key")));
    let config = located(config::Store { path, key_file, is_own_key: false });
    open(&config, Path::new("gateway.toml"), Box::new(|_| Box::pin(async { Ok(()) }))).await
}

/// Puts or, without an upload, deletes a certificate. Waits until the change is published, as a server does before it
/// allows the next one.
async fn change(
    handle: &StoreHandle,
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    id: &Id,
    upload: Option<CertificateUpload>,
    condition: &Precondition,
) -> Revision {
    let uploaded = match upload {
        Some(upload) => Some(handle.open_upload(upload).await.unwrap()),
        None => None,
    };
    let edit = |settings: &mut Settings| {
        condition.check(settings.certificates.get(id).map(|current| current.revision))?;
        match &uploaded {
            Some(uploaded) => handle.put_certificate(settings, id, uploaded),
            None => settings.certificates.remove(id).map(drop).ok_or(ChangeError::Absent),
        }
    };
    let stored = handle.change(Item::Certificate(id.clone()), edit).await.unwrap();
    snapshots.wait_for(|snapshot| snapshot.revision() >= stored.revision).await.unwrap();
    stored.revision
}

/// A certificate, its private key, and a .pfx file with both.
struct TestCertificate {
    certificate: Vec<u8>,
    pfx: Vec<u8>,
    key: Vec<u8>,
}

fn test_certificate(name: &str) -> TestCertificate {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (certificate, key) = (issued.cert.der().to_vec(), issued.signing_key.serialize_der());
    let chain = [Certificate::from_der(&certificate).unwrap()];
    let chain = PrivateKeyChain::new(name, PrivateKey::from_der(&key).unwrap(), chain);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    let pfx = store.writer("secret").encryption_iterations(100).mac_iterations(100).write().unwrap();
    TestCertificate { certificate, pfx, key }
}

fn upload(data: &[u8], password: &str) -> CertificateUpload {
    CertificateUpload { data: Zeroizing::new(data.to_vec()), password: Zeroizing::new(password.to_owned()) }
}
