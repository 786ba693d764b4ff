//! Names of distribution points.

use super::super::path::der::{Reader, SEQUENCE};
use crate::certificate::DistinguishedName;

/// Limit of the names of one distribution point.
const MAX_NAMES: usize = 64;

/// The tag of a directoryName among GeneralNames.
const DIRECTORY: u8 = 0xa4;

/// A GeneralName of a distribution point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PointName {
    Directory(DistinguishedName),
    /// Another form, compared byte by byte.
    Encoded(Box<[u8]>),
}

/// Reads the content of GeneralNames.
pub(super) fn read_general_names(content: &[u8]) -> Option<Vec<PointName>> {
    let mut reader = Reader::new(content);
    let mut names = Vec::new();
    while !reader.is_empty() {
        let name = reader.element()?;
        names.push(match name.tag {
            DIRECTORY => PointName::Directory(DistinguishedName::from_der(name.content).ok()?),
            0x81 | 0x82 | 0x86 | 0x87 | 0x88 | 0xa0 | 0xa3 | 0xa5 => PointName::Encoded(name.encoding.into()),
            _ => return None,
        });
        if names.len() > MAX_NAMES {
            return None;
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Reads the content of a tagged DistributionPointName. A name relative to the CRL issuer is completed.
pub(super) fn read_point_name(content: &[u8], issuer: &DistinguishedName) -> Option<Vec<PointName>> {
    const FULL_NAME: u8 = 0xa0;
    const RELATIVE_NAME: u8 = 0xa1;
    let mut reader = Reader::new(content);
    let name = reader.element()?;
    reader.end()?;
    match name.tag {
        FULL_NAME => read_general_names(name.content),
        RELATIVE_NAME => Some(vec![PointName::Directory(relative_to(issuer, name.content)?)]),
        _ => None,
    }
}

/// The issuer's name followed by one relative distinguished name.
fn relative_to(issuer: &DistinguishedName, rdn: &[u8]) -> Option<DistinguishedName> {
    const SET: u8 = 0x31;
    let rdns = Reader::new(issuer.der()).expect(SEQUENCE)?;
    let rdn = wrapped(SET, rdn)?;
    DistinguishedName::from_der(&wrapped(SEQUENCE, &[rdns, &rdn].concat())?).ok()
}

/// An element of at most 64 KiB.
fn wrapped(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
    let head = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    Some([&head, content].concat())
}
