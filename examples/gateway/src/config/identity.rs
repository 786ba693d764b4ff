//! `[identities.NAME]`: certificates that the gateway presents to upstreams.

use super::key_files::KeyFiles;
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["pfx", "password_file", "certificate", "private_key"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityConfig {
    /// Its certificate and private key.
    pub(crate) files: KeyFiles,
}

impl IdentityConfig {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let files = KeyFiles::read(&mut section);
        section.finish();
        files.map(|files| Self { files })
    }
}
