//! Names as .NET prints them (`X500DistinguishedName.Name`).

use super::{Attribute, DistinguishedName};

/// Object identifiers and their keywords in .NET on every platform. Where Windows and Linux differ, the dotted form is
/// Windows'.
const KEYWORDS: &[(&[u8], &str)] = &[
    (&[85, 4, 3], "CN"),
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
];

const BMP_STRING: u32 = 30;

impl DistinguishedName {
    /// The name as .NET prints it: the last relative name first, with .NET's keywords and quoting.
    ///
    /// None if a value is not an unambiguous text.
    ///
    /// ```
    /// use tower_mtls::certificate::DistinguishedName;
    ///
    /// let name: DistinguishedName = r"CN=orders,ST=WA,O=Contoso\, Ltd".parse()?;
    /// assert_eq!(name.dotnet().as_deref(), Some(r#"CN=orders, S=WA, O="Contoso, Ltd""#));
    /// # Ok::<(), tower_mtls::certificate::NameParseError>(())
    /// ```
    pub fn dotnet(&self) -> Option<String> {
        let attributes: Vec<_> = self.attributes().collect();
        let mut printed = String::with_capacity(self.der().len() + 16);
        for (index, rdn) in attributes.chunk_by(|one, next| one.rdn == next.rdn).rev().enumerate() {
            if index > 0 {
                printed.push_str(", ");
            }
            for (index, attribute) in rdn.iter().enumerate() {
                if index > 0 {
                    printed.push_str(" + ");
                }
                print(attribute, &mut printed)?;
            }
        }
        Some(printed)
    }
}

fn print(attribute: &Attribute<'_>, printed: &mut String) -> Option<()> {
    match KEYWORDS.iter().find(|(oid, _)| *oid == attribute.oid) {
        Some((_, keyword)) => printed.push_str(keyword),
        None => {
            printed.push_str("OID.");
            printed.push_str(&attribute.oid());
        }
    }
    printed.push('=');
    match attribute.text() {
        Some(text) => quote(text, printed),
        None if attribute.tag == BMP_STRING => quote(&bmp(attribute.value)?, printed),
        None => return None,
    }
    Some(())
}

/// UCS-2, big-endian.
fn bmp(octets: &[u8]) -> Option<String> {
    let (pairs, []) = octets.as_chunks::<2>() else { return None };
    String::from_utf16(&pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect::<Vec<_>>()).ok()
}

/// Writes a value as .NET does, in quotes where necessary.
fn quote(value: &str, printed: &mut String) {
    const SPACES: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    let is_quoted = value.is_empty()
        || value.starts_with(SPACES)
        || value.ends_with(SPACES)
        || value.contains([',', '+', '=', '"', '\n', '<', '>', '#', ';']);
    if !is_quoted {
        printed.push_str(value);
        return;
    }
    printed.push('"');
    for character in value.chars() {
        if character == '"' {
            printed.push('"');
        }
        printed.push(character);
    }
    printed.push('"');
}

#[cfg(test)]
mod tests {
    use super::{super::parse::der_element, *};

    const UTF8: u32 = 12;

    /// Type, tag and value.
    type Value<'a> = (&'a [u8], u32, &'a [u8]);

    fn name(rdns: &[&[Value<'_>]]) -> DistinguishedName {
        let content: Vec<u8> = rdns
            .iter()
            .flat_map(|rdn| {
                let pairs: Vec<u8> = rdn
                    .iter()
                    .flat_map(|(oid, tag, value)| {
                        der_element(0x30, &[der_element(6, oid), der_element(*tag, value)].concat())
                    })
                    .collect();
                der_element(0x31, &pairs)
            })
            .collect();
        DistinguishedName::from_der(&der_element(0x30, &content)).unwrap()
    }

    fn one(oid: &[u8], value: &str) -> String {
        name(&[&[(oid, UTF8, value.as_bytes())]]).dotnet().unwrap()
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
        assert_eq!(printed.dotnet().as_deref(), Some(expected));
        assert_eq!(name(&[]).dotnet().as_deref(), Some(""), "an empty name");
    }

    #[test]
    fn attributes_of_one_relative_name_keep_their_order() {
        let printed = name(&[&[(O, UTF8, b"Contoso")], &[(CN, UTF8, b"a"), (&[85, 4, 11], UTF8, b"b")]]);
        assert_eq!(printed.dotnet().as_deref(), Some("CN=a + OU=b, O=Contoso"));
    }

    #[test]
    fn keywords_are_those_of_dot_net() {
        for (oid, keyword) in KEYWORDS {
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
        assert_eq!(name(&[&[(CN, 20, b"T61")]]).dotnet(), None);
        assert_eq!(name(&[&[(CN, UTF8, b"\xff")]]).dotnet(), None);
        assert_eq!(name(&[&[(CN, BMP_STRING, b"\0o\0k")]]).dotnet().as_deref(), Some("CN=ok"));
        assert_eq!(name(&[&[(CN, BMP_STRING, b"\0o\0")]]).dotnet(), None);
    }
}
