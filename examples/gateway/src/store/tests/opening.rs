//! Tests of opening a store: its key, its permissions, and use by another process; and of its lock.

use std::fs;

use futures_util::FutureExt;

use super::*;
use crate::scratch::Scratch;

#[tokio::test]
async fn reopened_store_keeps_entries_and_needs_its_key() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let (id, caller): (Id, Id) = ("orders".parse().unwrap(), "caller".parse().unwrap());
    let certificate = test_certificate("orders");
    {
        let OpenStore { handle, publisher, notices } = open_in(folder).await.unwrap();
        let mut snapshots = publisher.subscribe();
        assert_eq!(notices.len(), 1, "{notices:?}");
        let following = tokio::spawn(async move { publisher.run().await });
        for (id, data, password) in
            [(&id, &certificate.pfx, "secret"), (&caller, &certificate.certificate, "")]
        {
            let upload = Some(upload(data, password));
            change(&handle, &mut snapshots, id, upload, &Precondition::Absent).await;
        }
        assert_eq!(snapshots.borrow().expiries().len(), 1);
        following.abort();
        let _ = following.await;
    }
    let key = fs::read(folder.join("store.key")).unwrap();
    for (case, other, part) in [
        ("another key", Some("0".repeat(64)), "is not the key that the store's private keys are sealed with"),
        ("no key in it", Some("hello".into()), "does not contain a sealing key"),
        ("no file", None, "cannot be read"),
    ] {
        fs::remove_file(folder.join("store.key")).unwrap();
        if let Some(other) = other {
            fs::write(folder.join("store.key"), other).unwrap();
        } else {
            fs::write(folder.join("store.key.gone"), "").unwrap();
        }
        let error = open_in(folder).await.err().unwrap().to_string();
        assert!(error.contains(part), "{case}: {error}");
        fs::write(folder.join("store.key"), &key).unwrap();
    }
    // Failed attempts do not change the store.
    let OpenStore { handle: _handle, publisher, .. } = open_in(folder).await.unwrap();
    let snapshot = publisher.subscribe().borrow().clone();
    assert_eq!(snapshot.expiries().len(), 1);
    let [caller, orders] = [&caller, &id].map(|id| &snapshot.settings.certificates[id].value);
    assert_eq!(
        (orders.purpose, orders.certificate.der()),
        (EntryPurpose::Identity, &*certificate.certificate)
    );
    assert_eq!(caller.purpose, EntryPurpose::Caller);
    let error = open_in(folder).await.err().unwrap().to_string();
    assert!(error.contains("is in use by another process"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn store_and_key_file_are_readable_by_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let folder = scratch.path();
    drop(open_in(folder).await.unwrap());
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("store"), 0o700);
    assert_eq!((mode("store/store.redb"), mode("store.key")), (0o600, 0o600));
    fs::set_permissions(folder.join("store"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = open_in(folder).await.err().unwrap().to_string();
    assert!(error.contains("open to other users"), "{error}");
    fs::set_permissions(folder.join("store"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(folder.join("store.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let OpenStore { notices, .. } = open_in(folder).await.unwrap();
    assert!(notices[0].contains("readable by other users"), "{notices:?}");
}

#[tokio::test]
async fn store_is_locked_until_requests_see_a_change() {
    let scratch = Scratch::new();
    let OpenStore { handle, .. } = open_in(scratch.path()).await.unwrap();
    let policy = |settings: &mut Settings| {
        let revision = settings.revision;
        let policy = Policy::new(tower_mtls::apim::Format::Xml, "<policies/>".into(), revision);
        settings.policy = Some(Versioned::new(revision, policy));
        Ok(())
    };
    let stored = handle.change(Item::Policy, policy).await.unwrap();
    assert!(handle.lock().now_or_never().is_none());
    drop(stored);
    assert!(handle.lock().now_or_never().is_some());
    let rejected = handle.change(Item::Policy, |_| Err(ChangeError::PreconditionFailed)).await;
    assert!(matches!(rejected, Err(ChangeError::PreconditionFailed)));
    assert!(handle.lock().now_or_never().is_some(), "a rejected change releases the lock");
}
