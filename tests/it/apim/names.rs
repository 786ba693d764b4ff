//! Names as .NET prints them.

use tower_mtls::{apim::dotnet_name, certificate::DistinguishedName};

use crate::support::der::wrap;

const UTF8: u8 = 12;
const TELETEX: u8 = 20;
const BMP: u8 = 30;

/// Type, tag and value.
type Value<'a> = (&'a [u8], u8, &'a [u8]);

fn name(rdns: &[&[Value<'_>]]) -> DistinguishedName {
    let content: Vec<u8> = rdns
        .iter()
        .flat_map(|rdn| {
            let pairs: Vec<u8> = rdn
                .iter()
                .flat_map(|(oid, tag, value)| wrap(0x30, &[wrap(6, oid), wrap(*tag, value)].concat()))
                .collect();
            wrap(0x31, &pairs)
        })
        .collect();
    DistinguishedName::from_der(&wrap(0x30, &content)).unwrap()
}

fn one(oid: &[u8], value: &str) -> String {
    dotnet_name(&name(&[&[(oid, UTF8, value.as_bytes())]])).unwrap()
}

const CN: &[u8] = &[85, 4, 3];
const O: &[u8] = &[85, 4, 10];

#[test]
fn relative_names_are_printed_in_reversed_order() {
    let printed = name(&[
        &[(&[85, 4, 6], UTF8, b"US")],
        &[(&[85, 4, 8], UTF8, b"Illinois")],
        &[(&[85, 4, 7], UTF8, b"Chicago")],
        &[(O, UTF8, b"Contoso, Inc.")],
        &[(CN, UTF8, b"*.contoso.com")],
    ]);
    let expected = r#"CN=*.contoso.com, O="Contoso, Inc.", L=Chicago, S=Illinois, C=US"#;
    assert_eq!(dotnet_name(&printed).as_deref(), Some(expected));
    assert_eq!(dotnet_name(&name(&[])).as_deref(), Some(""), "an empty name");
}

#[test]
fn attributes_of_one_relative_name_keep_their_order() {
    let printed = name(&[&[(O, UTF8, b"Contoso")], &[(CN, UTF8, b"a"), (&[85, 4, 11], UTF8, b"b")]]);
    assert_eq!(dotnet_name(&printed).as_deref(), Some("CN=a + OU=b, O=Contoso"));
}

#[test]
fn keywords_are_those_of_dot_net() {
    for (oid, keyword) in [
        (&[85, 4, 3][..], "CN"),
        (&[85, 4, 4], "SN"),
        (&[85, 4, 5], "SERIALNUMBER"),
        (&[85, 4, 6], "C"),
        (&[85, 4, 7], "L"),
        (&[85, 4, 8], "S"),
        (&[85, 4, 9], "STREET"),
        (&[85, 4, 10], "O"),
        (&[85, 4, 11], "OU"),
        (&[85, 4, 12], "T"),
        (&[85, 4, 42], "G"),
        (&[9, 146, 38, 137, 147, 242, 44, 100, 1, 25], "DC"),
        (&[42, 134, 72, 134, 247, 13, 1, 9, 1], "E"),
    ] {
        assert_eq!(one(oid, "x"), format!("{keyword}=x"));
    }
    assert_eq!(one(&[85, 4, 15], "Private Organization"), "OID.2.5.4.15=Private Organization");
}

#[test]
fn values_are_quoted_only_where_dot_net_does() {
    for (value, printed) in [
        ("", r#""""#),
        (" a", r#"" a""#),
        ("a ", r#""a ""#),
        ("\ta", "\"\ta\""),
        ("a\u{b}", "\"a\u{b}\""),
        ("\u{c}a", "\"\u{c}a\""),
        ("a\r", "\"a\r\""),
        ("a\nb", "\"a\nb\""),
        ("a,b", r#""a,b""#),
        ("a+b", r#""a+b""#),
        ("a=b", r#""a=b""#),
        ("a\"b", r#""a""b""#),
        ("a<b", r#""a<b""#),
        ("a>b", r#""a>b""#),
        ("a#b", r##""a#b""##),
        ("a;b", r#""a;b""#),
        ("a/b", "a/b"),
        ("a\\b", "a\\b"),
        ("a b", "a b"),
    ] {
        assert_eq!(one(CN, value), format!("CN={printed}"), "{value:?}");
    }
}

#[test]
fn ambiguous_value_has_no_dot_net_form() {
    assert_eq!(dotnet_name(&name(&[&[(CN, TELETEX, b"T61")]])), None);
    assert_eq!(dotnet_name(&name(&[&[(CN, UTF8, b"\xff")]])), None);
    assert_eq!(dotnet_name(&name(&[&[(CN, BMP, b"\0o\0k")]])).as_deref(), Some("CN=ok"));
    assert_eq!(dotnet_name(&name(&[&[(CN, BMP, b"\0o\0")]])), None);
}
