//! Runs the examples, which assert their own output.
#![cfg(all(
    feature = "acceptor",
    feature = "aws-lc-rs",
    feature = "axum",
    feature = "outbound",
    feature = "tonic",
    feature = "trust"
))]

use std::{env, path::PathBuf, process::Command};

/// The path of a built example: `examples/` beside the folder of this test.
fn built(example: &str) -> Option<PathBuf> {
    let test = env::current_exe().ok()?;
    let profile = test.parent()?.parent()?;
    let path = profile.join("examples").join(format!("{example}{}", env::consts::EXE_SUFFIX));
    path.is_file().then_some(path)
}

/// `cargo test` builds all examples before any test runs; `cargo test --test it` does not.
fn command(example: &str) -> Command {
    if let Some(path) = built(example) {
        return Command::new(path);
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--all-features", "--example", example]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}

#[track_caller]
fn succeeds(example: &str, said: &[&str]) {
    let output = command(example).output().expect("the example can be started");
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {}\n{printed}{complained}", output.status);
    for line in said {
        assert!(printed.contains(line), "{example} did not print {line:?}:\n{printed}{complained}");
    }
}

#[test]
fn axum_example_admits_the_partner_and_refuses_others() {
    succeeds("axum", &["a partner asks for /orders: 200 OK", "a stranger asks for /orders: 403 Forbidden"]);
}

#[test]
fn hyper_example_refuses_with_the_reason_phrase() {
    succeeds("hyper", &["a partner: 200 OK", "a stranger: 403 Invalid client certificate"]);
}

#[test]
fn outbound_example_is_seen_under_both_identities() {
    succeeds("outbound", &["was seen as CN=orders-gateway", "was replaced as CN=billing-gateway"]);
}

#[test]
fn signer_example_authenticates_while_its_key_stays_with_the_agent() {
    succeeds(
        "signer",
        &[
            "the upstream saw CN=orders-gateway,O=Contoso",
            "the agent signed 1 time",
            "the private key does not belong to the first certificate",
        ],
    );
}

#[test]
fn tonic_example_denies_strangers_unary_and_streaming() {
    succeeds(
        "tonic",
        &[
            "called by CN=orders-client,O=Contoso",
            "a partner, unary: Ok",
            "a partner, streaming: Ok",
            "a stranger, unary: PermissionDenied",
            "anonymous, streaming: PermissionDenied",
        ],
    );
}

#[test]
fn compose_example_shows_the_effect_of_each_layer_order() {
    succeeds(
        "compose",
        &[
            "refused the old identity and admitted the renewed one",
            "a stranger: 403, not compressed",
            "a stranger 403 at once, a partner waited",
            "the permit is free again",
        ],
    );
}
