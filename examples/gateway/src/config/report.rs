//! Collection of the diagnostics of one file.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::Error;

use super::diagnostic::{Diagnostic, Severity};
use super::syntax;

/// Lines with syntax errors after which nothing more is reported.
const MAX_BROKEN_LINES: usize = 50;

/// Headers of all sections, with their keys; the top of the file comes first.
pub(crate) type KnownSections = &'static [(&'static str, &'static [&'static str])];

/// The findings of one file, and the positions of its lines.
#[derive(Debug)]
pub(crate) struct Report {
    file: PathBuf,
    line_starts: Vec<usize>,
    broken_lines: HashSet<usize>,
    found: RefCell<Vec<Diagnostic>>,
    sections: KnownSections,
}

impl Report {
    /// Creates a report on `file` with its syntax errors, the first of each line.
    pub(crate) fn new(file: &Path, text: &str, errors: &[Error], sections: KnownSections) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        let mut report = Self {
            file: file.to_owned(),
            line_starts,
            broken_lines: HashSet::new(),
            found: RefCell::default(),
            sections,
        };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            let line = report.line(at..at);
            if !report.is_not_toml() && !report.broken_lines.contains(&line) {
                let (key, message) = (syntax::key_on(text, line, sections), error.message());
                let message = message.trim_end_matches(", expected nothing");
                report.error(line, &key, format!("not TOML: {message}"), syntax::remedy(message));
                report.broken_lines.insert(line);
            }
        }
        report
    }

    /// The folder at which relative paths in the file start.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or_else(|| Path::new(""))
    }

    /// The sections that have this key.
    pub(crate) fn sections_with(&self, key: &str) -> Vec<&'static str> {
        self.sections.iter().filter(|(_, keys)| keys.contains(&key)).map(|(section, _)| *section).collect()
    }

    /// The line on which this part of the text starts, counted from 1.
    pub(crate) fn line(&self, span: Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start).max(1)
    }

    /// Reports an invalid value or key.
    pub(crate) fn error(
        &self,
        line: usize,
        key: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Error, line, key, problem.into(), remedy.into());
    }

    /// Reports a missing key, or rules that are missing. Has no effect on a file with syntax errors, since the key may
    /// be in the part that could not be read.
    pub(crate) fn missing(
        &self,
        line: usize,
        key: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.broken_lines.is_empty() {
            self.add(Severity::Error, line, key, problem.into(), remedy.into());
        }
    }

    /// Reports something that is dangerous or has no effect.
    pub(crate) fn warning(
        &self,
        line: usize,
        key: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Warning, line, key, problem.into(), remedy.into());
    }

    /// Reports information.
    pub(crate) fn note(&self, line: usize, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Note, line, key, problem.into(), remedy.into());
    }

    /// Whether so many lines have syntax errors that the file is likely in another format.
    fn is_not_toml(&self) -> bool {
        self.broken_lines.len() >= MAX_BROKEN_LINES
    }

    /// Adds a finding, unless its line has a syntax error.
    fn add(&self, severity: Severity, line: usize, key: &str, problem: String, remedy: String) {
        if self.is_not_toml() || self.broken_lines.contains(&line) {
            return;
        }
        let file = self.file.clone();
        let diagnostic = Diagnostic { severity, file, line, key: key.to_owned(), problem, remedy };
        self.found.borrow_mut().push(diagnostic);
    }

    /// Returns all findings by line.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.severity));
        found
    }
}
