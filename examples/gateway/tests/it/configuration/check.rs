//! `gateway check`, on files with one error each.

use std::{fs, path::Path};

use rcgen::ExtendedKeyUsagePurpose;

use crate::support::{
    Demo, Folder, check,
    pki::{Authority, Leaf},
    shell,
};

/// A copy of the demo's folder that broken files can refer to.
fn world() -> Folder {
    let folder = Folder::new();
    let demo = Demo::start();
    for entry in fs::read_dir(demo.dir()).unwrap() {
        let entry = entry.unwrap();
        // Only the demo itself can open its store.
        if entry.file_type().unwrap().is_dir() {
            continue;
        }
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    drop(demo);
    let good = "\
[listener]
address = \"127.0.0.1:8443\"
certificate = \"server.pem\"
private_key = \"server.key\"
[trust.partners]
ca = [\"partners-ca.pem\"]
[identities.orders]
pfx = \"orders.pfx\"
password_file = \"orders.password\"
[[routes]]
path = \"/orders\"
upstream = \"https://localhost:9444/orders\"
identity = \"orders\"
[routes.upstream_tls]
ca = [\"backend-ca.pem\"]
[routes.client_certificate]
trust = \"partners\"
subject = [\"CN=orders-client, O=Contoso\"]
thumbprint_file = \"allowed.txt\"
";
    write(&folder, "good.toml", good);
    write(&folder, "allowed.txt", &format!("# ours\n{}\n", "A1".repeat(32)));
    let authority = Authority::root("Server CA");
    let odd = [
        ("nameless", Leaf::client("nameless").usages(&[])),
        ("for-clients", Leaf::server().usages(&[ExtendedKeyUsagePurpose::ClientAuth])),
    ];
    for (name, leaf) in odd {
        let issued = authority.issue(&leaf);
        write(&folder, &format!("{name}.pem"), &issued.chain_pem());
        write(&folder, &format!("{name}.key"), &issued.key_pem());
    }
    write(&folder, "garbage.bin", "\u{1}\u{2}garbage");
    write(&folder, "empty.txt", "# empty\n");
    write(&folder, "bad.txt", "# ours\nxyz\n");
    write(&folder, "wrong.password", "wrong\n");
    let cut = fs::read(folder.path().join("orders.pfx")).unwrap();
    fs::write(folder.path().join("cut.pfx"), &cut[..cut.len() / 2]).unwrap();
    folder
}

fn write(folder: &Folder, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).unwrap();
}

#[test]
fn valid_file_exits_with_0() {
    let folder = world();
    let (code, printed) = check(&folder.path().join("good.toml"));
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.ends_with("good.toml: ok\n"), "{printed}");
}

#[test]
fn warnings_are_printed_and_keep_exit_code_0() {
    let folder = world();
    let good = fs::read_to_string(folder.path().join("good.toml")).unwrap();
    let billing =
        "[identities.billing]\npfx = \"billing.pfx\"\npassword_file = \"billing.password\"\n[[routes]]";
    for (case, from, to, finding) in [
        (
            "a leaf among upstreams' CAs",
            "backend-ca.pem",
            "backend.pem",
            ":15: warning: routes[1].upstream_tls.ca: \"backend.pem\": \"CN=localhost,O=Contoso\" is not a CA certificate; ",
        ),
        (
            "a listener without names",
            "server.",
            "nameless.",
            ":3: warning: listener.certificate: the certificate has no subject alternative name",
        ),
        (
            "a listener for clients",
            "server.",
            "for-clients.",
            ":3: warning: listener.certificate: the certificate's extended key usage does not allow server",
        ),
        (
            "an identity of no route",
            "[[routes]]",
            billing,
            ":10: note: identities.billing: no route uses this identity",
        ),
        (
            "a star",
            "\"/orders\"",
            "\"/orders/*\"",
            ":11: warning: routes[1].path: * is not a wildcard and matches itself only; write \"/orders\"",
        ),
        (
            "an upstream that never ends TLS in order",
            "identity = \"orders\"",
            "identity = \"orders\"\nupstream_close = \"lenient\"",
            ":14: note: routes[1].upstream_close: anyone on the network path can truncate a response",
        ),
    ] {
        assert!(good.contains(from), "{case}");
        write(&folder, "odd.toml", &good.replace(from, to));
        let (code, printed) = check(&folder.path().join("odd.toml"));
        assert_eq!(code, Some(0), "{case}: {printed}");
        // The route needs a certificate, and the handshake does not.
        let usual = ["contains a secret", ": note: listener.client_certificate: "];
        let others = printed.lines().filter(|line| !usual.iter().any(|usual| line.contains(usual)));
        assert_eq!(others.count(), 2, "{case}: one finding and ok in\n{printed}");
        assert!(printed.contains(finding), "{case}: {printed}");
    }
}

#[test]
fn guarded_path_that_another_letter_case_bypasses_is_noted() {
    let folder = world();
    let good = fs::read_to_string(folder.path().join("good.toml")).unwrap();
    let open = "[[routes]]\npath = \"/\"\nupstream = \"http://localhost:9444\"\n[[routes]]";
    let expected = "open.toml:14: note: routes[2].path: routing is case-sensitive: /ORDERS matches routes[1], which needs \
                    no certificate; if the upstream ignores letter case, require a certificate on that route too";
    write(&folder, "open.toml", &good.replace("[[routes]]", open));
    let (code, printed) = check(&folder.path().join("open.toml"));
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains(expected), "{printed}");
    let (_, printed) = check(&folder.path().join("good.toml"));
    assert!(!printed.contains("case-sensitive"), "{printed}");
}

#[test]
fn thumbprint_file_may_contain_comments_and_openssl_output() {
    let folder = world();
    let digits = "A1".repeat(32);
    let text = format!("# ours\n\n{digits} # orders\nsha256 Fingerprint={digits}\t# billing\n");
    write(&folder, "allowed.txt", &text);
    let (code, printed) = check(&folder.path().join("good.toml"));
    assert_eq!(code, Some(0), "{printed}");
}

#[test]
fn broken_files_exit_with_1_and_name_file_line_and_key() {
    let folder = world();
    let good = fs::read_to_string(folder.path().join("good.toml")).unwrap();
    let table = [
        ("not TOML", "[trust.partners]", "[trust.partners", 5, "not TOML"),
        ("an unknown key", "identity =", "identiti =", 13, "routes[1].identiti: "),
        ("an unknown section", "[trust.partners]", "[trusts.partners]", 5, "trusts: "),
        ("a bad address", "127.0.0.1:8443", "127.0.0.1:x", 2, "listener.address: "),
        ("a missing file", "server.pem", "nowhere.pem", 3, "listener.certificate: "),
        ("a key of another certificate", "server.key", "client.key", 4, "listener.private_key: "),
        ("a certificate in place of a key", "server.key", "server.pem", 4, "listener.private_key: "),
        (
            "a leaf among CAs",
            "partners-ca.pem",
            "client.pem",
            6,
            "trust.partners.ca: \"client.pem\": line 1: \"CN=orders-client,O=Contoso\" is not a CA certificate; name the",
        ),
        ("garbage for a CA", "partners-ca.pem", "garbage.bin", 6, "trust.partners.ca: "),
        ("a cut pfx", "orders.pfx", "cut.pfx", 8, "identities.orders.pfx: "),
        ("garbage for a pfx", "orders.pfx", "garbage.bin", 8, "identities.orders.pfx: "),
        ("a wrong password", "orders.password", "wrong.password", 9, "identities.orders.password_file: "),
        (
            "an undefined identity",
            "identity = \"orders\"",
            "identity = \"order\"",
            13,
            "routes[1].identity: ",
        ),
        (
            "an undefined trust",
            "trust = \"partners\"",
            "trust = \"partner\"",
            17,
            "routes[1].client_certificate.trust: ",
        ),
        ("a bad upstream", "https://localhost:9444", "htps://localhost:9444", 12, "routes[1].upstream: "),
        (
            "a bad name",
            "CN=orders-client, O",
            "orders-client, O",
            18,
            "routes[1].client_certificate.subject: ",
        ),
        ("a bad thumbprint", "allowed.txt", "bad.txt", 19, "\"bad.txt\", line 2: "),
        ("an emptied list", "allowed.txt", "empty.txt", 19, "routes[1].client_certificate.thumbprint_file: "),
        ("a folder", "allowed.txt", ".", 19, "routes[1].client_certificate.thumbprint_file: "),
        (
            "a CRL without the check that uses it",
            "ca = [\"partners-ca.pem\"]",
            "ca = [\"partners-ca.pem\"]\ncrl = [\"x\"]",
            5,
            "trust.partners.revocation: ",
        ),
        ("a wrong type", "\"127.0.0.1:8443\"", "8443", 2, "listener.address: "),
        ("a bad upstream CA", "backend-ca.pem", "orders.password", 15, "routes[1].upstream_tls.ca: "),
    ];
    for (case, from, to, line, key) in table {
        assert!(good.contains(from), "{case}");
        write(&folder, "broken.toml", &good.replacen(from, to, 1));
        let (code, printed) = check(&folder.path().join("broken.toml"));
        assert_eq!(code, Some(1), "{case}: {printed}");
        let place = format!("broken.toml:{line}: ");
        let named = printed.lines().any(|found| found.contains(&place) && found.contains(key));
        assert!(named, "{case}: expected {place}...{key} in\n{printed}");
        assert!(!printed.contains("panicked"), "{case}: {printed}");
        let password = fs::read_to_string(folder.path().join("orders.password")).unwrap();
        assert!(!printed.contains(password.trim()), "{case} shows a password");
    }
}

#[test]
fn errors_of_a_file_are_reported_at_once() {
    let folder = world();
    let good = fs::read_to_string(folder.path().join("good.toml")).unwrap();
    let broken = good
        .replace("server.pem", "x.pem")
        .replace("partners-ca.pem", "y.pem")
        .replace("CN=orders-client", "z");
    write(&folder, "broken.toml", &broken);
    let (code, printed) = check(&folder.path().join("broken.toml"));
    assert_eq!((code, printed.lines().count()), (Some(1), 3), "{printed}");
}

#[test]
fn missing_files_and_secrets_readable_by_others_are_reported() {
    let (code, printed) = check(Path::new("/nonexistent/gateway.toml"));
    assert_eq!(code, Some(1));
    assert!(printed.starts_with("/nonexistent/gateway.toml:1: "), "{printed}");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = world();
        let secret = folder.path().join("orders.password");
        fs::set_permissions(secret, fs::Permissions::from_mode(0o644)).unwrap();
        let (code, printed) = check(&folder.path().join("good.toml"));
        assert_eq!(code, Some(0), "{printed}");
        assert!(printed.contains("good.toml:9: warning: identities.orders.password_file: "), "{printed}");
    }
}

