//! Entries of lists (RFC 5280, sections 5.1.2.6 and 5.3).

use super::{
    super::path::der::{self, INTEGER, Reader, SEQUENCE},
    extensions::each_extension,
    point_name::{PointName, read_general_names},
    serials::{MAX_SERIAL, SerialCounts, Serials, minimal},
};
use crate::certificate::DistinguishedName;

const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];

/// Facts of the entries of a list.
pub(super) struct Entries {
    pub(super) count: usize,
    /// Dotted OID of a critical extension that is not supported.
    pub(super) unsupported: Option<String>,
    /// True if entries name the issuer of their certificates.
    pub(super) is_indirect: bool,
    /// Of the revoked certificates of the list's own issuer.
    counts: SerialCounts,
}

impl Entries {
    /// Checks and counts entries.
    pub(super) fn read(
        content: &[u8],
        issuer: &DistinguishedName,
        has_version_2: bool,
    ) -> Result<Self, String> {
        let mut counts = SerialCounts::default();
        let mut walk = Walk { has_version_2, ..Walk::new(issuer) };
        walk.each(content, |serial| counts.add(serial))?;
        let Walk { count, is_indirect, unsupported, .. } = walk;
        Ok(Self { count, unsupported, is_indirect, counts })
    }

    /// Indexes the revoked certificates of the list's own issuer. `content` has been [read](Self::read).
    pub(super) fn index(&self, content: &[u8], issuer: &DistinguishedName) -> Serials {
        let mut serials = Serials::with_counts(&self.counts);
        // No error: the same entries were valid.
        let _ = Walk::new(issuer).each(content, |serial| serials.push(serial));
        serials.sort();
        serials
    }
}

/// Returns true if an entry revokes the issuer's certificate with this serial number. `content` has been
/// [read](Entries::read).
pub(super) fn contains(content: &[u8], issuer: &DistinguishedName, serial: &[u8]) -> bool {
    let (serial, mut is_found) = (minimal(serial), false);
    let _ = Walk::new(issuer).each(content, |listed| is_found |= listed == serial);
    is_found
}

struct Walk<'a> {
    issuer: &'a DistinguishedName,
    has_version_2: bool,
    count: usize,
    /// True while the entries are those of the list's own issuer: certificateIssuer is valid until the next one.
    is_own: bool,
    is_indirect: bool,
    unsupported: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(issuer: &'a DistinguishedName) -> Self {
        Self { issuer, has_version_2: true, count: 0, is_own: true, is_indirect: false, unsupported: None }
    }

    /// Visits the serial numbers of revoked certificates of the list's own issuer.
    fn each(&mut self, content: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), String> {
        let mut reader = Reader::new(content);
        while !reader.is_empty() {
            self.count += 1;
            let malformed = || format!("entry {} is malformed", self.count);
            let mut entry = Reader::new(reader.expect(SEQUENCE).ok_or_else(malformed)?);
            let serial =
                entry.expect(INTEGER).filter(|serial| der::is_minimal(serial)).ok_or_else(malformed)?;
            if serial.len() > MAX_SERIAL {
                let problem =
                    format!("the serial number of entry {} has more than {MAX_SERIAL} bytes", self.count);
                return Err(problem);
            }
            entry.element().filter(der::has_time_form).ok_or_else(malformed)?;
            let is_revoked = if entry.is_empty() {
                true
            } else {
                let count = self.count;
                self.is_revoked(entry).ok_or_else(|| format!("entry {count} is malformed"))?
            };
            if is_revoked && self.is_own {
                visit(serial);
            }
        }
        Ok(())
    }

    /// Reads the extensions of an entry. Returns false for an entry that ends a revocation, in delta CRLs.
    fn is_revoked(&mut self, mut entry: Reader<'_>) -> Option<bool> {
        const ENUMERATED: u8 = 0x0a;
        const REMOVE_FROM_CRL: &[u8] = &[8];
        let extensions = entry.expect(SEQUENCE).filter(|_| self.has_version_2)?;
        entry.end()?;
        let mut is_revoked = true;
        each_extension(extensions, |extension| {
            match extension.oid {
                REASON_CODE => {
                    let mut reader = Reader::new(extension.value);
                    let reason = reader.expect(ENUMERATED).filter(|reason| der::is_minimal(reason))?;
                    is_revoked = reason != REMOVE_FROM_CRL;
                    reader.end()?;
                }
                CERTIFICATE_ISSUER => {
                    let mut reader = Reader::new(extension.value);
                    let names = read_general_names(reader.expect(SEQUENCE)?)?;
                    reader.end()?;
                    self.is_indirect = true;
                    self.is_own = names.contains(&PointName::Directory(self.issuer.clone()));
                }
                oid if extension.is_critical => {
                    self.unsupported.get_or_insert_with(|| der::dotted(oid));
                }
                _ => {}
            }
            Some(())
        })?;
        Some(is_revoked)
    }
}
