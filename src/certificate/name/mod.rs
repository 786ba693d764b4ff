//! Distinguished names: compared by attribute, printed as RFC 4514.

mod canonical;
mod keyword;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use std::{fmt, hash, str::FromStr};

use x509_parser::asn1_rs::{Any, Class, FromDer, Oid, Tag};

use super::CertificateError;

use self::canonical::Canonical;
pub(crate) use self::canonical::{is_plain_text, same_text};
pub use self::parse::NameParseError;
pub(super) use self::print::print_visible;

/// An X.501 distinguished name, such as a certificate's subject or issuer.
///
/// Two names are equal if they have the same relative distinguished names in the same order, each with the same attributes.
/// Text values are compared ignoring case, repeated white space and the string type (RFC 5280, section 7.1); other kinds of
/// values, and a TeletexString with characters beyond those of PrintableString, byte by byte. Printed forms are not compared.
///
/// Parses RFC 4514 text (`CN=orders,O=Contoso\, Ltd`) and .NET's form (`CN=orders, O="Contoso, Ltd"`); both have the last
/// relative name first. Prints RFC 4514.
///
/// ```
/// use tower_mtls::certificate::DistinguishedName;
///
/// let rfc4514: DistinguishedName = r"CN=orders,O=Contoso\, Ltd".parse()?;
/// let dot_net: DistinguishedName = r#"CN=Orders, O="CONTOSO,  Ltd""#.parse()?;
/// assert_eq!(rfc4514, dot_net);
/// assert_ne!(rfc4514, "CN=orders,O=Contoso,OU=Ltd".parse()?);
/// assert_eq!(dot_net.to_string(), r"CN=Orders,O=CONTOSO\,  Ltd");
/// # Ok::<(), tower_mtls::certificate::NameParseError>(())
/// ```
#[derive(Clone)]
pub struct DistinguishedName {
    /// The DER encoding, followed by the canonical form for comparisons: one allocation per name.
    bytes: Box<[u8]>,
    /// Length of the DER encoding.
    der_length: usize,
    is_plain: bool,
}

/// The value of an attribute that a name should contain once.
pub(crate) enum SingleValue<'a> {
    Missing,
    One(&'a str),
    /// Several values, or one that is not a readable text.
    Unclear,
}

/// Size limit in bytes. Typical names have a few hundred; clients choose theirs.
const MAX_NAME: usize = 4 * 1024;

/// One attribute of a distinguished name. Returned by [`DistinguishedName::attributes`].
///
/// ```
/// use tower_mtls::certificate::DistinguishedName;
///
/// let name: DistinguishedName = "CN=orders,O=Contoso".parse()?;
/// let last = name.attributes().last().ok_or("empty")?;
/// assert_eq!((last.rdn(), last.oid().as_str(), last.text()), (1, "2.5.4.3", Some("orders")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    rdn: usize,
    oid: &'a [u8],
    pub(crate) tag: u32,
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The position of its relative distinguished name, from 0, in encoding order.
    pub fn rdn(&self) -> usize {
        self.rdn
    }

    /// The attribute type as an object identifier in dotted form, such as `2.5.4.3`.
    pub fn oid(&self) -> String {
        Oid::new(self.oid.into()).to_id_string()
    }

    /// The value, as encoded, if it is an unambiguous text: UTF8String, PrintableString, IA5String or NumericString, valid
    /// in its character set.
    pub fn text(&self) -> Option<&'a str> {
        canonical::text(self.tag, self.value)
    }

    /// The text that comparisons of names see: folded, of any string type that they decode.
    #[cfg(feature = "trust")]
    pub(crate) fn prepared_text(&self) -> Option<String> {
        canonical::prepared(self.tag, self.value)
    }
}