#[test]
fn encrypted_key_opens_with_its_password_file_and_a_wrong_one_is_reported() {
    let folder = world();
    shell(&format!(
        "cd '{}' && openssl pkcs8 -topk8 -in server.key -passout pass:secret -out encrypted.key && chmod 600 *.key",
        folder.path().display()
    ));
    write(&folder, "right.password", "secret\n");
    for password in ["right.password", "wrong.password"] {
        shell(&format!("chmod 600 '{}'", folder.path().join(password).display()));
    }
    let good = fs::read_to_string(folder.path().join("good.toml")).unwrap();
    for (beside, code, expected) in [
        ("password_file = \"right.password\"", 0, ": ok"),
        ("password_file = \"wrong.password\"", 1, "listener.password_file: the password is wrong"),
        ("", 1, "listener.private_key: \"encrypted.key\": the private key is encrypted"),
        ("password_file = \"none\"", 1, "listener.password_file: \"none\" cannot be read"),
        ("password_file = \"right.password\"\npfx = \"orders.pfx\"", 1, "listener.pfx: conflicts with"),
    ] {
        let key = format!("private_key = \"encrypted.key\"\n{beside}");
        write(&folder, "encrypted.toml", &good.replace("private_key = \"server.key\"", &key));
        let (exit, printed) = check(&folder.path().join("encrypted.toml"));
        assert_eq!(exit, Some(code), "{beside}: {printed}");
        assert!(printed.contains(expected) && !printed.contains("secret\""), "{beside}: {printed}");
    }
    let key = "private_key = \"server.key\"\npassword_file = \"right.password\"";
    write(&folder, "plain.toml", &good.replace("private_key = \"server.key\"", key));
    let (exit, printed) = check(&folder.path().join("plain.toml"));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("password_file: the key is not encrypted; remove password_file"), "{printed}");
}

