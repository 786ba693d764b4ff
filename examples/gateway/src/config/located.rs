//! Values with their position in the file.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Severity};

/// A value with its line and key, for diagnostics of later stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    /// The line that it starts on, counted from 1.
    pub(crate) line: usize,
    /// Its dotted key; routes are counted from 1.
    pub(crate) key: String,
}

impl<T> Located<T> {
    /// Creates a finding about this value.
    pub(crate) fn diagnostic(
        &self,
        file: &Path,
        severity: Severity,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            severity,
            file: file.to_owned(),
            line: self.line,
            key: self.key.clone(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// Replaces the value at the same position.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), line: self.line, key: self.key }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A file name, as written and resolved against the folder of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePath {
    pub(crate) resolved: PathBuf,
    /// The name as written, for messages.
    pub(crate) written: String,
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.resolved
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.resolved
    }
}
