//! Diagnostics of a configuration file.

use std::fmt;
use std::path::PathBuf;

/// Characters of a quoted text, at most.
const MAX_QUOTED: usize = 80;

/// Severity of a [`Diagnostic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Severity {
    /// The file cannot be served.
    Error,
    /// The file can be served, but something in it is dangerous or has no effect.
    Warning,
    /// For information.
    Note,
}

/// One finding: position, problem and remedy.
///
/// Displayed on one line:
/// `gateway.toml:12: routes[1].upstream: "htps://x" has an unknown scheme; write http:// or https://`.
/// Warnings and notes have their severity behind the line number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) file: PathBuf,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The dotted path of the key, such as `routes[1].client_certificate.issuer`; empty if the finding
    /// is not about a key. Routes are counted from 1: `routes[1]` is the first.
    pub(crate) key: String,
    pub(crate) problem: String,
    /// The remedy; may be empty.
    pub(crate) remedy: String,
}

impl Diagnostic {
    /// The same without the folder of the file, for logs.
    pub(crate) fn without_folder(&self) -> Self {
        let file = self.file.file_name().map_or_else(|| self.file.clone(), PathBuf::from);
        Self { file, ..self.clone() }
    }

    /// Whether the file cannot be served.
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

/// A text on one line, with control and invisible characters escaped.
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

/// Whether the character is a control character, changes the text direction or is invisible.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || character.is_control()
}

/// Returns the text in quotation marks, escaped and truncated.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    let mut room = MAX_QUOTED;
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
    fn diagnostic_is_one_line() {
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
    fn quoted_text_is_escaped_and_truncated() {
        assert_eq!(quoted("a\"b\\c\n\u{2028}é"), "\"a\\\"b\\\\c\\n\\u{2028}é\"");
        assert_eq!(quoted(&"é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}…\"", "é".repeat(80)));
        assert_eq!(quoted(&"\n".repeat(5000)), format!("\"{}…\"", "\\n".repeat(40)));
    }
}
