//! Reads files that a configuration names, and collects findings.

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

/// The size limit of a file, in bytes.
const MAX_SIZE: usize = 64 * 1024 * 1024;

/// Findings and file states of one load.
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

    /// Adds a finding, once for each position.
    fn add<T>(&mut self, at: &Located<T>, severity: Severity, problem: String, remedy: String) {
        let finding = at.diagnostic(&self.file, severity, problem, remedy);
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    /// Returns all findings by line, and the state of each file before it was read.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Fingerprints) {
        self.found.sort_by_key(|finding| finding.line);
        (self.found, self.read)
    }

    /// Reads a file. The contents are erased on drop: certificates are often in one file with their key.
    pub(super) fn read(&mut self, file: &Located<FilePath>) -> Option<Zeroizing<Vec<u8>>> {
        self.note_state(file);
        self.or_report(file, file::read(file, MAX_SIZE))
    }

    /// Records the state of a file before its first read: a change between two reads counts.
    fn note_state(&mut self, file: &Located<FilePath>) {
        self.read.entry(file.resolved.clone()).or_insert_with(|| Fingerprint::of(file));
    }

    fn or_report<T>(&mut self, file: &Located<FilePath>, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(contents) => Some(contents),
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", quoted(&file.written));
                self.error(
                    file,
                    problem,
                    "name a file that this user can read; paths start at the folder of this configuration",
                );
                None
            }
        }
    }

    /// Reads a file that other users should not be able to read.
    pub(super) fn read_secret(&mut self, file: &Located<FilePath>) -> Option<Zeroizing<Vec<u8>>> {
        let contents = self.read(file)?;
        if file::is_open_to_others(file) {
            let problem = format!("{} contains a secret and is readable by others", quoted(&file.written));
            self.warning(file, problem, "remove their permission (chmod 600)");
        }
        Some(contents)
    }
}
