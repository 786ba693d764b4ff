//! CA files, and findings about them.

use std::fs;

use rcgen::KeyUsagePurpose;

use super::authorities::{root, status};
use crate::support::{Demo, Folder, Running, check, metrics, pki::Authority, shell};

/// A folder with a configuration that `check` accepts, whose CA file is `ca.pem`.
fn folder() -> Folder {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("server.pem", &made.cert.pem());
    write("server.key", &made.signing_key.serialize_pem());
    shell(&format!("chmod 600 '{}'", folder.path().join("server.key").display()));
    write(
        "gateway.toml",
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [trust.partners]\nca = [\"ca.pem\"]\n[[routes]]\npath = \"/\"\nupstream = \"http://localhost:1\"\n\
         client_certificate = { trust = \"partners\" }\n",
    );
    folder
}

#[test]
fn check_warns_of_expired_and_soon_expiring_cas() {
    let folder = folder();
    let config = folder.path().join("gateway.toml");
    let toml = fs::read_to_string(&config).unwrap();
    let allowed = toml.replace("[[routes]]", "allow_expired_ca = true\n[[routes]]");
    let upstream = toml
        .replace("trust = \"partners\"", "thumbprint = \"".to_owned().as_str())
        .replace("thumbprint = \"", &format!("thumbprint = \"{}\"", "A1".repeat(32)))
        .replace("[trust.partners]", "[upstream_tls]")
        .replace("http://localhost:1", "https://localhost:1");
    let rejected = "chains to it are rejected; name a CA that is valid, or write allow_expired_ca = true";
    for (case, text, from, until, dates, remedy) in [
        ("valid", &toml, -1, 31, "", ""),
        (
            "expired",
            &toml,
            -9,
            -1,
            "trust.partners.ca: \"ca.pem\": \"CN=partners,O=Contoso\" expired at 20",
            rejected,
        ),
        ("not valid yet", &toml, 1, 90, "\"CN=partners,O=Contoso\" is not valid before 20", rejected),
        (
            "soon",
            &toml,
            -1,
            29,
            "\"CN=partners,O=Contoso\" expires at 20",
            "renew it, and name the old and the new one",
        ),
        ("allowed", &allowed, -9, -1, "\"CN=partners,O=Contoso\" expired at 20", "chains to it are accepted"),
        (
            "of upstreams",
            &upstream,
            -9,
            -1,
            "upstream_tls.ca: \"ca.pem\": \"CN=partners,O=Contoso\" expired",
            "renew it",
        ),
    ] {
        fs::write(&config, text).unwrap();
        let ca = root("partners", from, until).pem().to_owned();
        fs::write(folder.path().join("ca.pem"), ca.clone() + root("other", -1, 4_000).pem()).unwrap();
        let (code, printed) = check(&config);
        assert_eq!(code, Some(0), "{case}: {printed}");
        let warnings: Vec<_> = printed.lines().filter(|line| line.contains(": warning: ")).collect();
        assert_eq!(warnings.len(), usize::from(!dates.is_empty()), "{case}: {printed}");
        assert!(
            warnings.iter().all(|line| line.contains(dates) && line.contains(remedy)),
            "{case}: {printed}"
        );
    }
    let two = root("partners", -9, -1).pem().to_owned() + root("others", -9, -2).pem();
    fs::write(folder.path().join("ca.pem"), two).unwrap();
    fs::write(&config, &toml).unwrap();
    let printed = check(&config).1;
    assert!(printed.contains("\"CN=partners,O=Contoso\" (and 1 more) expired at"), "{printed}");
}

#[test]
fn check_warns_of_cas_that_must_not_sign_certificates() {
    let folder = folder();
    let config = folder.path().join("gateway.toml");
    for (usage, expected) in [
        (KeyUsagePurpose::KeyCertSign, ""),
        (
            KeyUsagePurpose::CrlSign,
            ":6: warning: trust.partners.ca: \"ca.pem\": \"CN=partners,O=Contoso\" must not sign certificates (key usage without \
             keyCertSign), so chains to it are rejected; name a CA with keyCertSign\n",
        ),
    ] {
        fs::write(folder.path().join("ca.pem"), Authority::root_for("partners", &[usage]).pem()).unwrap();
        let (code, printed) = check(&config);
        assert_eq!(code, Some(0), "{usage:?}: {printed}");
        assert_eq!(printed.contains("warning"), !expected.is_empty(), "{usage:?}: {printed}");
        assert!(printed.contains(expected), "{usage:?}: {printed}");
    }
}

#[test]
fn ca_file_with_anything_but_certificates_is_reported() {
    let folder = folder();
    let good = root("partners", -1, 400).pem().to_owned();
    let behind = |text: &str| good.clone() + text;
    let lines = good.lines().count();
    let relabelled = |label: &str| good.replace("CERTIFICATE-", &format!("{label}-"));
    let indented: String = good.lines().map(|line| format!("    {line}\n")).collect();
    let commented: String = good.lines().map(|line| format!("# {line}\n")).collect();
    for (case, file) in [
        ("indented", behind(&indented).into_bytes()),
        ("X509 CERTIFICATE", behind(&relabelled("X509 CERTIFICATE")).into_bytes()),
        ("comments", behind(&format!("{commented}Bag Attributes\n    x: y\n{good}")).into_bytes()),
        ("a byte order mark", utf8(&good)),
        ("UTF-16", utf16(&good)),
    ] {
        fs::write(folder.path().join("ca.pem"), file).unwrap();
        let (code, printed) = check(&folder.path().join("gateway.toml"));
        assert_eq!(code, Some(0), "{case}: {printed}");
    }
    for (case, text, line, expected) in [
        ("a key", relabelled("PRIVATE KEY"), 1, "PRIVATE KEY block: not a certificate; remove it"),
        ("a request", relabelled("CERTIFICATE REQUEST"), 1, "CERTIFICATE REQUEST block: not a certificate"),
        ("a list", relabelled("X509 CRL"), 1, "X509 CRL block: not a certificate"),
        ("an open block", good.replace("-----END CERTIFICATE-----", ""), 1, "CERTIFICATE block: no END line"),
        ("garbage", good.replace("MI", "!!"), 1, "CERTIFICATE block: not valid base64"),
        ("a lost dash", good.replace("-----BEGIN", "----BEGIN"), 1, "a BEGIN or END line is malformed"),
        ("a lost line", good.replace("-----BEGIN CERTIFICATE-----\n", ""), 1, "base64 outside of a block"),
    ] {
        fs::write(folder.path().join("ca.pem"), behind(&text)).unwrap();
        let (code, printed) = check(&folder.path().join("gateway.toml"));
        assert_eq!(code, Some(1), "{case}: {printed}");
        let expected =
            format!("gateway.toml:6: trust.partners.ca: \"ca.pem\": line {}: {expected}", lines + line);
        assert!(printed.contains(&expected), "{case}: {printed}");
    }
}

#[test]
fn printed_command_converts_a_trusted_certificate() {
    let folder = folder();
    let ca = folder.path().join("ca.pem");
    fs::write(folder.path().join("plain.pem"), root("partners", -1, 400).pem()).unwrap();
    shell(&format!(
        "cd '{}' && openssl x509 -in plain.pem -addreject clientAuth -out ca.pem",
        folder.path().display()
    ));
    let config = folder.path().join("gateway.toml");
    let (code, printed) = check(&config);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("\"ca.pem\": line 1: TRUSTED CERTIFICATE block: its trust settings"),
        "{printed}"
    );
    let command = command(&printed);
    shell(&format!("{command} && mv '{0}.plain' '{0}'", ca.display()));
    let (code, printed) = check(&config);
    assert_eq!(code, Some(0), "{printed}");
}

