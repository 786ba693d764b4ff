//! Values that a second load rebuilds or reuses.

use std::{fs, sync::Arc};

use rustls::sign::CertifiedKey;
use tower_mtls::certificate::{Clock, SystemClock};

use super::*;
use crate::{
    demo::{self, pki},
    scratch::Scratch,
};

fn identity(loaded: &Loaded, name: &str) -> *const CertifiedKey {
    Arc::as_ptr(&loaded.file_routes.identities[name].certified_key())
}

#[test]
fn identity_is_reused_in_the_next_load_unless_its_files_changed() {
    let scratch = Scratch::new();
    let now = time::OffsetDateTime::from_unix_timestamp(SystemClock.now().as_unix()).unwrap();
    pki::ensure(scratch.path(), now).unwrap();
    let file = scratch.path().join("gateway.toml");
    let text = demo::toml::render([0, 0], [9444, 9445]);
    fs::write(&file, &text).unwrap();
    let mut cache = Cache::default();
    let mut load = |succeeds: bool| {
        let outcome = load(&Source::read(&file), &mut cache);
        cache.finish_load(outcome.loaded.is_some());
        assert_eq!(outcome.loaded.is_some(), succeeds, "{:?}", outcome.findings);
        outcome
    };
    let outcome = load(true);
    let read: Vec<_> = outcome.read.keys().filter_map(|file| file.file_name()?.to_str()).collect();
    let expected = [
        "backend-ca.pem",
        "billing.password",
        "billing.pfx",
        "gateway.toml",
        "management.token",
        "orders.password",
        "orders.pfx",
        "partners-ca.pem",
        "server.key",
        "server.pem",
    ];
    assert_eq!(read, expected);
    let first = outcome.loaded.unwrap();

    // Another configuration with the same files, after one that cannot serve.
    fs::write(&file, text.replace("[listener]", "[listener")).unwrap();
    load(false);
    fs::write(&file, text.replace("path = \"/open\"", "path = \"/moved\"")).unwrap();
    let second = load(true).loaded.unwrap();
    for name in ["orders", "billing"] {
        assert_eq!(identity(&first, name), identity(&second, name), "{name}");
    }

    // One identity changes, in place.
    for extension in ["pfx", "password"] {
        let billing = scratch.path().join(format!("billing.{extension}"));
        fs::copy(billing, scratch.path().join(format!("orders.{extension}"))).unwrap();
    }
    let third = load(true).loaded.unwrap();
    assert_ne!(identity(&first, "orders"), identity(&third, "orders"));
    assert_eq!(identity(&first, "billing"), identity(&third, "billing"));
    // Equal contents are the same identity under any name.
    assert_eq!(identity(&third, "orders"), identity(&third, "billing"));
}
