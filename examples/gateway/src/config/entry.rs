//! Single values of the file, and their conversions.

use std::fmt::Display;

use toml::de::DeValue;

use super::diagnostic::quoted;
use super::located::{FilePath, Located};
use super::report::Report;

/// One value with its key and line.
#[derive(Debug)]
pub(crate) struct Entry<'t> {
    /// The line that it starts on.
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: DeValue<'t>,
}

impl Entry<'_> {
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
