//! The configuration that serves, and its reload with current CRLs while a later one is invalid.

use std::path::PathBuf;

use super::{
    cache::Cache,
    files::Contents,
    load::{LoadOutcome, Loaded, Source, load},
    revocation::CrlCache,
};
use crate::config::{Diagnostic, Severity, quoted};

/// A configuration file with the files that it names.
#[derive(Clone)]
pub(super) struct LoadedSource {
    pub(super) source: Source,
    pub(super) contents: Contents,
}

/// Loads the configuration that serves with the current CRLs. None: they have not changed, or an error prevents it.
/// A CRL that is invalid is an error, and does not prevent the use of others.
///
/// Its other files must be as they were: a change of several files is effective as a whole or not.
pub(crate) fn load_crls(cache: &mut Cache) -> (Option<Loaded>, Vec<Diagnostic>) {
    let Some(served) = cache.served.clone().filter(|_| cache.crls.is_in_use()) else {
        return (None, Vec::new());
    };
    let (outcome, mut errors) = CrlCache::tolerating(cache, |cache| load(&served.source, cache));
    let LoadOutcome { loaded, findings, .. } = outcome;
    let read = cache.loaded.as_ref().map(|loaded| &loaded.contents);
    let is_changed = |file: &PathBuf, digest| read.is_none_or(|read| read.get(file) != Some(digest));
    if let Some((changed, _)) = served.contents.iter().find(|(file, digest)| is_changed(file, digest)) {
        let changed = changed.file_name().unwrap_or_default().to_string_lossy();
        errors.push(Diagnostic {
            severity: Severity::Error,
            file: served.source.file,
            line: 1,
            key: String::new(),
            problem: format!("new CRLs are not effective either: {} has changed too", quoted(&changed)),
            remedy: "correct the configuration, or restore this file".to_owned(),
        });
        return (None, errors);
    }
    errors.extend(findings.into_iter().filter(Diagnostic::is_error));
    (loaded.filter(|_| cache.crls.is_changed()), errors)
}