impl DistinguishedName {
    /// Reads a DER-encoded Name.
    ///
    /// # Errors
    ///
    /// The bytes are not one DER-encoded Name, or more than 4 KiB.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let certificate = tower_mtls::Certificate::from_der(made.cert.der())?;
    /// use tower_mtls::certificate::DistinguishedName;
    ///
    /// // A Name without attributes: an empty SEQUENCE.
    /// assert_eq!(DistinguishedName::from_der(&[0x30, 0x00])?.to_string(), "");
    /// assert!(DistinguishedName::from_der(b"CN=orders").is_err()); // a text, which `parse` reads
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_NAME {
            return Err(CertificateError::new(format!(
                "a distinguished name is longer than {MAX_NAME} bytes"
            )));
        }
        match Self::read(der) {
            (name, true) => Ok(name),
            _ => Err(CertificateError::new("a distinguished name is malformed")),
        }
    }

    /// Reads a name, and returns true with it if the encoding is well formed.
    fn read(der: &[u8]) -> (Self, bool) {
        let mut canonical = Canonical::after(der);
        let well_formed = each_attribute(der, |attribute| canonical.push(attribute));
        let (bytes, is_plain) = canonical.finish();
        (Self { bytes, der_length: der.len(), is_plain }, well_formed)
    }

    /// The name's DER encoding.
    pub fn der(&self) -> &[u8] {
        &self.bytes[..self.der_length]
    }

    fn canonical(&self) -> &[u8] {
        &self.bytes[self.der_length..]
    }

    /// Returns true if the name has no attributes.
    pub fn is_empty(&self) -> bool {
        self.canonical().is_empty()
    }

    /// Returns true if this name is within the subtree of `base`: its first relative names are those of `base`.
    #[cfg(feature = "trust")]
    pub(crate) fn is_within(&self, base: &Self) -> bool {
        let relative_names = |name: &Self| name.attributes().last().map_or(0, |last| last.rdn() + 1);
        let Some(rest) = self.canonical().strip_prefix(base.canonical()) else { return false };
        // Each entry starts with its length and the position of its relative name: the next one is of another.
        match rest.get(8..16).and_then(|position| <[u8; 8]>::try_from(position).ok()) {
            Some(position) => u64::from_be_bytes(position) == relative_names(base) as u64,
            None => rest.is_empty(),
        }
    }

    /// Returns true if each value is of a type for text, and the bytes of each Unicode string are of its encoding.
    #[cfg(feature = "trust")]
    pub(crate) fn has_valid_strings(&self) -> bool {
        self.attributes().all(|attribute| canonical::is_encoded(attribute.tag, attribute.value))
    }

    /// All attributes in encoding order; those of a multi-valued relative name in sequence.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        // `from_der` checked the encoding, so no error ends the iteration early.
        let rdns = Any::from_der(self.der()).map(|(_, name)| name.data).unwrap_or_default();
        elements(rdns).enumerate().flat_map(|(rdn, set)| {
            elements(set.data).filter_map(move |pair| {
                let (rest, oid) = Any::from_der(pair.data).ok()?;
                let (_, value) = Any::from_der(rest).ok()?;
                Some(Attribute { rdn, oid: oid.data, tag: value.header.tag().0, value: value.data })
            })
        })
    }

    /// The readable common names (CN, 2.5.4.3). Rules should accept exactly one.
    pub fn common_names(&self) -> impl Iterator<Item = &str> {
        self.texts(keyword::COMMON_NAME)
    }

    /// The readable organizational units (OU, 2.5.4.11).
    pub fn organizational_units(&self) -> impl Iterator<Item = &str> {
        self.texts(keyword::ORGANIZATIONAL_UNIT)
    }

    /// The readable organizations (O, 2.5.4.10). Rules should accept exactly one.
    pub fn organizations(&self) -> impl Iterator<Item = &str> {
        self.texts(keyword::ORGANIZATION)
    }

    /// The readable countries (C, 2.5.4.6; ISO 3166 codes of two letters). Rules should accept exactly one.
    pub fn countries(&self) -> impl Iterator<Item = &str> {
        self.texts(keyword::COUNTRY)
    }

    fn texts<'a>(&'a self, oid: &'static [u8]) -> impl Iterator<Item = &'a str> {
        self.values(oid).filter_map(|attribute| attribute.text())
    }

    fn values(&self, oid: &'static [u8]) -> impl Iterator<Item = Attribute<'_>> {
        self.attributes().filter(move |attribute| attribute.oid == oid)
    }

    /// The common name, if the name contains exactly one and its text can be read.
    ///
    /// ```
    /// use tower_mtls::certificate::DistinguishedName;
    ///
    /// let one: DistinguishedName = "CN=orders,O=Contoso".parse()?;
    /// assert_eq!(one.only_common_name(), Some("orders"));
    /// let two: DistinguishedName = "CN=orders,CN=admin".parse()?;
    /// assert_eq!(two.only_common_name(), None);
    /// # Ok::<(), tower_mtls::certificate::NameParseError>(())
    /// ```
    pub fn only_common_name(&self) -> Option<&str> {
        match self.common_name() {
            SingleValue::One(name) => Some(name),
            SingleValue::Missing | SingleValue::Unclear => None,
        }
    }

    /// The only common name.
    pub(crate) fn common_name(&self) -> SingleValue<'_> {
        self.single(keyword::COMMON_NAME)
    }

    /// The only organization.
    pub(crate) fn organization(&self) -> SingleValue<'_> {
        self.single(keyword::ORGANIZATION)
    }

    /// The only country.
    pub(crate) fn country(&self) -> SingleValue<'_> {
        self.single(keyword::COUNTRY)
    }

    fn single(&self, oid: &'static [u8]) -> SingleValue<'_> {
        let mut values = self.values(oid);
        match (values.next(), values.next()) {
            (None, _) => SingleValue::Missing,
            (Some(only), None) => only.text().map_or(SingleValue::Unclear, SingleValue::One),
            _ => SingleValue::Unclear,
        }
    }

    /// Returns true if an organizational unit is not an unambiguous text, so that "none matches" is not certain.
    pub(crate) fn has_unclear_unit(&self) -> bool {
        let is_plain = |attribute: Attribute<'_>| attribute.text().is_some_and(is_plain_text);
        !self.values(keyword::ORGANIZATIONAL_UNIT).all(is_plain)
    }

    /// Returns true if every value is comparable as a text, so that "not equal" is certain.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The same relative names in the opposite order.
    pub(crate) fn reversed(&self) -> Self {
        let der = self.der();
        let rdns = Any::from_der(der).map(|(_, name)| name.data).unwrap_or_default();
        let mut spans = Vec::new();
        let mut rest = rdns;
        while let Ok((after, _)) = Any::from_der(rest) {
            spans.push(&rest[..rest.len() - after.len()]);
            rest = after;
        }
        let content: Vec<u8> = spans.into_iter().rev().flatten().copied().collect();
        let head = der.len() - rdns.len();
        // Well formed, since the name is.
        Self::read(&[&der[..head], &content].concat()).0
    }
}

