//! Errors and warnings about documents.

use std::{borrow::Cow, fmt, sync::Arc};

/// A position in the text of a document. Prints `line:column`.
///
/// ```
/// let document = tower_mtls::apim::Document::parse(r#"<set-backend-service base-url="https://orders.internal" />"#)?;
/// let (_, position) = &document.summary().base_urls[0];
/// assert_eq!(position.to_string(), "1:1");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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

/// The subject of a finding, for programs that replace its remedy by their own. See [`DocumentErrors`] for an example.
///
/// ```
/// use tower_mtls::apim::{Document, FindingKind};
///
/// let errors = Document::parse("<rate-limit calls='5' />").unwrap_err();
/// let remedies = errors.iter().map(|error| match error.kind() {
///     FindingKind::Element("rate-limit") => "set a limit in gateway.toml",
///     _ => error.message(),
/// });
/// assert!(remedies.eq(["set a limit in gateway.toml"]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FindingKind {
    /// The document itself; no other kind.
    #[default]
    Document,
    /// The document needs trusted roots, and none are configured.
    Trust,
    /// The document checks revocation, and the roots neither have revocation lists nor are declared to have none.
    Revocation,
    /// The document names a certificate that is not in the deployment.
    Certificate,
    /// The document looks up callers in a deployment without certificates of callers.
    Callers,
    /// The document names an unknown backend.
    Backend,
    /// The element of APIM with this name is not supported.
    Element(&'static str),
    /// The document sets a timeout for the backend.
    Timeout,
    /// The document judges certificates without a [guard](super#guards).
    Unanchored,
}

/// A reason why a document cannot be enforced as written ([`DocumentErrors`]), or a probable mistake
/// ([`Document::warnings`](super::Document::warnings)): a comparison that is never true, a check that proves nothing.
///
/// Prints `line:column: message`.
///
/// ```
/// use tower_mtls::apim::{Document, Finding};
///
/// let errors = Document::parse("\n  <rate-limit calls='5' />").unwrap_err();
/// let error: &Finding = errors.iter().next().expect("never empty");
/// assert_eq!((error.line(), error.column()), (2, 3));
/// assert_eq!(error.problem(), "<rate-limit> is not supported here");
/// assert_eq!(error.message(), "<rate-limit> is not supported here; limit requests outside the document");
///
/// let document = Document::parse("<return-response />").expect("a valid document");
/// let warnings: Vec<_> = document.warnings().iter().map(ToString::to_string).collect();
/// assert!(warnings.iter().any(|warning| warning == "1:1: <return-response> has no <set-status>: the status is 200 OK"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    position: Position,
    message: String,
    /// The bytes of the message without its remedy.
    problem_length: usize,
}

impl Finding {
    pub(crate) fn new(position: Position, message: impl Into<String>) -> Self {
        Self::about(FindingKind::Document, position, message, "")
    }

    fn about(kind: FindingKind, position: Position, problem: impl Into<String>, remedy: &str) -> Self {
        let mut message = with_short_words(problem.into());
        let problem_length = message.len();
        if !remedy.is_empty() {
            message = message + "; " + remedy;
        }
        Self { kind, position, message, problem_length }
    }

    /// The kind of the finding.
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.position.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.position.column
    }

    /// The problem, and its remedy if there is one, such as `named values {{...}} are not supported; write the value`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The [`message`](Self::message) without the remedy. The whole message for [`FindingKind::Document`].
    pub fn problem(&self) -> &str {
        self.message.get(..self.problem_length).unwrap_or(&self.message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

impl std::error::Error for Finding {}

/// All errors of a document, in document order; never empty.
///
/// Prints one line for each error, prefixed with the file name if one is set.
///
/// ```
/// use tower_mtls::apim::{Document, FindingKind};
///
/// let text = "<rate-limit calls=\"5\" />\n<set-header name=\"a\"><value>{{secret}}</value></set-header>";
/// let errors = Document::builder().file_name("orders.xml").load(text).unwrap_err();
/// assert_eq!(
///     errors.to_string(),
///     "orders.xml:1:1: <rate-limit> is not supported here; limit requests outside the document\n\
///      orders.xml:2:29: named values {{...}} are not supported; write the value",
/// );
/// let first = errors.iter().next().expect("never empty");
/// assert_eq!((first.kind(), first.line()), (FindingKind::Element("rate-limit"), 1));
/// assert_eq!(first.problem(), "<rate-limit> is not supported here");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentErrors {
    pub(super) file: Option<Arc<str>>,
    pub(super) findings: Findings,
}

impl From<Finding> for DocumentErrors {
    fn from(error: Finding) -> Self {
        Self { file: None, findings: Findings { errors: vec![error], ..Findings::default() } }
    }
}

impl DocumentErrors {
    /// The errors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.findings.errors.iter()
    }

    /// The number of errors omitted after the first hundred.
    pub fn left_out(&self) -> usize {
        self.findings.left_out
    }

    /// Warnings about the rest of the document. Warnings about the document as a whole need one without errors:
    /// [`Document::warnings`](super::Document::warnings).
    pub fn warnings(&self) -> &[Finding] {
        &self.findings.warnings
    }
}

