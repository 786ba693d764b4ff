//! Extensions of lists (RFC 5280, section 5.2).

use super::{
    super::path::der::{self, BOOLEAN, INTEGER, OCTET_STRING, OID, Reader},
    limitation::RevocationListLimitation,
    scope::Scope,
};
use crate::certificate::DistinguishedName;

const MAX_EXTENSIONS: usize = 64;
/// The longest CRL number, in bytes (section 5.2.3).
const MAX_NUMBER: usize = 20;

const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];

/// One extension.
#[derive(Clone, Copy)]
pub(super) struct Extension<'a> {
    pub(super) oid: &'a [u8],
    pub(super) is_critical: bool,
    pub(super) value: &'a [u8],
}

/// Reads the content of Extensions, each of which may occur once.
pub(super) fn each_extension<'a>(
    content: &'a [u8],
    mut visit: impl FnMut(Extension<'a>) -> Option<()>,
) -> Option<()> {
    let mut reader = Reader::new(content);
    let mut count = 0;
    while !reader.is_empty() {
        let mut fields = reader.sequence()?;
        let oid = fields.expect(OID)?;
        let is_critical = fields.optional(BOOLEAN)?.map_or(Some(false), der::boolean)?;
        let value = fields.expect(OCTET_STRING)?;
        fields.end()?;
        // Most entries have one extension: their OIDs are not collected.
        let mut earlier = Reader::new(content);
        for _ in 0..count {
            if earlier.sequence()?.expect(OID)? == oid {
                return None;
            }
        }
        count += 1;
        if oid.is_empty() || count > MAX_EXTENSIONS {
            return None;
        }
        visit(Extension { oid, is_critical, value })?;
    }
    (count > 0).then_some(())
}

/// Facts of a list's extensions.
pub(super) struct ListExtensions {
    pub(super) number: Option<Box<[u8]>>,
    /// The keyIdentifier of the authorityKeyIdentifier.
    pub(super) key_id: Option<Box<[u8]>>,
    pub(super) scope: Scope,
    pub(super) is_delta: bool,
    /// Dotted OID of a critical extension that is not supported.
    pub(super) unsupported: Option<String>,
}

impl ListExtensions {
    /// Those of a list without extensions.
    pub(super) fn none() -> Self {
        Self { number: None, key_id: None, scope: Scope::complete(), is_delta: false, unsupported: None }
    }

    /// Reads the content of Extensions; the error names the extension.
    pub(super) fn read(content: &[u8], issuer: &DistinguishedName) -> Result<Self, &'static str> {
        let mut read = Self::none();
        let mut problem = "its extensions are malformed";
        let mut visit = |extension: Extension<'_>| {
            let Extension { oid, is_critical, value } = extension;
            let is_expected = match oid {
                CRL_NUMBER => {
                    problem = "its CRL number is malformed";
                    read.number = Some(read_number(value)?.into());
                    !is_critical
                }
                AUTHORITY_KEY_ID => {
                    problem = "its authority key identifier is malformed";
                    read.key_id = der::sequence(value)?.optional(0x80)?.map(Into::into);
                    !is_critical
                }
                DELTA_INDICATOR => {
                    problem = "its delta CRL indicator is malformed";
                    read_number(value)?;
                    read.is_delta = true;
                    true
                }
                ISSUING_POINT => {
                    problem = "its issuing distribution point is malformed";
                    read.scope = Scope::read(value, issuer)?;
                    true
                }
                _ => !is_critical,
            };
            problem = "its extensions are malformed";
            if !is_expected {
                read.unsupported.get_or_insert_with(|| der::dotted(oid));
            }
            Some(())
        };
        let done = each_extension(content, &mut visit);
        done.map(|()| read).ok_or(problem)
    }

    /// The limitation of a list with these extensions. `in_entries` is a critical extension of an entry.
    pub(super) fn limitation(&self, in_entries: Option<String>) -> Option<RevocationListLimitation> {
        use RevocationListLimitation as L;
        match (&self.unsupported, in_entries) {
            (Some(oid), _) => Some(L::CriticalExtension(oid.clone())),
            (None, Some(oid)) => Some(L::CriticalExtension(oid)),
            _ if self.is_delta => Some(L::Delta),
            _ if self.scope.is_indirect => Some(L::Indirect),
            _ if self.number.is_none() => Some(L::NoNumber),
            _ => None,
        }
    }
}

/// Big-endian bytes without leading zeros of an INTEGER that is not negative.
fn read_number(value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(value);
    let content = reader.expect(INTEGER)?;
    reader.end()?;
    let is_negative = content.first().is_some_and(|first| first & 0x80 != 0);
    if is_negative || !der::is_minimal(content) {
        return None;
    }
    let number = match content {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => content,
    };
    (number.len() <= MAX_NUMBER).then_some(number)
}
