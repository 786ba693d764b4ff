//! `gateway explain`, on the demo's certificates.

use crate::support::{Demo, gateway};

#[test]
fn usage_errors_exit_with_1_and_help_with_0() {
    for (arguments, code, expected) in [
        (&["explain"][..], 1, "--config"),
        (&["explain", "--config", "x", "--route", "/"], 1, "--certificate"),
        (
            &["explain", "--config", "x", "--route", "/", "--certificate", "x", "--no-certificate"],
            1,
            "cannot be used",
        ),
        (&["explain", "--header", "X-Region"], 1, "write it like"),
        (&["explain", "--header", "Host: a"], 1, "use --host"),
        (&["explain", "--remote", "here"], 1, "--remote"),
        (&["explain", "--help"], 0, "--no-certificate"),
        (&["explan"], 1, "explain"),
        (&["check", "--config"], 1, "--config"),
        (&["demo", "--management-port", "x"], 1, "--management-port"),
        (&["--help"], 0, "explain"),
        (&["demo", "--help"], 0, "--management-port"),
        (&["--version"], 0, "gateway"),
    ] {
        let output = gateway().args(arguments).output().unwrap();
        let (printed, other) = match code {
            0 => (output.stdout, output.stderr),
            _ => (output.stderr, output.stdout),
        };
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
        assert!(printed.contains(expected) && other.is_empty(), "{arguments:?}: {printed}");
    }
}

