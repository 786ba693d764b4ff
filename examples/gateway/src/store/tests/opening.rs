//! Opening a store: its key, its permissions, whoever else has it.

use std::fs;

use super::*;
use crate::demo::Scratch;

#[tokio::test]
async fn what_was_stored_is_there_again_and_opens_with_its_key_only() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let (id, caller): (Id, Id) = ("orders".parse().unwrap(), "somebody".parse().unwrap());
    let made = made("orders");
    {
        let (published, Opened { certificates, follower, notices, .. }) = opened(folder).await.unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        let following = tokio::spawn(async move { follower.follow().await });
        let put = certificates.put(&id, upload(&made.pfx, "secret"), &Condition::Absent).await.unwrap();
        assert!(put.1 && put.0.purpose == Purpose::Identity);
        certificates.put(&caller, upload(&made.certificate, ""), &Condition::Absent).await.unwrap();
        assert_eq!(published.expiries().len(), 1, "effective at once");
        following.abort();
        let _ = following.await;
    }
    let key = fs::read(folder.join("store.key")).unwrap();
    for (case, other, part) in [
        ("another key", Some("0".repeat(64)), "is not the key that the store's private keys are sealed with"),
        ("no key in it", Some("hello".into()), "does not hold a sealing key"),
        ("no file", None, "cannot be read"),
    ] {
        fs::remove_file(folder.join("store.key")).unwrap();
        if let Some(other) = other {
            fs::write(folder.join("store.key"), other).unwrap();
        } else {
            fs::write(folder.join("store.key.gone"), "").unwrap();
        }
        let refused = opened(folder).await.err().unwrap().to_string();
        assert!(refused.contains(part), "{case}: {refused}");
        fs::write(folder.join("store.key"), &key).unwrap();
    }
    // Nothing was lost.
    let (published, Opened { certificates, .. }) = opened(folder).await.unwrap();
    assert_eq!(published.expiries().len(), 1);
    assert_eq!(certificates.get(&id).await.unwrap().unwrap().certificate.der(), made.certificate);
    assert_eq!(certificates.get(&caller).await.unwrap().unwrap().purpose, Purpose::Caller);
    let refused = opened(folder).await.err().unwrap().to_string();
    assert!(refused.contains("is in use by another process"), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_any_of_it() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let folder = scratch.path();
    drop(opened(folder).await.unwrap());
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("store"), 0o700);
    assert_eq!((mode("store/store.redb"), mode("store.key")), (0o600, 0o600));
    fs::set_permissions(folder.join("store"), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = opened(folder).await.err().unwrap().to_string();
    assert!(refused.contains("open to others"), "{refused}");
    fs::set_permissions(folder.join("store"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(folder.join("store.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (_, Opened { notices, .. }) = opened(folder).await.unwrap();
    assert!(notices[0].contains("others can read it"), "{notices:?}");
}
