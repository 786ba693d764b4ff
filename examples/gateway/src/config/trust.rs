//! `[trust.NAME]`: named sets of CAs, with their requirements for chains and their CRLs.

use tower_mtls::policy::ChainRequirements;

use super::chain_requirements;
use super::located::{FilePath, Located};
use super::revocation::RevocationConfig;
use super::section::Section;

pub(crate) const KEYS: &[&str] = &[
    "ca",
    "allow_expired_ca",
    "crl",
    "crl_url",
    "revocation",
    "crl_refresh",
    "crl_timeout",
    "crl_max_size",
    "crl_identity",
    "crl_cache",
    "policies",
    "require_explicit_policy",
    "inhibit_policy_mapping",
    "inhibit_any_policy",
    "minimum_rsa_bits",
    "signature_algorithms",
];

/// A named set of CAs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trust {
    /// The files with the CAs' certificates; at least one.
    pub(crate) ca: Vec<Located<FilePath>>,
    /// Whether chains are allowed to end in a CA that has expired or is not valid yet.
    pub(crate) allow_expired_ca: bool,
    pub(crate) requirements: ChainRequirements,
    pub(crate) revocation: RevocationConfig,
}

impl Trust {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        if !section.has_similar("ca") {
            let remedy = "add ca = [\"FILE\"]";
            section.report.missing(section.line, &section.key_of("ca"), "is missing", remedy);
        }
        let ca = section.files("ca");
        let allow_expired_ca = section.boolean("allow_expired_ca", false);
        let requirements = chain_requirements::read(&mut section);
        let revocation = RevocationConfig::read(&mut section);
        section.finish();
        if ca.is_empty() {
            return None;
        }
        Some(Self { ca, allow_expired_ca, requirements: requirements?, revocation: revocation? })
    }
}