#[test]
fn routes_open_to_anyone_are_noted_unless_stated() {
    let folder = world();
    let good = fs::read_to_string(folder.path().join("good.toml")).unwrap();
    write(&folder, "open.policy.xml", "<policies><inbound><base /></inbound></policies>");
    let route = |rules: &str| {
        format!("{good}\n[[routes]]\npath = \"/more\"\nupstream = \"http://localhost\"\n{rules}\n")
    };
    let noted = "note: routes[2].client_certificate: admits any caller; add [routes.client_certificate], or \
                 client_certificate = \"none\" if that is intended";
    for (rules, note) in [
        ("", noted),
        (
            "client_certificate = { policy = \"open.policy.xml\" }",
            "note: routes[2].client_certificate.policy: admits any caller: the document requires no certificate",
        ),
        ("client_certificate = \"none\"", ""),
        ("client_certificate = { trust = \"partners\" }", ""),
    ] {
        write(&folder, "open.toml", &route(rules));
        let (code, printed) = check(&folder.path().join("open.toml"));
        assert_eq!(code, Some(0), "{rules}: {printed}");
        assert!(printed.contains(note), "{rules}: {printed}");
        assert_eq!(printed.contains("admits any caller"), !note.is_empty(), "{rules}: {printed}");
    }
}
