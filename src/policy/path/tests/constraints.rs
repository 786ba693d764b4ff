//! Name constraints along a path.

use super::{
    forge::{Forge, der, name, sequence},
    *,
};

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const DIRECTORY: u8 = 0xa4;
const OTHER_NAME: u8 = 0xa0;

type Names<'a> = &'a [(u8, &'a [u8])];

#[test]
fn names_of_each_form_are_within_the_constraints_of_the_ca() {
    let orders = name("orders");
    let orders = orders.as_slice();
    let billing = name("billing");
    let billing = billing.as_slice();
    let upn = &[6, 1, 0x2a, 0xa0, 3, 12, 1, b'a'][..];
    let valid = ChainVerdict::Trusted;
    let outside = ChainVerdict::NameConstraint;
    let range = &[10, 0, 0, 0, 255, 0, 0, 0][..];
    let mailbox = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 8, 9, 0xa0, 3, 12, 1, b'a'][..];
    let cases: [(&str, Names<'_>, Names<'_>, Names<'_>, ChainVerdict); 29] = [
        ("permitted DNS", &[(DNS, b"example.com")], &[], &[(DNS, b"a.example.com")], valid),
        ("other DNS", &[(DNS, b"example.com")], &[], &[(DNS, b"example.net")], outside),
        (
            "one of two",
            &[(DNS, b"example.com")],
            &[],
            &[(DNS, b"example.com"), (DNS, b"example.net")],
            outside,
        ),
        (
            "two permitted",
            &[(DNS, b"example.com"), (DNS, b"example.net")],
            &[],
            &[(DNS, b"example.net")],
            valid,
        ),
        ("no name of the form", &[(DNS, b"example.com")], &[], &[(URI, b"https://example.net")], valid),
        ("excluded DNS", &[], &[(DNS, b"example.com")], &[(DNS, b"a.example.com")], outside),
        ("not excluded", &[], &[(DNS, b"example.com")], &[(DNS, b"example.net")], valid),
        ("both", &[(DNS, b"example.com")], &[(DNS, b"a.example.com")], &[(DNS, b"a.example.com")], outside),
        ("malformed DNS", &[(DNS, b"example.com")], &[], &[(DNS, b"example..com")], outside),
        ("permitted mail", &[(EMAIL, b"example.com")], &[], &[(EMAIL, b"joe@example.com")], valid),
        ("other mail", &[(EMAIL, b"example.com")], &[], &[(EMAIL, b"joe@example.net")], outside),
        ("permitted URI", &[(URI, b"example.com")], &[], &[(URI, b"https://example.com/x")], valid),
        ("other URI", &[(URI, b"example.com")], &[], &[(URI, b"https://example.net/x")], outside),
        ("URI without a host", &[(URI, b"example.com")], &[], &[(URI, b"urn:x")], outside),
        ("permitted address", &[(IP, range)], &[], &[(IP, &[10, 1, 2, 3])], valid),
        ("other address", &[(IP, range)], &[], &[(IP, &[11, 1, 2, 3])], outside),
        ("other family", &[(IP, range)], &[], &[(IP, &[0; 16])], outside),
        ("excluded address", &[], &[(IP, range)], &[(IP, &[10, 1, 2, 3])], outside),
        ("permitted subject", &[(DIRECTORY, orders)], &[], &[], valid),
        ("other subject", &[(DIRECTORY, billing)], &[], &[], outside),
        ("excluded subject", &[], &[(DIRECTORY, orders)], &[], outside),
        ("directory name", &[], &[(DIRECTORY, billing)], &[(DIRECTORY, billing)], outside),
        ("form that is not supported", &[(OTHER_NAME, upn)], &[], &[(OTHER_NAME, upn)], outside),
        ("no name of such a form", &[(OTHER_NAME, upn)], &[], &[(DNS, b"example.com")], valid),
        (
            "SmtpUTF8Mailbox, permitted mail",
            &[(EMAIL, b"example.com")],
            &[],
            &[(OTHER_NAME, mailbox)],
            outside,
        ),
        (
            "SmtpUTF8Mailbox, excluded mail",
            &[],
            &[(EMAIL, b"example.com")],
            &[(OTHER_NAME, mailbox)],
            outside,
        ),
        ("SmtpUTF8Mailbox, other name", &[], &[(OTHER_NAME, upn)], &[(OTHER_NAME, mailbox)], outside),
        ("SmtpUTF8Mailbox, DNS", &[(DNS, b"example.com")], &[], &[(OTHER_NAME, mailbox)], valid),
        ("such a form without a constraint", &[(DNS, b"example.com")], &[], &[(OTHER_NAME, upn)], valid),
    ];
    for (case, permitted, excluded, names, expected) in cases {
        let leaf = Forge::new("orders").by("issuing");
        let leaf = if names.is_empty() { leaf } else { leaf.names(names) }.der();
        let constrained = Forge::ca("issuing").by("root").constraints(permitted, excluded).der();
        let root = Forge::ca("root").der();
        assert_eq!(verdict(&root, &[leaf.clone(), constrained]), expected, "{case}");
        // A root's constraints apply as well; its intermediate is excused by its own name.
        let root = Forge::ca("root").constraints(permitted, excluded).der();
        let direct = Forge { issuer: name("root"), ..Forge::new("orders") }.signed_with("root");
        let direct = if names.is_empty() { direct } else { direct.names(names) }.der();
        assert_eq!(verdict(&root, &[direct]), expected, "{case}, in the root");
    }
}

#[test]
fn constraints_intersect_along_the_path() {
    let root = Forge::ca("root").der();
    let leaf = |dns: &'static [u8]| Forge::new("orders").by("lower").names(&[(DNS, dns)]).der();
    let upper = Forge::ca("upper").by("root").constraints(&[(DNS, b"example.com")], &[]).der();
    let narrower = Forge::ca("lower").by("upper").constraints(&[(DNS, b"a.example.com")], &[]).der();
    let wider = Forge::ca("lower").by("upper").constraints(&[(DNS, b"com")], &[]).der();
    for (dns, lower, expected) in [
        (&b"a.example.com"[..], &narrower, ChainVerdict::Trusted),
        (b"b.example.com", &narrower, ChainVerdict::NameConstraint),
        (b"example.com", &wider, ChainVerdict::Trusted),
        (b"other.com", &wider, ChainVerdict::NameConstraint),
    ] {
        assert_eq!(verdict(&root, &[leaf(dns), lower.clone(), upper.clone()]), expected, "{dns:?}");
    }
}

#[test]
fn self_issued_ca_is_exempt_and_a_self_issued_leaf_is_not() {
    let root = Forge::ca("root").der();
    let upper = Forge::ca("upper").by("root").constraints(&[(DIRECTORY, &name("orders"))], &[]).der();
    let rollover = Forge::ca("upper").with_key("new").by("upper").der();
    let leaf = Forge::new("orders").by("upper").signed_with("new").der();
    assert_eq!(verdict(&root, &[leaf, rollover, upper.clone()]), ChainVerdict::Trusted);
    let self_issued = Forge::new("upper").with_key("leaf").by("upper").der();
    assert_eq!(verdict(&root, &[self_issued, upper]), ChainVerdict::NameConstraint);
}

#[test]
fn mail_address_of_the_subject_is_constrained() {
    let root = Forge::ca("root").der();
    let issuing = Forge::ca("issuing").by("root").constraints(&[(EMAIL, b"example.com")], &[]).der();
    let email_oid = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
    let subject = |tag, text: &str| {
        let attribute = sequence(&[email_oid, &der(tag, &[text.as_bytes()])]);
        sequence(&[&der(0x31, &[&attribute])])
    };
    for (tag, text, expected) in [
        (0x16, "joe@example.com", ChainVerdict::Trusted),
        (0x16, "joe@example.net", ChainVerdict::NameConstraint),
        (0x14, "joe@example.com", ChainVerdict::NameConstraint),
    ] {
        let leaf = Forge { subject: subject(tag, text), ..Forge::new("orders").by("issuing") }.der();
        assert_eq!(verdict(&root, &[leaf, issuing.clone()]), expected, "{text}");
    }
}

#[test]
fn comparisons_are_bounded() {
    let root = Forge::ca("root").der();
    let bases: Vec<_> = (0..500).map(|index| format!("c{index}.example.com")).collect();
    let bases: Vec<_> = bases.iter().map(|base| (DNS, base.as_bytes())).collect();
    let issuing = Forge::ca("issuing").by("root").constraints(&[], &bases).der();
    let names: Vec<_> = (0..500).map(|index| format!("n{index}.example.net")).collect();
    let names: Vec<_> = names.iter().map(|name| (DNS, name.as_bytes())).collect();
    let few = Forge::new("orders").by("issuing").names(&names[..100]).der();
    let many = Forge::new("orders").by("issuing").names(&names).der();
    assert_eq!(verdict(&root, &[few, issuing.clone()]), ChainVerdict::Trusted);
    assert_eq!(verdict(&root, &[many, issuing]), ChainVerdict::Limit);
}

#[test]
fn error_names_the_name_and_its_form() {
    let root = Forge::ca("root").der();
    let issuing = Forge::ca("issuing").by("root").constraints(&[(DNS, b"example.com")], &[]).der();
    let leaf = Forge::new("orders").by("issuing").names(&[(DNS, b"example.net")]).der();
    let expected = "the name constraints of a CA reject the client certificate: dNSName \"example.net\" is not permitted";
    assert_eq!(text(&root, &[leaf, issuing]), expected);
}

#[test]
fn common_name_of_a_leaf_that_is_a_host_is_within_the_constraints_on_dns_names() {
    let outside = ChainVerdict::NameConstraint;
    for (case, common_name, names, expected) in [
        ("permitted host", "a.example.com", &[][..], ChainVerdict::Trusted),
        ("other host", "a.example.net", &[], outside),
        ("one label", "orders", &[], ChainVerdict::Trusted),
        ("permitted host with spaces", " A.example.com ", &[], ChainVerdict::Trusted),
        ("other host with spaces", " a.example.net ", &[], outside),
        ("other host in full width", "ａ.example.net", &[], outside),
        ("letters beyond ASCII", "ä.example.com", &[], outside),
        ("empty label", "a..example.com", &[], outside),
        ("NUL after a permitted host", "a.example.com\0", &[], outside),
        ("NUL in a text", "orders\0 of Contoso", &[], outside),
        ("not a host", "orders of example.net", &[], ChainVerdict::Trusted),
        ("mail address", "orders@example.net", &[], ChainVerdict::Trusted),
        (
            "permitted host with a dNSName",
            "a.example.com",
            &[(DNS, &b"example.com"[..])],
            ChainVerdict::Trusted,
        ),
        ("other host with a dNSName", "a.example.net", &[(DNS, b"example.com")], outside),
    ] {
        let leaf = Forge::new(common_name).by("issuing");
        let leaf = if names.is_empty() { leaf } else { leaf.names(names) }.der();
        let constrained = Forge::ca("issuing").by("root").constraints(&[(DNS, b"example.com")], &[]).der();
        assert_eq!(verdict(&Forge::ca("root").der(), &[leaf, constrained]), expected, "{case}");
    }
}
