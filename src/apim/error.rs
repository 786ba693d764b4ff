//! What is wrong with a document, and what is odd about it.

use std::{fmt, sync::Arc};

/// Where something stands in a document: line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One reason why a document cannot be enforced as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    pub(crate) position: Position,
    pub(crate) message: String,
}

impl DocumentError {
    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.position.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.position.column
    }

    /// What is not enforced, and what to write in its place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Prints `line:column: message`.
impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

impl std::error::Error for DocumentError {}

/// Everything that keeps a document from being enforced, in the order of the text; never empty.
///
/// Prints one line an error, each behind the file's name if one was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentErrors {
    pub(crate) file: Option<Arc<str>>,
    pub(crate) errors: Vec<DocumentError>,
    pub(crate) warnings: Vec<DocumentWarning>,
}

impl DocumentErrors {
    /// The errors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &DocumentError> {
        self.errors.iter()
    }

    /// What is odd about the rest, as far as it can be told. What concerns the document as a whole is told once there
    /// is no error: [`Document::warnings`](super::Document::warnings).
    pub fn warnings(&self) -> &[DocumentWarning] {
        &self.warnings
    }
}

impl fmt::Display for DocumentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(file) = &self.file {
                write!(f, "{file}:")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for DocumentErrors {}

/// Something that a document does and that its author hardly meant: a comparison that never holds, a check that
/// proves nothing. The document is enforced as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentWarning {
    pub(crate) position: Position,
    pub(crate) message: String,
}

impl DocumentWarning {
    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.position.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.position.column
    }

    /// What it does, and what was probably meant.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Prints `line:column: message`.
impl fmt::Display for DocumentWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

/// More findings than this are not collected: the first hundred keep anyone busy.
const MOST: usize = 100;

/// What is found while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<DocumentError>,
    warnings: Vec<DocumentWarning>,
}

impl Findings {
    pub(crate) fn error(&mut self, position: Position, message: impl Into<String>) {
        if self.errors.len() < MOST {
            self.errors.push(DocumentError { position, message: message.into() });
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(crate) fn warn(&mut self, position: Position, message: impl Into<String>) {
        let warning = DocumentWarning { position, message: message.into() };
        if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The warnings, or the errors if there is one and the warnings beside them.
    pub(crate) fn into_result(mut self) -> Result<Vec<DocumentWarning>, Found> {
        self.warnings.sort_by_key(|warning| warning.position);
        if self.errors.is_empty() {
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(|error| error.position);
        Err((self.errors, self.warnings))
    }
}

/// Errors, and warnings beside them.
pub(crate) type Found = (Vec<DocumentError>, Vec<DocumentWarning>);
