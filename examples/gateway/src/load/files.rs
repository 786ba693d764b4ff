//! Reading the files that a configuration names, and keeping what is wrong with them.

use std::{
    io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::fingerprint::{Fingerprint, Fingerprints};
use crate::{
    config::{Diagnostic, FilePath, Located, Severity, quoted},
    file,
};

/// No certificate bundle, key or list comes near this size.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What is found while loading.
#[derive(Debug)]
pub(super) struct Findings {
    file: PathBuf,
    found: Vec<Diagnostic>,
    read: Fingerprints,
}

impl Findings {
    pub(super) fn new(file: &Path, found: Vec<Diagnostic>) -> Self {
        Self { file: file.to_owned(), found, read: Fingerprints::new() }
    }

    pub(super) fn error<T>(
        &mut self,
        at: &Located<T>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(at, Severity::Error, problem.into(), remedy.into());
    }

    pub(super) fn warning<T>(
        &mut self,
        at: &Located<T>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(at, Severity::Warning, problem.into(), remedy.into());
    }

    pub(super) fn note<T>(&mut self, at: &Located<T>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(at, Severity::Note, problem.into(), remedy.into());
    }

    /// What several places share is said once for each place.
    fn add<T>(&mut self, at: &Located<T>, severity: Severity, problem: String, remedy: String) {
        let finding = at.diagnostic(&self.file, severity, problem, remedy);
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    /// IdentityResolver findings, by line, and the state that each file was in before it was read.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Fingerprints) {
        self.found.sort_by_key(|finding| finding.line);
        (self.found, self.read)
    }

    /// The contents of a file.
    pub(super) fn read(&mut self, file: &Located<FilePath>) -> Option<Vec<u8>> {
        self.note_state(file);
        self.or_say(file, file::read(file, LARGEST))
    }

    /// Of a file that is read twice the first state counts: whatever changed in between is a change.
    fn note_state(&mut self, file: &Located<FilePath>) {
        self.read.entry(file.resolved.clone()).or_insert_with(|| Fingerprint::of(file));
    }

    fn or_say<T>(&mut self, file: &Located<FilePath>, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(contents) => Some(contents),
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", quoted(&file.written));
                self.error(
                    file,
                    problem,
                    "name a file that this user can read; paths start at this file's folder",
                );
                None
            }
        }
    }

    /// The contents of a file that nobody else should be able to read; they are wiped from memory on drop.
    pub(super) fn read_secret(&mut self, file: &Located<FilePath>) -> Option<Zeroizing<Vec<u8>>> {
        self.note_state(file);
        let contents = self.or_say(file, file::read(file, LARGEST).map(Zeroizing::new))?;
        if is_open_to_others(file) {
            let problem = format!("{} holds a secret, and others can read it", quoted(&file.written));
            self.warning(file, problem, "take their permission away (chmod 600)");
        }
        Some(contents)
    }
}

#[cfg(unix)]
pub(crate) fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_file: &Path) -> bool {
    false
}