fn explain(demo: &Demo, route: &str, certificate: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut command = gateway();
    command.args(["explain", "--route", route, "--config"]).arg(demo.dir().join("gateway.toml"));
    match certificate {
        "" => command.arg("--no-certificate"),
        name => command.arg("--certificate").arg(demo.dir().join(format!("{name}.pem"))),
    };
    let output = command.args(more).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

#[test]
fn certificates_are_explained_with_their_verdict() {
    let demo = Demo::start();
    for (route, certificate, more, code, expected) in [
        ("/orders", "client", &[][..], 0, "admitted"),
        ("/orders/42", "client", &[], 0, "admitted"),
        ("/open", "stranger", &[], 0, "this route requires no certificate"),
        ("/orders", "expired", &[], 2, "refused: the client certificate has expired"),
        (
            "/orders",
            "client",
            &["--at", "2050-01-01T00:00:00Z"],
            2,
            "refused: the client certificate has expired",
        ),
        (
            "/orders",
            "client",
            &["--at", "2000-01-01T00:00:00Z"],
            2,
            "refused: the client certificate is not valid yet",
        ),
        ("/orders", "impostor", &[], 2, "FAILS: a chain leads to a trusted root"),
        ("/orders", "stranger", &[], 2, "FAILS: the issuer is"),
        ("/orders", "", &[], 2, "refused: "),
        ("/open", "", &[], 0, "admitted"),
        ("/orders", "nobody", &[], 1, "nobody.pem"),
        ("/elsewhere", "client", &[], 1, "no such route"),
        ("/open/../orders", "client", &[], 1, "--route"),
        ("/orders", "client", &["--at", "yesterday"], 1, "2026-12-31T23:59:59Z"),
    ] {
        let (exit, printed) = explain(&demo, route, certificate, more);
        assert_eq!(exit, Some(code), "{route} {certificate} {more:?}: {printed}");
        assert!(printed.contains(expected), "{route} {certificate} {more:?}: {printed}");
    }
}

/// The certificate with the OID of P-256 replaced by that of the curve prime239v1. Its signature is wrong.
fn with_other_curve(pem: &str) -> String {
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let mut der = pem::parse(pem).unwrap().into_contents();
    let at = der.windows(P256.len()).position(|bytes| bytes == P256).unwrap();
    der[at + P256.len() - 1] = 4;
    pem::encode(&pem::Pem::new("CERTIFICATE", der))
}

#[test]
fn key_that_no_handshake_verifies_is_refused_under_every_policy() {
    let demo = Demo::start();
    let client = std::fs::read_to_string(demo.dir().join("client.pem")).unwrap();
    std::fs::write(demo.dir().join("other-curve.pem"), with_other_curve(&client)).unwrap();
    let document = "<policies><inbound /></policies>";
    std::fs::write(demo.dir().join("empty.xml"), document).unwrap();
    let config = demo.dir().join("gateway.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    for (path, rules) in [
        ("/unanchored", "issuer = [\"CN=any\"], allow_unanchored = true"),
        ("/shadow", "trust = \"partners\", mode = \"shadow\""),
        ("/document", "policy = \"empty.xml\", allow_unanchored = true"),
    ] {
        text.push_str(&format!(
            "\n[[routes]]\npath = \"{path}\"\nupstream = \"https://localhost\"\nidentity = \"orders\"\n\
             client_certificate = {{ {rules} }}\n"
        ));
    }
    std::fs::write(&config, text).unwrap();
    let refusal = "refused: no TLS handshake can verify the key of this certificate: ECDSA on the curve \
                   1.2.840.10045.3.1.4 is not supported;";
    for path in ["/orders", "/open", "/unanchored", "/shadow", "/document"] {
        let (code, printed) = explain(&demo, path, "other-curve", &[]);
        assert!(code == Some(2) && printed.starts_with(refusal), "{path}: {printed}");
        assert!(!printed.contains("admitted"), "{path}: {printed}");
        let (_, printed) = explain(&demo, path, "client", &[]);
        assert!(!printed.contains("handshake"), "{path}: {printed}");
    }
}

#[test]
fn explain_prints_the_chosen_identity_and_exits_by_the_verdict() {
    let demo = Demo::start();
    let config = demo.dir().join("gateway.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    for (path, row) in [("/by", "orders-client"), ("/none", "nobody")] {
        text.push_str(&format!(
            "\n[[routes]]\npath = \"{path}\"\nupstream = \"https://localhost\"\n\
             identity_by = {{ claim = \"common_name\", identities = {{ \"{row}\" = \"billing\" }} }}\n\
             client_certificate = {{ trust = \"partners\" }}\n"
        ));
    }
    std::fs::write(&config, text).unwrap();
    for (path, expected) in
        [("/by", "\nidentity: billing, by common_name\n"), ("/none", "\nidentity: none by common_name")]
    {
        let (code, printed) = explain(&demo, path, "client", &[]);
        assert!(code == Some(0) && printed.contains(expected), "{path}: {printed}");
    }
}

#[test]
fn certificate_refused_in_shadow_mode_passes() {
    let demo = Demo::start();
    let config = demo.dir().join("gateway.toml");
    let document = |name: &str, text: &str| std::fs::write(demo.dir().join(name), text).unwrap();
    document(
        "plain.xml",
        "<policies><inbound><validate-client-certificate validate-revocation=\"false\" /></inbound></policies>",
    );
    // In shadow mode rejected callers would be sent on without the upstream that others get.
    document(
        "choosing.xml",
        "<policies><inbound><choose>\
         <when condition=\"@(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation())\">\
         <return-response><set-status code=\"401\" /></return-response></when>\
         <otherwise><set-backend-service base-url=\"https://localhost:1\" /></otherwise></choose></inbound></policies>",
    );
    let mut text = std::fs::read_to_string(&config).unwrap();
    for (path, rules) in [
        ("/rules", "trust = \"partners\""),
        ("/plain", "policy = \"plain.xml\", trust = \"partners\""),
        ("/choosing", "policy = \"choosing.xml\", trust = \"partners\""),
    ] {
        text.push_str(&format!(
            "\n[[routes]]\npath = \"{path}\"\nupstream = \"https://localhost\"\nidentity = \"orders\"\n\
             client_certificate = {{ {rules}, mode = \"shadow\" }}\n"
        ));
    }
    std::fs::write(&config, text).unwrap();
    let shadow = "passes: mode = \"shadow\" only logs the rejection\n";
    for (path, certificate, code, refusal, is_shadowed) in [
        ("/rules", "client", 0, "admitted", false),
        ("/rules", "stranger", 0, "refused: ", true),
        ("/plain", "client", 0, "forwarded", false),
        ("/plain", "stranger", 0, "response: 401", true),
        ("/choosing", "stranger", 2, "response: 401", false),
    ] {
        let (exit, printed) = explain(&demo, path, certificate, &[]);
        assert_eq!(exit, Some(code), "{path} {certificate}: {printed}");
        assert!(printed.contains(refusal), "{path} {certificate}: {printed}");
        assert_eq!(printed.ends_with(shadow), is_shadowed, "{path} {certificate}: {printed}");
    }
}