/// The command in the remedy of a finding.
fn command(printed: &str) -> &str {
    let remedy = printed.split("; run ").nth(1).expect(printed);
    remedy.split(" and name that file").next().unwrap()
}

#[test]
fn command_is_printed_only_for_convertible_files_and_is_safe_to_paste() {
    let folder = folder();
    let config = folder.path().join("gateway.toml");
    let odd = "it's $HOME `id`.pem";
    let toml = fs::read_to_string(&config).unwrap().replace("ca.pem", odd);
    fs::write(&config, toml).unwrap();
    let ca = folder.path().join(odd);
    let plain = root("partners", -1, 400).pem().to_owned();
    fs::write(folder.path().join("plain.pem"), &plain).unwrap();
    let trusted = shell(&format!(
        "cd '{0}' && openssl x509 -in plain.pem -outform der -out plain.der && \
         openssl x509 -in plain.pem -addreject clientAuth",
        folder.path().display()
    ));
    let der = fs::read(folder.path().join("plain.der")).unwrap();
    let indented: String = trusted.lines().map(|line| format!("  {line}\n")).collect();
    let listener = fs::read_to_string(&config).unwrap().replace("server.pem", "plain.der");
    fs::write(folder.path().join("listener.toml"), listener).unwrap();
    fs::write(&ca, &plain).unwrap();
    let printed = check(&folder.path().join("listener.toml")).1;
    assert!(printed.contains(":3: listener.certificate: \"plain.der\": is DER, not PEM; run"), "{printed}");
    shell(command(&printed));
    assert_eq!(fs::read_to_string(folder.path().join("plain.der.pem")).unwrap(), plain.replace("\r\n", "\n"));

    for (case, text, converted) in [
        ("one block", trusted.clone().into_bytes(), Some(".plain")),
        ("DER", der, Some(".pem")),
        ("two blocks", format!("{trusted}{plain}").into_bytes(), None),
        ("indented", indented.into_bytes(), None),
        ("UTF-16", utf16(&trusted), None),
    ] {
        fs::write(&ca, text).unwrap();
        let (code, printed) = check(&config);
        assert_eq!(code, Some(1), "{case}: {printed}");
        assert_eq!(printed.matches("; ").count(), 1, "{case}: one remedy in {printed}");
        let Some(end) = converted else {
            let remedy = "; convert each block separately with openssl x509, and name all files in ca\n";
            assert!(printed.ends_with(remedy), "{case}: {printed}");
            continue;
        };
        shell(command(&printed));
        let made = fs::read_to_string(folder.path().join(format!("{odd}{end}"))).unwrap();
        assert_eq!(made, plain.replace("\r\n", "\n"), "{case}");
    }
}

