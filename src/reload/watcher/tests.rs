use std::{fs, path::Path, time::Instant};

use super::*;
use crate::{certificate::Thumbprint, policy::Policy};

const INTERVAL: Duration = Duration::from_millis(2);

fn policy_from(files: &[Vec<u8>]) -> Result<Policy, BoxError> {
    let text = std::str::from_utf8(&files[0])?;
    assert_ne!(text, "panic", "as the test wants");
    Ok(Policy::builder().thumbprint(text.parse::<Thumbprint>()?).build()?)
}

fn replace(path: &Path, contents: &str) {
    let new = path.with_extension("new");
    fs::write(&new, contents).unwrap();
    fs::rename(new, path).unwrap();
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 seconds");
        thread::yield_now();
    }
}

#[test]
fn watcher_replaces_the_value_keeps_it_on_errors_and_ends_when_dropped() {
    let path = std::env::temp_dir().join(format!("tower-mtls-watcher-{}", std::process::id()));
    replace(&path, &"00".repeat(32));
    let shared = Shared::new(policy_from(&["11".repeat(32).into_bytes()]).unwrap());
    let before = shared.current();
    let builder = Watcher::builder().add_file(&path).with_interval(INTERVAL);
    let watcher = builder.load_into(&shared, policy_from).unwrap();
    let first = shared.current();
    assert!(!Arc::ptr_eq(&before, &first));

    for invalid in ["not a thumbprint", "panic"] {
        replace(&path, invalid);
        until(|| watcher.is_stale());
        assert!(Arc::ptr_eq(&shared.current(), &first), "{invalid}");
        replace(&path, &"00".repeat(32));
        until(|| !watcher.is_stale());
        assert!(
            Arc::ptr_eq(&shared.current(), &first),
            "the contents of the current value are not loaded again"
        );
    }
    fs::remove_file(&path).unwrap();
    until(|| watcher.is_stale());
    replace(&path, &"22".repeat(32));
    until(|| !Arc::ptr_eq(&shared.current(), &first));
    until(|| !watcher.is_stale());

    let is_stale = watcher.is_stale.clone();
    drop(watcher);
    // The thread owns the other reference.
    until(|| Arc::strong_count(&is_stale) == 1);
    fs::remove_file(&path).unwrap();
}

#[test]
fn files_that_change_at_every_read_are_reported() {
    let path = std::env::temp_dir().join(format!("tower-mtls-watcher-changing-{}", std::process::id()));
    replace(&path, &"00".repeat(32));
    let shared = Shared::new(policy_from(&["11".repeat(32).into_bytes()]).unwrap());
    let builder = Watcher::builder().add_file(&path).with_interval(INTERVAL);
    let watcher = builder.load_into(&shared, policy_from).unwrap();
    let mut count = 0;
    until(|| {
        count += 1;
        replace(&path, &format!("{count:064x}"));
        watcher.is_stale()
    });
    replace(&path, &"22".repeat(32));
    until(|| !watcher.is_stale());
    fs::remove_file(&path).unwrap();
}

#[test]
fn rejected_first_contents_leave_the_value_in_use() {
    let path = std::env::temp_dir().join(format!("tower-mtls-watcher-first-{}", std::process::id()));
    replace(&path, "not a thumbprint");
    let shared = Shared::new(policy_from(&["11".repeat(32).into_bytes()]).unwrap());
    let before = shared.current();
    let error = Watcher::builder().add_file(&path).load_into(&shared, policy_from).unwrap_err();
    assert!(matches!(error, ReloadError::Rejected(_)), "{error}");
    assert!(Arc::ptr_eq(&before, &shared.current()));
    fs::remove_file(&path).unwrap();
}
