//! Lists of thumbprints, such as a file of allowed client certificates.

use std::fmt;

use super::{Thumbprint, ThumbprintParseError};

/// Maximum number of thumbprints in a list.
const MAX_THUMBPRINTS: usize = 1_000_000;

impl Thumbprint {
    /// Reads a list: one thumbprint per line, in the forms that [`Thumbprint`] parses.
    ///
    /// Empty lines are ignored, and comments: from a `#` at the start of a line or after white space to the end of the
    /// line. A byte order mark and `\r\n` line ends are accepted. Duplicates are kept.
    ///
    /// # Errors
    ///
    /// 1. [`ThumbprintListError::Line`]: a line is not a thumbprint.
    /// 2. [`ThumbprintListError::TooLong`]: the list has more than 1,000,000 thumbprints.
    /// 3. [`ThumbprintListError::Empty`]: the list has no thumbprint. A policy with an empty list would reject every client.
    ///
    /// ```
    /// use tower_mtls::{Policy, certificate::Thumbprint};
    ///
    /// let text = "# partners\n\
    ///     CA06F56B258B7A0D4F2B05470939478651151984  # orders\n\
    ///     \n\
    ///     sha1 Fingerprint=DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09\n";
    /// let allowed = Thumbprint::read_list(text)?;
    /// assert_eq!(allowed.len(), 2);
    /// assert_eq!(allowed[1].last_four(), "0709");
    /// assert!(Policy::builder().thumbprints(allowed).build().is_ok());
    ///
    /// let error = Thumbprint::read_list("# partners\nCA06\n").unwrap_err();
    /// assert_eq!(error.line(), Some(2));
    /// assert!(Thumbprint::read_list("# partners\n").is_err(), "an empty list");
    /// # Ok::<(), tower_mtls::certificate::ThumbprintListError>(())
    /// ```
    pub fn read_list(text: &str) -> Result<Vec<Self>, ThumbprintListError> {
        let mut thumbprints = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let entry = without_comment(line);
            if entry.is_empty() {
                continue;
            }
            if thumbprints.len() == MAX_THUMBPRINTS {
                return Err(ThumbprintListError::TooLong { line: index + 1 });
            }
            let parsed = entry.parse();
            thumbprints
                .push(parsed.map_err(|problem| ThumbprintListError::Line { line: index + 1, problem })?);
        }
        if thumbprints.is_empty() { Err(ThumbprintListError::Empty) } else { Ok(thumbprints) }
    }
}

/// Returns the line up to a `#` at its start or after white space, trimmed.
fn without_comment(line: &str) -> &str {
    let starts_comment = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| starts_comment(*at));
    line[..comment.unwrap_or(line.len())].trim()
}

/// Error of [`Thumbprint::read_list`].
///
/// ```
/// use tower_mtls::certificate::{Thumbprint, ThumbprintListError};
///
/// let error = Thumbprint::read_list("orders").unwrap_err();
/// assert!(matches!(error, ThumbprintListError::Line { line: 1, .. }));
/// assert!(error.to_string().starts_with("line 1: not a thumbprint: 'o'"));
/// assert_eq!(Thumbprint::read_list(""), Err(ThumbprintListError::Empty));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThumbprintListError {
    /// A line is not a thumbprint.
    #[non_exhaustive]
    Line {
        /// The line, from 1.
        line: usize,
        /// Reason why it is not a thumbprint.
        problem: ThumbprintParseError,
    },
    /// The list has more than 1,000,000 thumbprints.
    #[non_exhaustive]
    TooLong {
        /// The line of the first thumbprint beyond the limit, from 1.
        line: usize,
    },
    /// The list has no thumbprint.
    Empty,
}

impl ThumbprintListError {
    /// The line, from 1; None for an empty list.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } | Self::TooLong { line } => Some(*line),
            Self::Empty => None,
        }
    }
}

impl fmt::Display for ThumbprintListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { line, problem } => write!(f, "line {line}: {problem}"),
            Self::TooLong { line } => {
                write!(f, "line {line}: more than {MAX_THUMBPRINTS} thumbprints; demand a chain instead")
            }
            Self::Empty => f.write_str("no thumbprint: every client would be rejected; write one per line"),
        }
    }
}

impl std::error::Error for ThumbprintListError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Line { problem, .. } => Some(problem),
            Self::TooLong { .. } | Self::Empty => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comment_begins_at_line_start_or_after_white_space() {
        for (line, expected) in [
            ("# ours", ""),
            ("  # ours", ""),
            ("aa:bb  # orders # new", "aa:bb"),
            ("aa:bb\t#", "aa:bb"),
            ("aa#bb", "aa#bb"),
            ("aa#bb # orders", "aa#bb"),
            ("  aa bb  ", "aa bb"),
            ("", ""),
        ] {
            assert_eq!(without_comment(line), expected, "{line:?}");
        }
    }

    #[test]
    fn list_accepts_comments_byte_order_mark_and_windows_line_ends() {
        let (sha1, sha256) = ("A1".repeat(20), "B2".repeat(32));
        let expected = [sha1.parse().unwrap(), sha256.parse().unwrap(), sha1.parse().unwrap()];
        let text = format!("# ours\n\n{sha1} # orders\n  sha256 Fingerprint={sha256}\t# billing\n{sha1}");
        for text in
            [text.clone(), format!("\u{feff}{text}"), format!("\u{feff}{text}\n").replace('\n', "\r\n")]
        {
            assert_eq!(Thumbprint::read_list(&text).as_deref(), Ok(&expected[..]), "{text:?}");
        }
    }

    #[test]
    fn list_errors_name_the_line() {
        let sha1 = "A1".repeat(20);
        for (text, line, message) in [
            (format!("{sha1}\n\n# x\nCA06"), Some(4), "line 4: not a thumbprint: 4 hex digits"),
            (format!("{sha1}#orders"), Some(1), "line 1: not a thumbprint: '#' at byte 40"),
            (format!("\u{feff}\r\norders\r\n{sha1}"), Some(2), "line 2: not a thumbprint: 'o' at byte 0"),
            (String::new(), None, "no thumbprint: every client would be rejected"),
            ("\u{feff}# none\r\n  \r\n".to_owned(), None, "no thumbprint: every client would be rejected"),
            (format!("{sha1}\n").repeat(MAX_THUMBPRINTS + 1), Some(MAX_THUMBPRINTS + 1), "more than 1000000"),
        ] {
            let error = Thumbprint::read_list(&text).unwrap_err();
            assert_eq!(error.line(), line, "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
        assert_eq!(Thumbprint::read_list(&format!("{sha1}\n").repeat(1_000)).unwrap().len(), 1_000);
    }
}
