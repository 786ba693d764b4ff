//! Forged subjects that resemble another's.

use rcgen::{CertificateParams, DnValue, KeyPair};

use super::*;

fn certificate(subject: impl IntoIterator<Item = (DnType, DnValue)>) -> Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind, value);
    }
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    Certificate::from_der(made.der()).unwrap()
}

/// A certificate with `O=Contoso` and `CN=admin` in one relative name. Replaces two relative names of the same length.
fn multi_valued() -> Certificate {
    const COMMON_NAME: &[u8] = &[0x30, 12, 6, 3, 85, 4, 3, 12, 5, b'a', b'd', b'm', b'i', b'n'];
    let short =
        certificate([(DnType::OrganizationName, "Contoso".into()), (DnType::CommonName, "abc".into())]);
    let name = short.subject().der();
    // The SEQUENCE and both SETs have headers of two bytes.
    let organization = &name[4..name.len() - 14];
    let attributes = [COMMON_NAME, organization].concat();
    let forged = [&name[..2], &[0x31, attributes.len() as u8], &attributes].concat();
    assert_eq!(forged.len(), name.len());
    let mut der = short.der().to_vec();
    let places: Vec<_> = (0..der.len() - name.len()).filter(|at| der[*at..].starts_with(name)).collect();
    for at in places {
        der[at..at + forged.len()].copy_from_slice(&forged);
    }
    Certificate::from_der(&der).unwrap()
}

#[test]
fn forged_name_matches_no_rule() {
    let common_name = |value: DnValue| certificate([(DnType::CommonName, value)]);
    let text = |value: &str| common_name(value.into());
    let second = || DnType::CustomDnType(vec![2, 5, 4, 3]);
    for (case, certificate) in [
        ("another name within a value", certificate([(DnType::OrganizationName, "x, CN=admin".into())])),
        ("slashes", text("admin/O=Contoso")),
        ("slashes in front", certificate([(DnType::OrganizationName, "Contoso/CN=admin".into())])),
        ("a plus sign", text("admin+O=Contoso")),
        ("NUL at the end", text("admin\0")),
        ("NUL and more", text("admin\0.example.com")),
        ("a direction mark", text("admin\u{200f}")),
        ("written backwards", text("\u{202e}nimda")),
        ("an isolate", text("\u{2067}admin\u{2069}")),
        ("two common names", certificate([(DnType::CommonName, "admin".into()), (second(), "x".into())])),
        (
            "two, the other way round",
            certificate([(DnType::CommonName, "x".into()), (second(), "admin".into())]),
        ),
        ("the same twice", certificate([(DnType::CommonName, "admin".into()), (second(), "admin".into())])),
        ("several attributes in one relative name", multi_valued()),
    ] {
        for name in ["CN=admin", "CN=admin,O=Contoso", "CN=admin,O=x"] {
            let rule = Rule::subject([name.parse().unwrap()]);
            assert_ne!(answer(&rule, &certificate).0, Answer::Holds, "{case}: {name}");
        }
        // That certificate does have exactly one common name.
        if case != "several attributes in one relative name" {
            let rule = Rule::common_name(["admin"]);
            assert_ne!(answer(&rule, &certificate).0, Answer::Holds, "{case}: common name");
        }
    }
    let honest = Rule::subject(["CN=admin+O=Contoso".parse().unwrap()]);
    assert_eq!(answer(&honest, &multi_valued()).0, Answer::Holds);
}

#[test]
fn name_of_another_string_type_matches_rules_on_whole_names_only() {
    for value in [
        DnValue::BmpString("admin".try_into().unwrap()),
        DnValue::UniversalString("admin".try_into().unwrap()),
        DnValue::TeletexString("admin".try_into().unwrap()),
    ] {
        let certificate = certificate([(DnType::CommonName, value)]);
        let subject = Rule::subject(["CN=admin".parse().unwrap()]);
        assert_eq!(answer(&subject, &certificate).0, Answer::Holds);
        // The text of a single attribute is read as it is encoded.
        assert_eq!(answer(&Rule::common_name(["admin"]), &certificate).0, Answer::CannotTell);
    }
}
