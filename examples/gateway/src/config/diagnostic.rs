//! What there is to say about a configuration file, one line each.

use std::fmt;
use std::path::PathBuf;

/// The most characters of a foreign text that a message repeats.
const SHOWN: usize = 80;

/// How grave a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The file cannot be served.
    Error,
    /// It can be served, but something in it is dangerous or has no effect.
    Warning,
    /// Worth knowing.
    Note,
}

/// One finding: where, what is wrong, and what would be right.
///
/// Displayed on one line:
/// `gateway.toml:12: routes[1].upstream: "htps://x" has an unknown scheme; write http:// or https://`.
/// Warnings and notes say so behind the line number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// How grave it is.
    pub(crate) severity: Severity,
    /// The configuration file.
    pub(crate) file: PathBuf,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The dotted path of the key, such as `routes[1].client_certificate.issuer`; empty if the finding
    /// belongs to no key. Routes are counted from 1: `routes[1]` is the first.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// What would be right; may be empty.
    pub(crate) remedy: String,
}

impl Diagnostic {
    /// The same for a log that others may read: where the file is is nobody's business there.
    pub(crate) fn without_folder(&self) -> Self {
        let file = self.file.file_name().map_or_else(|| self.file.clone(), PathBuf::from);
        Self { file, ..self.clone() }
    }

    /// Whether this keeps the file from being served.
    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", OneLine(&self.file.to_string_lossy()), self.line)?;
        f.write_str(match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
            Severity::Note => "note: ",
        })?;
        if !self.key.is_empty() {
            write!(f, "{}: ", OneLine(&self.key))?;
        }
        OneLine(&self.problem).fmt(f)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", OneLine(&self.remedy))?;
        }
        Ok(())
    }
}

/// A text on one line: what a terminal would not show as it is, is escaped.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_hidden(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// Whether the character ends a line, changes the direction of writing or has no shape.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || character.is_control()
}

/// The text in quotation marks, escaped, and cut if it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    let mut room = SHOWN;
    for character in text.chars() {
        let piece = match character {
            '"' | '\\' => format!("\\{character}"),
            hidden if is_hidden(hidden) => hidden.escape_default().to_string(),
            plain => plain.to_string(),
        };
        let width = piece.chars().count();
        if width > room {
            shown.push('…');
            break;
        }
        room -= width;
        shown.push_str(&piece);
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(severity: Severity, key: &str, problem: &str, remedy: &str) -> String {
        Diagnostic {
            severity,
            file: PathBuf::from("gateway.toml"),
            line: 12,
            key: key.to_owned(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
        .to_string()
    }

    #[test]
    fn a_diagnostic_is_one_line() {
        let cases = [
            (sample(Severity::Error, "a.b", "is bad", "write c"), "gateway.toml:12: a.b: is bad; write c"),
            (sample(Severity::Warning, "a", "is odd", ""), "gateway.toml:12: warning: a: is odd"),
            (sample(Severity::Note, "", "hm", "do"), "gateway.toml:12: note: hm; do"),
            (
                sample(Severity::Error, "a\nb", "x\r\u{1b}[1m", "\u{202e}"),
                r"gateway.toml:12: a\nb: x\r\u{1b}[1m; \u{202e}",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_quoted_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\"b\\c\n\u{2028}é"), "\"a\\\"b\\\\c\\n\\u{2028}é\"");
        assert_eq!(quoted(&"é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}…\"", "é".repeat(80)));
        assert_eq!(quoted(&"\n".repeat(5000)), format!("\"{}…\"", "\\n".repeat(40)));
    }
}