impl fmt::Display for DocumentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map(|file| format!("{file}:")).unwrap_or_default();
        let mut lines: Vec<_> = self.iter().map(|error| format!("{file}{error}")).collect();
        if self.left_out() > 0 {
            lines.push(format!("and {} more", self.left_out()));
        }
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for DocumentErrors {}

/// Maximum number of characters of a word of the document in a message; too few for a key.
const MAX_WORD_CHARS: usize = 32;
/// Maximum byte length of a word in a message. Words of the messages themselves are shorter.
const MAX_WORD_LEN: usize = 96;

/// Truncates a word of the document, which could be part of a misplaced private key.
pub(crate) fn short(word: &str) -> Cow<'_, str> {
    match word.char_indices().nth(MAX_WORD_CHARS) {
        Some((end, _)) => format!("{}...", word.get(..end).unwrap_or_default()).into(),
        None => word.into(),
    }
}

/// Truncates long words of a message.
fn with_short_words(message: String) -> String {
    if message.split_whitespace().all(|word| word.len() <= MAX_WORD_LEN) {
        return message;
    }
    let word = |word| if str::len(word) > MAX_WORD_LEN { short(word) } else { word.into() };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Maximum number of collected errors, and of warnings.
const MAX_FINDINGS: usize = 100;

/// Errors and warnings collected at load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Finding>,
    warnings: Vec<Finding>,
    left_out: usize,
}

impl Findings {
    pub(crate) fn error(&mut self, position: Position, message: impl Into<String>) {
        self.error_about(FindingKind::Document, position, &message.into(), "");
    }

    pub(crate) fn error_about(&mut self, kind: FindingKind, position: Position, problem: &str, remedy: &str) {
        let errors = vec![Finding::about(kind, position, problem, remedy)];
        self.append(Self { errors, ..Self::default() });
    }

    /// Replaces the errors from `index` on by one with this message, if there are any.
    pub(crate) fn replace_errors(&mut self, index: usize, message: &str) {
        if let Some(replaced) = self.errors.split_off(index).first() {
            self.error(replaced.position, message);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(crate) fn warn(&mut self, position: Position, message: impl Into<String>) {
        self.warn_about(FindingKind::Document, position, &message.into(), "");
    }

    pub(crate) fn warn_about(&mut self, kind: FindingKind, position: Position, problem: &str, remedy: &str) {
        let warnings = vec![Finding::about(kind, position, problem, remedy)];
        self.append(Self { warnings, ..Self::default() });
    }

    /// Adds the findings of a part of the document.
    pub(crate) fn append(&mut self, other: Self) {
        self.left_out += other.left_out + add(&mut self.errors, other.errors);
        add(&mut self.warnings, other.warnings);
    }

    /// Returns the warnings, or the errors with the warnings if there is an error.
    pub(crate) fn into_result(mut self, file: Option<Arc<str>>) -> Result<Vec<Finding>, DocumentErrors> {
        self.warnings.sort_by_key(|warning| warning.position);
        self.errors.sort_by_key(|error| error.position);
        if self.has_errors() { Err(DocumentErrors { file, findings: self }) } else { Ok(self.warnings) }
    }
}

/// Adds findings, each once: a position can be checked twice. Returns the number of those that exceed the maximum.
fn add(known: &mut Vec<Finding>, mut added: Vec<Finding>) -> usize {
    added.retain(|finding| !known.contains(finding));
    let kept = added.len().min(MAX_FINDINGS - known.len());
    known.extend(added.drain(..kept));
    added.len()
}
