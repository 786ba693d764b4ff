//! Findings of `gateway check` about revocation.

use super::*;
use crate::support::check;

#[test]
fn check_names_hosts_and_lists_without_effect() {
    let world = World::new();
    fs::write(world.file("own.crl"), world.list(1, &[])).unwrap();
    fs::write(world.file("other.crl"), Authority::root("Other CA").crl(1, &[], (now() - DAY, now() + DAY)))
        .unwrap();
    let urls = "crl_url = [\"https://b.example/a\", \"https://a.example:8443/a?k=hunter2\", \"https://b.example/c\"]";
    for (keys, code, expected) in [
        ("crl = \"own.crl\"\nrevocation = \"strict\"".to_owned(), 0, ""),
        (
            format!("{urls}\nrevocation = \"strict\""),
            0,
            "note: trust.own.crl_url: CRLs are downloaded from a.example:8443, b.example",
        ),
        (
            "crl = \"other.crl\"\nrevocation = \"strict\"".to_owned(),
            0,
            "warning: trust.own.revocation: no CRL of \"CN=Own CA,O=Contoso\": every certificate that it issued is \
             rejected; OCSP is not supported",
        ),
        ("crl = \"other.crl\"\nrevocation = \"soft\"".to_owned(), 0, ""),
        ("revocation = \"soft\"".to_owned(), 0, "warning: trust.own.revocation: has no effect without crl"),
        ("revocation = \"strict\"".to_owned(), 1, "trust.own.revocation: rejects every certificate"),
        ("crl = \"own-ca.pem\"\nrevocation = \"soft\"".to_owned(), 1, "trust.own.crl: \"own-ca.pem\": "),
        (
            "crl = \"none.crl\"\nrevocation = \"soft\"".to_owned(),
            1,
            "trust.own.crl: \"none.crl\" cannot be read",
        ),
    ] {
        let (found, printed) = check(&world.configure(&keys));
        let about_trust: Vec<_> = printed.lines().filter(|line| line.contains(": trust.own.")).collect();
        assert_eq!((found, about_trust.is_empty()), (Some(code), expected.is_empty()), "{keys}: {printed}");
        assert!(printed.contains(expected) && !printed.contains("hunter2"), "{keys}: {printed}");
    }
}
