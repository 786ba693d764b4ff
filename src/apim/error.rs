//! What is wrong with a document, and what is odd about it.

use std::{borrow::Cow, fmt, sync::Arc};

/// A position in the text of a document. Prints `line:column`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What a finding is about, for programs that know a better remedy than its message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FindingKind {
    /// The document itself.
    #[default]
    Document,
    /// It asks for trusted roots, and there are none.
    Trust,
    /// It asks whether certificates are revoked, and nothing is stated about that.
    Revocation,
    /// It names a certificate that the deployment does not have.
    Certificate,
    /// It looks its callers up in a deployment that holds none of them.
    Callers,
    /// It names a backend that is not known.
    Backend,
    /// It has an element of APIM, by this name, that is not run here.
    Element(&'static str),
    /// It says how long a backend may take.
    Timeout,
    /// It judges certificates, and admits ones that callers made themselves.
    Unanchored,
}

/// One reason why a document cannot be enforced as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    pub(crate) position: Position,
    message: String,
    /// The bytes of the message without its remedy.
    problem: usize,
    kind: FindingKind,
}

impl DocumentError {
    pub(crate) fn new(position: Position, message: impl Into<String>) -> Self {
        let message = with_short_words(message.into());
        Self { position, problem: message.len(), message, kind: FindingKind::Document }
    }

    /// One for which others may know a better remedy.
    pub(crate) fn about(kind: FindingKind, position: Position, problem: &str, remedy: &str) -> Self {
        let problem = with_short_words(problem.to_owned());
        Self { position, message: with_remedy(&problem, remedy), problem: problem.len(), kind }
    }

    /// What it is about.
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// The [`message`](Self::message) without what to write in its place, if it is not of the kind
    /// [`FindingKind::Document`].
    pub fn problem(&self) -> &str {
        self.message.get(..self.problem).unwrap_or(&self.message)
    }

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

fn with_remedy(problem: &str, remedy: &str) -> String {
    if remedy.is_empty() { problem.to_owned() } else { format!("{problem}: {remedy}") }
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
    pub(crate) left_out: usize,
}

impl From<DocumentError> for DocumentErrors {
    fn from(error: DocumentError) -> Self {
        Self { file: None, errors: vec![error], warnings: Vec::new(), left_out: 0 }
    }
}

impl DocumentErrors {
    /// The errors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &DocumentError> {
        self.errors.iter()
    }

    /// How many errors there are beside these: of a document with very many the first hundred that were found are told.
    pub fn left_out(&self) -> usize {
        self.left_out
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
        match self.left_out {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for DocumentErrors {}

/// Something that a document does and that its author hardly meant: a comparison that never holds, a check that
/// proves nothing. The document is enforced as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentWarning {
    pub(crate) position: Position,
    pub(crate) message: String,
    /// The bytes of the message without its remedy.
    problem: usize,
    kind: FindingKind,
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

    /// What it is about.
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// The [`message`](Self::message) without what to write in its place, if it is not of the kind
    /// [`FindingKind::Document`].
    pub fn problem(&self) -> &str {
        self.message.get(..self.problem).unwrap_or(&self.message)
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

/// Characters of a word of the document that a message repeats: enough to find it, too few for a key.
const LONGEST: usize = 32;
/// No word that this crate's messages write themselves is as long.
const LONGEST_WORD: usize = 96;

/// The beginning of a word of the document. It may be part of a private key that stands in the wrong place.
pub(crate) fn short(word: &str) -> Cow<'_, str> {
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", word.get(..end).unwrap_or_default()).into(),
        None => word.into(),
    }
}

/// The message with all of its words short.
fn with_short_words(message: String) -> String {
    if message.split_whitespace().all(|word| word.len() <= LONGEST_WORD) {
        return message;
    }
    let word = |word| if str::len(word) > LONGEST_WORD { short(word) } else { word.into() };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// More findings than this are not collected: the first hundred keep anyone busy.
const MOST: usize = 100;

/// What is found while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<DocumentError>,
    warnings: Vec<DocumentWarning>,
    left_out: usize,
}

impl Findings {
    pub(crate) fn error(&mut self, position: Position, message: impl Into<String>) {
        self.add(DocumentError::new(position, message));
    }

    pub(crate) fn error_about(&mut self, kind: FindingKind, position: Position, problem: &str, remedy: &str) {
        self.add(DocumentError::about(kind, position, problem, remedy));
    }

    pub(crate) fn add(&mut self, error: DocumentError) {
        // One place may be looked at twice.
        if self.errors.contains(&error) {
            return;
        }
        if self.errors.len() < MOST {
            self.errors.push(error);
        } else {
            self.left_out += 1;
        }
    }

    /// Puts one error in the place of all that were found, if there are any.
    pub(crate) fn replace_errors(&mut self, message: &str) {
        self.errors.truncate(1);
        if let Some(first) = self.errors.first_mut() {
            *first = DocumentError::new(first.position, message);
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        other.errors.into_iter().for_each(|error| self.add(error));
        self.left_out += other.left_out;
        for warning in other.warnings {
            if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(crate) fn warn(&mut self, position: Position, message: impl Into<String>) {
        self.warn_about(FindingKind::Document, position, &message.into(), "");
    }

    pub(crate) fn warn_about(&mut self, kind: FindingKind, position: Position, problem: &str, remedy: &str) {
        let problem = with_short_words(problem.to_owned());
        let message = with_remedy(&problem, remedy);
        let warning = DocumentWarning { position, message, problem: problem.len(), kind };
        if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The warnings, or the errors if there is one and the warnings beside them.
    pub(crate) fn into_result(mut self) -> Result<Vec<DocumentWarning>, DocumentErrors> {
        self.warnings.sort_by_key(|warning| warning.position);
        if self.errors.is_empty() {
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(|error| error.position);
        Err(DocumentErrors {
            file: None,
            errors: self.errors,
            warnings: self.warnings,
            left_out: self.left_out,
        })
    }
}
