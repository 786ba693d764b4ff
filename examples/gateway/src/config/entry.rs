//! Single values of the file, and their conversions.

use std::fmt::Display;

use toml::de::DeValue;

use super::diagnostic::quoted;
use super::located::{FilePath, Located};
use super::report::Report;
use super::section::Section;

/// One value with its key and line.
#[derive(Debug)]
pub(crate) struct Entry<'t> {
    /// The line that it starts on.
    pub(crate) line: usize,
    /// Its dotted key.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: DeValue<'t>,
}

impl<'t> Entry<'t> {
    /// Converts the value to a table of known keys.
    pub(crate) fn into_section<'r>(
        self,
        report: &'r Report,
        known: &'static [&'static str],
    ) -> Option<Section<'r, 't>> {
        match self.value {
            DeValue::Table(entries) => Some(Section::new(report, self.key, self.line, known, entries)),
            _ => {
                self.mismatch(report, "a table", &format!("as {}", header(&self.key)));
                None
            }
        }
    }

    /// Converts the value to a non-empty string.
    pub(crate) fn into_string(self, report: &Report) -> Option<Located<String>> {
        let DeValue::String(text) = self.value else {
            self.mismatch(report, "a string", "in quotation marks");
            return None;
        };
        if text.trim().is_empty() {
            report.error(self.line, &self.key, "is empty", "fill it in, or remove it");
            return None;
        }
        Some(Located { value: text.into_owned(), line: self.line, key: self.key })
    }

    /// Reports a value of the wrong type. The value is not repeated, since it may be a secret.
    pub(crate) fn mismatch(&self, report: &Report, expected: &str, how: &str) {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        report.error(
            self.line,
            &self.key,
            format!("is {found}, not {expected}"),
            format!("write {expected} {how}"),
        );
    }
}

/// The header of the table with this dotted key, such as `[routes.upstream_tls]` for `routes[1].upstream_tls`.
fn header(key: &str) -> String {
    let name = header_name(key);
    if key.ends_with(']') { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// A dotted key without the indexes of lists.
pub(crate) fn header_name(key: &str) -> String {
    let without_index = |part: &str| match part.split_once(']') {
        Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => rest.to_owned(),
        _ => format!("[{part}"),
    };
    let mut parts = key.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &without_index(part))
}

/// Reports a key that this version does not support yet.
pub(crate) fn not_yet(report: &Report, line: usize, key: &str) {
    report.error(line, key, "is not supported by this version yet", "remove it");
}

/// Returns the option for this word.
pub(crate) fn choose<T: Copy>(
    report: &Report,
    text: Located<String>,
    options: &[(&str, T)],
) -> Option<Located<T>> {
    if let Some((_, option)) = options.iter().find(|(word, _)| *word == *text) {
        return Some(text.map(|_| *option));
    }
    let words: Vec<_> = options.iter().map(|(word, _)| quoted(word)).collect();
    let problem = format!("{} is not a known value", quoted(&text));
    report.error(text.line, &text.key, problem, format!("write {}", words.join(" or ")));
    None
}

/// Converts a text with `read`, and reports its error.
pub(crate) fn checked<T, E: Display>(
    report: &Report,
    text: Located<String>,
    remedy: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Option<Located<T>> {
    match read(&text) {
        Ok(value) => Some(text.map(|_| value)),
        Err(problem) => {
            report.error(text.line, &text.key, format!("{} {problem}", quoted(&text)), remedy);
            None
        }
    }
}

/// Resolves a file name against the folder of the configuration file.
pub(crate) fn file_path(report: &Report, text: Located<String>) -> Option<Located<FilePath>> {
    if text.contains("-----BEGIN") || text.len() > 4096 || text.contains(char::is_control) {
        report.error(
            text.line,
            &text.key,
            "is not a file name",
            "write the name of the file, not its contents",
        );
        return None;
    }
    let resolved = report.folder().join(&*text.value);
    Some(text.map(|written| FilePath { resolved, written }))
}
