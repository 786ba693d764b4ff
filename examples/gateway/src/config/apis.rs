//! `[apis]`: settings of the APIs that are created through the management API.

use super::defined_names::DefinedNames;
use super::located::Located;
use super::route::OnRevoked;
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["trust", "allow_unanchored", "on_revoked"];

/// Settings of all APIs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Apis {
    /// The set of CAs for `Verify()` and `validate-trust` in their policies.
    pub(crate) trust: Option<Located<String>>,
    /// Whether their policies are allowed to admit unproven certificates.
    pub(crate) allow_unanchored: bool,
    pub(crate) on_revoked: OnRevoked,
}

impl Apis {
    pub(crate) fn read(mut section: Section<'_, '_>, names: &DefinedNames) -> Self {
        let report = section.report;
        if !names.has_store {
            let remedy = "add [store] with path = \"store\", or remove this section";
            report.error(section.line, &section.key, "has no effect without a store", remedy);
        }
        let trust = section.string("trust");
        names.check_trust(trust.as_ref(), report);
        let allow_unanchored = section.boolean("allow_unanchored", false);
        let on_revoked = OnRevoked::read(&mut section);
        section.finish();
        Self { trust, allow_unanchored, on_revoked }
    }
}
