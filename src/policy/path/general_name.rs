//! Names of subjects and the subtrees of name constraints, as encoded (RFC 5280, sections 4.2.1.6 and 4.2.1.10).

use super::der::{self, Reader};
use crate::certificate::{DistinguishedName, is_oid};

/// A name, or the base of a subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GeneralName<'a> {
    Email(&'a str),
    Dns(&'a str),
    Uri(&'a str),
    Directory(DistinguishedName),
    /// 4 or 16 bytes; with a mask in a subtree.
    Ip(&'a [u8]),
    /// An otherName that rfc822Name constraints apply to (RFC 9598).
    SmtpUtf8Mailbox,
    /// Another form, by its tag.
    Other(u8),
}

/// id-on-SmtpUTF8Mailbox.
const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];

/// Reads a Name; None also if a string in it is malformed.
pub(super) fn directory(der: &[u8]) -> Option<DistinguishedName> {
    DistinguishedName::from_der(der).ok().filter(DistinguishedName::has_valid_strings)
}

impl<'a> GeneralName<'a> {
    fn read(names: &mut Reader<'a>) -> Option<Self> {
        let element = names.element()?;
        let ascii = || std::str::from_utf8(element.content).ok().filter(|text| text.is_ascii());
        Some(match element.tag {
            0x81 => Self::Email(ascii()?),
            0x82 => Self::Dns(ascii()?),
            0x86 => Self::Uri(ascii()?),
            0x87 => Self::Ip(element.content),
            0xa4 => Self::Directory(directory(element.content)?),
            0xa0 if other_name(element.content)? == SMTP_UTF8_MAILBOX => Self::SmtpUtf8Mailbox,
            0x88 if !is_oid(element.content) => return None,
            0xa0 | 0xa3 | 0xa5 | 0x88 => Self::Other(element.tag),
            _ => return None,
        })
    }

    /// The name of its form.
    pub(super) fn form(&self) -> &'static str {
        match self {
            Self::Email(_) => "rfc822Name",
            Self::Dns(_) => "dNSName",
            Self::Uri(_) => "uniformResourceIdentifier",
            Self::Directory(_) => "directoryName",
            Self::Ip(_) => "iPAddress",
            Self::SmtpUtf8Mailbox => "SmtpUTF8Mailbox",
            Self::Other(0xa0) => "otherName",
            Self::Other(0xa3) => "x400Address",
            Self::Other(0xa5) => "ediPartyName",
            Self::Other(_) => "registeredID",
        }
    }
}

/// The type of an otherName, which has one value.
fn other_name(content: &[u8]) -> Option<&[u8]> {
    let mut fields = Reader::new(content);
    let oid = fields.expect(der::OID)?;
    let mut value = Reader::new(fields.expect(0xa0)?);
    fields.end()?;
    value.element()?;
    value.end()?;
    Some(oid)
}

/// Reads subject alternative names.
pub(super) fn read_all<'a>(mut list: Reader<'a>) -> Option<Vec<GeneralName<'a>>> {
    let mut names = Vec::new();
    while !list.is_empty() {
        let name = GeneralName::read(&mut list)?;
        if let GeneralName::Ip(address) = name
            && !matches!(address.len(), 4 | 16)
        {
            return None;
        }
        names.push(name);
    }
    (!names.is_empty()).then_some(names)
}

#[derive(Debug, Default)]
pub(super) struct NameConstraints<'a> {
    pub(super) permitted: Vec<GeneralName<'a>>,
    pub(super) excluded: Vec<GeneralName<'a>>,
}

impl<'a> NameConstraints<'a> {
    pub(super) fn read(value: &'a [u8]) -> Option<Self> {
        let mut fields = der::sequence(value)?;
        let mut subtrees = |tag| match fields.optional(tag)? {
            Some(list) => read_subtrees(Reader::new(list)),
            None => Some(Vec::new()),
        };
        let read = Self { permitted: subtrees(0xa0)?, excluded: subtrees(0xa1)? };
        fields.end()?;
        (!read.permitted.is_empty() || !read.excluded.is_empty()).then_some(read)
    }
}

/// The minimum is 0, and the maximum absent.
fn read_subtrees(mut list: Reader<'_>) -> Option<Vec<GeneralName<'_>>> {
    let mut bases = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.sequence()?;
        let base = GeneralName::read(&mut subtree)?;
        let minimum = subtree.optional(0x80)?.unwrap_or(&[0]);
        subtree.end()?;
        if minimum != [0] || matches!(base, GeneralName::Ip(range) if !is_range(range)) {
            return None;
        }
        bases.push(base);
    }
    (!bases.is_empty()).then_some(bases)
}

/// An address and a mask of leading ones.
fn is_range(range: &[u8]) -> bool {
    let (_, mask) = range.split_at(range.len() / 2);
    let ones = mask.iter().take_while(|byte| **byte == 0xff).count();
    let rest = &mask[ones..];
    let is_prefix = rest.first().is_none_or(|byte| byte.leading_ones() + byte.trailing_zeros() == 8)
        && rest.iter().skip(1).all(|byte| *byte == 0);
    matches!(range.len(), 8 | 32) && is_prefix
}