/// A text as Notepad and PowerShell write it.
fn utf8(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").into_bytes()
}

fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn files_may_begin_with_a_byte_order_mark() {
    for (encoding, encode) in [("UTF-8", utf8 as fn(&str) -> Vec<u8>), ("UTF-16", utf16)] {
        let demo = Demo::start();
        let dir = demo.dir();
        shell(&format!(
            "cd '{}' && openssl x509 -in client.pem -noout -fingerprint -sha256 > allowed.txt \
             && openssl pkcs8 -topk8 -in server.key -passout file:orders.password -out encrypted.key",
            dir.display()
        ));
        let document = "<policies><inbound><validate-client-certificate validate-revocation=\"false\" />\
                        </inbound></policies>";
        fs::write(dir.join("policy.xml"), document).unwrap();
        let config = "[management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"marked.management.token\"\n\
             [trust.partners]\nca = [\"marked.partners-ca.pem\"]\n[[routes]]\npath = \"/orders\"\n\
             upstream = \"UPSTREAM\"\nidentity = \"orders\"\n\
             client_certificate = { thumbprint_file = \"marked.allowed.txt\" }\n\
             [[routes]]\npath = \"/document\"\nupstream = \"UPSTREAM\"\nidentity = \"orders\"\n\
             client_certificate = { policy = \"marked.policy.xml\", trust = \"partners\" }\n";
        for name in [
            "server.pem",
            "encrypted.key",
            "orders.password",
            "backend-ca.pem",
            "partners-ca.pem",
            "management.token",
            "allowed.txt",
            "policy.xml",
        ] {
            let text = fs::read_to_string(dir.join(name)).unwrap().trim_end().replace('\n', "\r\n") + "\r\n";
            fs::write(dir.join(format!("marked.{name}")), encode(&text)).unwrap();
        }
        let toml = fs::read_to_string(dir.join("gateway.toml")).unwrap();
        let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
        let head = "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"marked.server.pem\"\n\
                    private_key = \"marked.encrypted.key\"\npassword_file = \"marked.orders.password\"\n\
                    [identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"marked.orders.password\"\n\
                    [upstream_tls]\nca = [\"marked.backend-ca.pem\"]\n";
        let text = format!("{head}{config}").replace("UPSTREAM", upstream).replace('\n', "\r\n");
        let file = dir.join("marked.toml");
        fs::write(&file, encode(&text)).unwrap();
        let (code, printed) = check(&file);
        assert_eq!(code, Some(0), "{encoding}: {printed}");
        let (running, port) = Running::start(&file);
        metrics(&demo, running.management_port()).await;
        let demo = demo.on_port(port);
        for (certificate, path, expected) in [
            ("client", "/orders", 200),
            ("stranger", "/orders", 403),
            ("client", "/document", 200),
            ("stranger", "/document", 401),
        ] {
            assert_eq!(status(&demo, certificate, path).await, expected, "{encoding}: {certificate} {path}");
        }
    }
}
