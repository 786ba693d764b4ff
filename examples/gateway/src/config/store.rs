//! `[store]`: storage of certificates and APIs that are added at run time.

use super::located::{FilePath, Located};
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["path", "key_file"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) path: Located<FilePath>,
    /// The file with the key that seals private keys.
    pub(crate) key_file: Located<FilePath>,
    /// Whether the file names it; if not, a missing key file is created.
    pub(crate) is_own_key: bool,
}

impl Store {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let report = section.report;
        if !section.has_similar("path") {
            let remedy = "add path = \"store\"";
            report.missing(section.line, &section.key_of("path"), "is missing", remedy);
        }
        let path = section.file("path");
        let is_own_key = section.has_similar("key_file");
        let key_file = if is_own_key { section.file("key_file") } else { path.as_ref().map(beside) };
        if let (Some(path), Some(key_file)) = (&path, &key_file)
            && key_file.starts_with(&**path)
        {
            let problem = "is in the store's folder, so a copy of the folder contains the key";
            report.error(key_file.line, &key_file.key, problem, "name a file outside of it");
        }
        section.finish();
        Some(Self { path: path?, key_file: key_file?, is_own_key })
    }
}

/// The file beside the folder, with its name and `.key`.
fn beside(path: &Located<FilePath>) -> Located<FilePath> {
    let written = format!("{}.key", path.written.trim_end_matches('/'));
    // `store/` and `store/.` are the same as `store`.
    let resolved = path.resolved.components().collect::<std::path::PathBuf>();
    let mut resolved = resolved.into_os_string();
    resolved.push(".key");
    path.clone().map(|_| FilePath { resolved: resolved.into(), written })
}
