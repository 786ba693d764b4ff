//! Properties of certificates as .NET prints them (`X509Certificate2`). Each is printed once per connection, so that
//! requests do not allocate.

use crate::certificate::{Attribute, Certificate, DistinguishedName, Hex};

/// `Subject`. None if an attribute value is ambiguous.
pub(crate) fn subject(certificate: &Certificate) -> Option<&str> {
    let print = || dotnet_name(certificate.subject()).map(Into::into);
    certificate.printed().subject.get_or_init(print).as_deref()
}

/// `Issuer`. None if an attribute value is ambiguous.
pub(crate) fn issuer(certificate: &Certificate) -> Option<&str> {
    let print = || dotnet_name(certificate.issuer()).map(Into::into);
    certificate.printed().issuer.get_or_init(print).as_deref()
}

/// `SerialNumber`: upper-case hex of the DER content, including the sign byte.
pub(crate) fn serial(certificate: &Certificate) -> &str {
    certificate.printed().serial.get_or_init(|| hex(certificate.serial().as_bytes()))
}

/// `Thumbprint`: SHA-1, 40 upper-case hex digits.
pub(crate) fn thumbprint(certificate: &Certificate) -> &str {
    certificate.printed().thumbprint.get_or_init(|| hex(certificate.sha1_thumbprint().as_bytes()))
}

fn hex(bytes: &[u8]) -> Box<str> {
    format!("{:X}", Hex(bytes)).into()
}

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
    let rdns = attributes.chunk_by(|one, next| one.rdn() == next.rdn()).rev();
    let printed = rdns.map(|rdn| Some(rdn.iter().map(print).collect::<Option<Vec<_>>>()?.join(" + ")));
    Some(printed.collect::<Option<Vec<_>>>()?.join(", "))
}

fn print(attribute: &Attribute<'_>) -> Option<String> {
    let oid = attribute.oid();
    let text = match attribute.text() {
        Some(text) => text.to_owned(),
        None if attribute.tag == BMP_STRING => bmp(attribute.value)?,
        None => return None,
    };
    let text = quoted(text);
    Some(match KEYWORDS.iter().find(|(known, _)| *known == oid) {
        Some((_, keyword)) => format!("{keyword}={text}"),
        None => format!("OID.{oid}={text}"),
    })
}

/// Decodes UCS-2, big-endian.
fn bmp(bytes: &[u8]) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    String::from_utf16(&pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect::<Vec<_>>()).ok()
}

/// Puts a value in quotes where .NET does.
fn quoted(value: String) -> String {
    const SPACES: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    let is_quoted = value.is_empty()
        || value.starts_with(SPACES)
        || value.ends_with(SPACES)
        || value.contains([',', '+', '=', '"', '\n', '<', '>', '#', ';']);
    if is_quoted { format!("\"{}\"", value.replace('"', "\"\"")) } else { value }
}
