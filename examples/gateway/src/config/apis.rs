//! `[apis]`: what APIs share that are made through the management API.

use super::located::Located;
use super::route::DefinedNames;
use super::section::Section;

/// The keys of `[apis]`.
pub(crate) const KEYS: &[&str] = &["trust", "allow_unanchored"];

/// What they share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Apis {
    /// The set of CAs that `Verify()` and `validate-trust` mean in their policies.
    pub(crate) trust: Option<Located<String>>,
    /// Whether their policies may admit certificates that nothing proves.
    pub(crate) allow_unanchored: bool,
}

impl Apis {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_, '_>, names: &DefinedNames) -> Self {
        let report = section.report;
        if !names.has_store {
            let remedy = "add [store] with path = \"store\", or remove this section";
            report.error(section.line, &section.key, "has no meaning without a store", remedy);
        }
        let trust = section.string("trust");
        names.check_trust(trust.as_ref(), report);
        let allow_unanchored = section.boolean("allow_unanchored", false);
        section.finish();
        Self { trust, allow_unanchored }
    }
}
