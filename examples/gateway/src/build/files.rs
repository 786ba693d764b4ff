//! Reads files that a configuration names, and collects findings.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    cache::Digest,
    fingerprint::{Fingerprint, Fingerprints},
};
use crate::{
    config::{Diagnostic, FilePath, Located, Severity, quoted},
    file,
};

/// The size limit of a file, in bytes.
const MAX_SIZE: usize = 64 * 1024 * 1024;

/// Digests of the contents of files. CRLs are not among them.
pub(super) type Contents = BTreeMap<PathBuf, Digest>;

/// A problem of a file, and its remedy.
pub(super) type Problem = (String, &'static str);

/// Findings and file states of one load.
pub(super) struct Findings {
    file: PathBuf,
    found: Vec<Diagnostic>,
    read: Fingerprints,
    contents: Contents,
}

impl Findings {
    pub(super) fn new(file: &Path, found: Vec<Diagnostic>) -> Self {
        Self { file: file.to_owned(), found, read: Fingerprints::new(), contents: Contents::new() }
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

    fn add<T>(&mut self, at: &Located<T>, severity: Severity, problem: String, remedy: String) {
        self.found.push(at.diagnostic(&self.file, severity, problem, remedy));
    }

    /// Returns all findings by line, each once, the state of each file before it was read, and the contents that were read.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Fingerprints, Contents) {
        let mut known = HashSet::new();
        self.found.retain(|finding| known.insert(finding.clone()));
        self.found.sort_by_key(|finding| finding.line);
        (self.found, self.read, self.contents)
    }

    /// Reads a file. The contents are erased on drop: certificates are often in one file with their key.
    pub(super) fn read(&mut self, file: &Located<FilePath>) -> Option<Zeroizing<Vec<u8>>> {
        match self.read_crl(file) {
            Ok(contents) => {
                let digest = Digest::of("file", [contents.as_slice()]);
                self.contents.insert(file.resolved.clone(), digest);
                Some(contents)
            }
            Err((problem, remedy)) => {
                self.error(file, problem, remedy);
                None
            }
        }
    }

    /// Reads a CRL, which can change while the other files are invalid.
    ///
    /// # Errors
    ///
    /// The file cannot be read, which is not reported.
    pub(super) fn read_crl(&mut self, file: &Located<FilePath>) -> Result<Zeroizing<Vec<u8>>, Problem> {
        // The state before the first read: a change between two reads counts.
        self.read.entry(file.resolved.clone()).or_insert_with(|| Fingerprint::of(file));
        file::read(file, MAX_SIZE).map_err(|error| {
            let problem = format!("{} cannot be read: {error}", quoted(&file.written));
            (problem, "name a file that this user can read; paths start at the folder of this configuration")
        })
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