/// Visits each attribute in encoding order. Returns false unless the bytes are a SEQUENCE of non-empty SETs of (type, value)
/// SEQUENCEs, in DER.
fn each_attribute<'a>(der: &'a [u8], mut visit: impl FnMut(Attribute<'a>)) -> bool {
    let universal = |input: &'a [u8], tag| {
        let (rest, element) = universal_element(input)?;
        (element.tag() == tag).then_some((rest, element.data))
    };
    let Some(([], mut rdns)) = universal(der, Tag::Sequence) else {
        return false;
    };
    let mut rdn = 0;
    while !rdns.is_empty() {
        let Some((rest, mut set)) = universal(rdns, Tag::Set) else {
            return false;
        };
        rdns = rest;
        if set.is_empty() {
            return false;
        }
        while !set.is_empty() {
            let Some((rest, pair)) = universal(set, Tag::Sequence) else {
                return false;
            };
            set = rest;
            let Some((value, oid)) = universal(pair, Tag::Oid).filter(|(_, oid)| is_oid(oid)) else {
                return false;
            };
            let Some(([], value)) = universal_element(value) else {
                return false;
            };
            visit(Attribute { rdn, oid, tag: value.tag().0, value: value.data });
        }
        rdn += 1;
    }
    true
}

/// The rest of `input` and its first element, a universal one: of minimal length, and constructed only as a SEQUENCE or SET.
fn universal_element(input: &[u8]) -> Option<(&[u8], Any<'_>)> {
    let (rest, element) = Any::from_der(input).ok()?;
    let head = match element.data.len() {
        0..0x80 => 2,
        0x80..0x100 => 3,
        _ => 4,
    };
    let has_minimal_length = input.len() == head + element.data.len() + rest.len();
    let is_constructed = matches!(element.tag(), Tag::Sequence | Tag::Set);
    let is_der = has_minimal_length && element.header.is_constructed() == is_constructed;
    (is_der && element.class() == Class::Universal).then_some((rest, element))
}

/// Returns true if the contents of an OBJECT IDENTIFIER are complete and minimal (X.690, section 8.19.2).
pub(crate) fn is_oid(contents: &[u8]) -> bool {
    let is_complete = contents.last().is_some_and(|last| last & 0x80 == 0);
    let mut is_first = true;
    is_complete
        && contents.iter().all(|byte| {
            let is_minimal = !is_first || *byte != 0x80;
            is_first = byte & 0x80 == 0;
            is_minimal
        })
}

/// The consecutive DER elements in `input`.
fn elements(mut input: &[u8]) -> impl Iterator<Item = Any<'_>> {
    std::iter::from_fn(move || {
        let (rest, element) = Any::from_der(input).ok()?;
        input = rest;
        Some(element)
    })
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for DistinguishedName {}

impl hash::Hash for DistinguishedName {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl FromStr for DistinguishedName {
    type Err = NameParseError;

    /// # Errors
    ///
    /// The text is not a distinguished name; the error names the byte and what was expected there.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::parse(text)
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::print(self, f)
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}
