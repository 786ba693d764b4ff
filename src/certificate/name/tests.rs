use super::*;

fn name(text: &str) -> DistinguishedName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A name of one-attribute relative names in encoding order, with the given string types.
fn encoded(attributes: &[(&[u8], u32, &[u8])]) -> DistinguishedName {
    let rdns: Vec<u8> = attributes
        .iter()
        .flat_map(|(oid, tag, value)| {
            let pair = [parse::der_element(6, oid), parse::der_element(*tag, value)].concat();
            parse::der_element(0x31, &parse::der_element(0x30, &pair))
        })
        .collect();
    DistinguishedName::from_der(&parse::der_element(0x30, &rdns)).unwrap()
}

const CN: &[u8] = keyword::COMMON_NAME;
const O: &[u8] = &[85, 4, 10];
const UTF8: u32 = 12;
const PRINTABLE: u32 = 19;
const TELETEX: u32 = 20;
const IA5: u32 = 22;
const UNIVERSAL: u32 = 28;
const BMP: u32 = 30;

#[test]
fn names_that_mean_the_same_are_equal() {
    for (one, other) in [
        ("CN=orders,O=Contoso", "CN=orders, O=Contoso"),
        ("CN=orders,O=Contoso", "cn=ORDERS;o=contoso"),
        ("CN=orders,O=Contoso", "2.5.4.3=orders, OID.2.5.4.10=Contoso"),
        (r"O=Contoso\, Ltd", r#"O="Contoso, Ltd""#),
        (r"O=Contoso\2c Ltd", r#"O="Contoso, Ltd""#),
        (r#"O="say ""hi""""#, r#"O=say \"hi\""#),
        ("ST=WA", "S=WA"),
        ("E=a@b.example", "emailAddress=a@b.example"),
        ("CN=a  b", "CN= a b "),
        ("CN=a+OU=b", "OU=b + CN=a"),
        ("CN=#0c016f", "CN=o"),
        ("CN=MÜLLER", "CN=müller"),
        ("CN=STRASSE", "CN=Straße"),
        ("CN=Ἀθῆναι", "CN=ἈΘΗ͂ΝΑΙ"),
        ("CN=mu\u{308}ller", "CN=m\u{fc}ller"),
        ("CN=\u{ff21}dmin", "CN=admin"),
        ("CN=ﬁn", "CN=fin"),
        ("CN=a\u{a0}b", "CN=a b"),
        ("CN=a\u{3000}\u{2003}b", "CN=a b"),
        ("CN=a\tb", "CN=a b"),
    ] {
        assert_eq!(name(one), name(other), "{one} | {other}");
    }
}

#[test]
fn names_that_differ_are_not_equal() {
    for (one, other) in [
        ("CN=orders,O=Contoso", "O=Contoso,CN=orders"),
        ("CN=orders,O=Contoso", "CN=orders+O=Contoso"),
        ("CN=orders", "CN=orders,CN=orders"),
        ("CN=orders", "OU=orders"),
        (r#"O="x, CN=admin""#, "O=x,CN=admin"),
        ("CN=foo/O=bar", "CN=foo,O=bar"),
        (r"CN=admin\00", "CN=admin"),
        ("CN=admin\u{200f}", "CN=admin"),
        ("CN=\u{202e}nimda", "CN=admin"),
        ("CN=ad\u{ad}min", "CN=admin"),
        ("CN=ad\u{200b}min", "CN=admin"),
        ("CN=ad\u{200d}min", "CN=admin"),
        ("CN=\u{feff}admin", "CN=admin"),
        ("CN=admin\u{fe0f}", "CN=admin"),
        ("CN=adm\u{131}n", "CN=admin"),
        ("CN=\u{430}dmin", "CN=admin"),
        ("CN=admin\u{e000}", "CN=admin"),
        ("CN=\u{e0061}admin", "CN=admin"),
        ("CN=ab", "CN=a b"),
        ("CN=a,OU=bc", "CN=ab,OU=c"),
    ] {
        assert_ne!(name(one), name(other), "{one} | {other}");
    }
}

#[test]
fn strings_of_every_type_compare_as_text() {
    let orders = name("CN=orders");
    for (tag, value) in [
        (UTF8, &b"orders"[..]),
        (PRINTABLE, b" ORDERS"),
        (IA5, b"Orders "),
        (TELETEX, b"ORDERS"),
        (BMP, b"\0O\0r\0d\0e\0r\0s"),
        (UNIVERSAL, b"\0\0\0o\0\0\0r\0\0\0d\0\0\0e\0\0\0r\0\0\0s"),
    ] {
        let encoded = encoded(&[(CN, tag, value)]);
        assert!(encoded == orders && encoded.is_plain(), "{tag}");
        assert_ne!(encoded, name("CN=order"), "{tag}");
    }
    assert_eq!(encoded(&[(CN, BMP, b"\0M\0\xfc\0l\0l\0e\0r")]), name("CN=müller"));
    assert_eq!(encoded(&[(CN, UNIVERSAL, b"\0\x01\x04\0")]), name("CN=\u{10428}"));
}

#[test]
fn strings_with_bytes_beyond_their_type_compare_byte_by_byte() {
    for (case, tag, value, other) in [
        ("NUL in a PrintableString", PRINTABLE, &b"orders\0"[..], "CN=orders"),
        ("NUL in a BMPString", BMP, b"\0o\0\0", "CN=o"),
        ("an escape sequence of T.61", TELETEX, b"or\x1bders", "CN=orders"),
        ("a character of T.61 alone", TELETEX, b"\xfc", "CN=ü"),
        ("a direction mark in a BMPString", BMP, b"\x20\x0f\0o", "CN=o"),
        ("a BMPString of odd length", BMP, b"\0o\0", "CN=o"),
        ("surrogates in a BMPString", BMP, b"\xd8\x01\xdc\x28", "CN=\u{10428}"),
        ("a code point beyond Unicode", UNIVERSAL, b"\0\x11\0\0", "CN=o"),
        ("UTF8String that is not UTF-8", UTF8, b"o\xff", "CN=o"),
    ] {
        let encoded = encoded(&[(CN, tag, value)]);
        assert!(encoded != name(other) && !encoded.is_plain(), "{case}");
        assert_eq!(encoded, encoded.clone(), "{case}");
    }
}

#[test]
fn reversed_name_has_the_same_relative_names_in_reverse_order() {
    assert_eq!(name("CN=orders,OU=a+DC=b,O=Contoso").reversed(), name("O=Contoso,OU=a+DC=b,CN=orders"));
}

#[test]
fn names_print_as_rfc_4514_and_parse_back() {
    for (text, printed) in [
        ("CN=orders, O=Contoso", "CN=orders,O=Contoso"),
        (r#"O="Contoso, Ltd""#, r"O=Contoso\, Ltd"),
        (r"CN=\ a\ ", r"CN=\ a\ "),
        (r"CN=\#1", r"CN=\#1"),
        (r"CN=a\0ab", r"CN=a\0ab"),
        ("S=WA", "ST=WA"),
        ("1.2.3.4=x", "1.2.3.4=#0c0178"),
        ("CN=a\u{202e}b", r"CN=a\e2\80\aeb"),
    ] {
        assert_eq!(name(text).to_string(), printed);
        assert_eq!(name(printed), name(text), "{printed} parses back");
    }
}

#[test]
fn common_name_counts_only_if_it_is_the_only_one() {
    assert!(matches!(name("CN=orders,O=x").common_name(), SingleValue::One("orders")));
    assert!(matches!(name("CN=orders,CN=admin").common_name(), SingleValue::Unclear));
    assert!(matches!(name("O=x").common_name(), SingleValue::Missing));
    assert!(matches!(encoded(&[(CN, BMP, b"\0o")]).common_name(), SingleValue::Unclear));
}

#[test]
fn name_is_plain_only_if_every_value_is_comparable() {
    assert!(name("CN=orders,O=Contoso").is_plain());
    assert!(!encoded(&[(O, UTF8, b"Contoso"), (CN, TELETEX, b"or~ders")]).is_plain());
    assert!(!name("CN=or\u{200b}ders").is_plain());
}

#[test]
fn name_beyond_the_size_limit_is_an_error() {
    let long = parse::der_element(0x30, &vec![0; MAX_NAME]);
    assert!(DistinguishedName::from_der(&long).unwrap_err().to_string().contains("longer"));
}

#[test]
fn name_in_ber_is_an_error() {
    let element = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
    let name = |name, set, pair, oid, value: &[u8]| {
        let pair = element(pair, &[element(oid, CN), value.to_vec()].concat());
        element(name, &element(set, &pair))
    };
    let value = element(0x0c, b"orders");
    for (case, encoding, is_der) in [
        ("DER", name(0x30, 0x31, 0x30, 0x06, &value), true),
        ("SEQUENCE as a value", name(0x30, 0x31, 0x30, 0x06, &element(0x30, &value)), true),
        ("constructed string", name(0x30, 0x31, 0x30, 0x06, &element(0x2c, &value)), false),
        ("primitive SEQUENCE as a value", name(0x30, 0x31, 0x30, 0x06, &element(0x10, &value)), false),
        ("constructed OID", name(0x30, 0x31, 0x30, 0x26, &value), false),
        ("primitive attribute", name(0x30, 0x31, 0x10, 0x06, &value), false),
        ("primitive SET", name(0x30, 0x11, 0x30, 0x06, &value), false),
        ("primitive SEQUENCE", name(0x10, 0x31, 0x30, 0x06, &value), false),
        ("long form of a short length", name(0x30, 0x31, 0x30, 0x06, b"\x0c\x81\x01o"), false),
        ("value of another class", name(0x30, 0x31, 0x30, 0x06, &element(0x8c, b"orders")), false),
        ("two values", name(0x30, 0x31, 0x30, 0x06, &value.repeat(2)), false),
    ] {
        assert_eq!(DistinguishedName::from_der(&encoding).is_ok(), is_der, "{case}");
    }
}

#[test]
fn parse_errors_name_position_and_problem() {
    for (text, byte, message) in [
        ("", 0, "empty"),
        ("orders", 0, "TYPE=value"),
        ("CN=a,", 5, "TYPE=value"),
        ("CN=a,,O=b", 5, "TYPE=value"),
        ("XYZ=a", 0, "unknown attribute type"),
        ("9.9.9=a", 0, "object identifier"),
        ("CN=\"a", 3, "never closed"),
        (r"CN=a\", 5, "after '\\'"),
        (r"CN=a\q", 6, "after '\\'"),
        ("CN=a<b", 4, "must be written"),
        ("CN=#0", 4, "hex digits"),
        (r"CN=\ff", 6, "not UTF-8"),
        (r#"CN="a" b"#, 7, "expected ','"),
    ] {
        let error = text.parse::<DistinguishedName>().unwrap_err();
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert_eq!(error.byte(), byte, "{text}: {error}");
    }
    assert!("CN=#ffff".parse::<DistinguishedName>().is_err());
    assert!("CN=a,".repeat(10_000).parse::<DistinguishedName>().is_err());
}

#[test]
fn attributes_of_one_relative_name_are_a_set() {
    let pair = |oid: &[u8], value: &[u8]| {
        parse::der_element(0x30, &[parse::der_element(6, oid), parse::der_element(UTF8, value)].concat())
    };
    let of = |pairs: &[Vec<u8>]| {
        DistinguishedName::from_der(&parse::der_element(0x30, &parse::der_element(0x31, &pairs.concat())))
            .unwrap()
    };
    let (one, other, third) = (pair(CN, b"orders"), pair(O, b"Contoso"), pair(CN, b"admin"));
    let sorted = of(&[one.clone(), other.clone(), third.clone()]);
    assert_eq!(sorted, of(&[third, other.clone(), one.clone()]));
    assert_ne!(sorted, of(&[one.clone(), other.clone()]));
    assert_ne!(of(&[one.clone(), one.clone(), other.clone()]), of(&[one, other.clone(), other]));
}
