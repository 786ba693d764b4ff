//! Names as .NET prints them (`X500DistinguishedName.Name`).

use crate::certificate::{Attribute, DistinguishedName};

/// Attribute types and their keywords in .NET on every platform. Where Windows and Linux differ, the dotted form is
/// Windows'.
const KEYWORDS: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "E"),
];

const BMP_STRING: u32 = 30;

/// Prints a name as .NET does (`X500DistinguishedName.Name`): the last relative name first, with .NET's keywords and
/// quoting.
///
/// None if a value is not an unambiguous text.
///
/// ```
/// use tower_mtls::{apim::dotnet_name, certificate::DistinguishedName};
///
/// let name: DistinguishedName = r"CN=orders,ST=WA,O=Contoso\, Ltd".parse()?;
/// assert_eq!(dotnet_name(&name).as_deref(), Some(r#"CN=orders, S=WA, O="Contoso, Ltd""#));
/// # Ok::<(), tower_mtls::certificate::NameParseError>(())
/// ```
pub fn dotnet_name(name: &DistinguishedName) -> Option<String> {
    let attributes: Vec<_> = name.attributes().collect();
    let mut printed = String::with_capacity(name.der().len() + 16);
    for (index, rdn) in attributes.chunk_by(|one, next| one.rdn() == next.rdn()).rev().enumerate() {
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

fn print(attribute: &Attribute<'_>, printed: &mut String) -> Option<()> {
    let oid = attribute.oid();
    match KEYWORDS.iter().find(|(known, _)| *known == oid) {
        Some((_, keyword)) => printed.push_str(keyword),
        None => {
            printed.push_str("OID.");
            printed.push_str(&oid);
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
fn bmp(bytes: &[u8]) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
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
