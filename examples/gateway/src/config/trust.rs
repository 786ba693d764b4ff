//! `[trust.NAME]`: named sets of CAs.

use super::entry::{choose, not_yet};
use super::located::{FilePath, Located};
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["ca", "allow_expired_ca", "crl", "revocation"];

/// A named set of CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    /// The files with the CAs' certificates; at least one.
    pub(crate) ca: Vec<Located<FilePath>>,
    /// Whether chains are allowed to end in a CA that has expired or is not valid yet.
    pub(crate) allow_expired_ca: bool,
    /// Whether `revocation = "off"` is stated. Revocation is not checked in any case.
    pub(crate) is_revocation_off: bool,
}

impl Trust {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        if !section.has_similar("ca") {
            let remedy = "add ca = [\"FILE\"]";
            section.report.missing(section.line, &section.key_of("ca"), "is missing", remedy);
        }
        let ca = section.files("ca");
        let allow_expired_ca = section.boolean("allow_expired_ca", false);
        section.not_yet("crl");
        let mut is_revocation_off = false;
        if let Some(revocation) = section.string("revocation") {
            match revocation.as_str() {
                "soft" | "strict" => not_yet(section.report, revocation.line, &revocation.key),
                _ => is_revocation_off = choose(section.report, revocation, &[("off", ())]).is_some(),
            }
        }
        section.finish();
        (!ca.is_empty()).then_some(Self { ca, allow_expired_ca, is_revocation_off })
    }
}
