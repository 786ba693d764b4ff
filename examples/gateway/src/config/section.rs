//! Typed access to the keys of one table. Keys that were not taken are reported as unknown at the end.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::quoted;
use super::entry::{Entry, choose, file_path};
use super::located::{FilePath, Located};
use super::names;
use super::report::Report;

/// One table of the file. Methods that take a value check its type, and report a mismatch.
#[derive(Debug)]
pub(crate) struct Section<'r, 't> {
    pub(crate) report: &'r Report,
    /// The dotted key of the table; empty at the top.
    pub(crate) key: String,
    /// The line of its header.
    pub(crate) line: usize,
    known: &'static [&'static str],
    /// Entries that were not taken yet.
    entries: DeTable<'t>,
}

/// Former names of keys, and the current ones.
const RENAMED: [(&str, &str); 1] = [("max_back_end_connections", "max_upstream_connections")];

/// Names that other programs use, and the keys with that meaning.
const ALIASES: [(&str, &str); 25] = [
    ("cn", "common_name"),
    ("ou", "organizational_unit"),
    ("o", "organization"),
    ("san", "dns_name"),
    ("dns", "dns_name"),
    ("ip", "ip_address"),
    ("email_address", "email"),
    ("serial_number", "serial"),
    ("eku", "extended_key_usage"),
    ("fingerprint", "thumbprint"),
    ("issuer_fingerprint", "issuer_thumbprint"),
    ("spki", "spki_pin"),
    ("spki_sha256", "spki_pin"),
    ("pin", "spki_pin"),
    ("trust_domain", "spiffe_trust_domain"),
    ("any", "any_of"),
    ("max_connections_per_ip", "max_connections_per_address"),
    ("max_handshakes_per_ip", "max_handshakes_per_address"),
    ("max_uri_size", "max_target_size"),
    ("max_url_size", "max_target_size"),
    ("max_path_size", "max_target_size"),
    ("max_headers", "max_header_fields"),
    ("client_max_body_size", "max_body_size"),
    ("keepalive_timeout", "idle_timeout"),
    ("send_timeout", "body_timeout"),
];

fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, key)| *key)
}

impl<'r, 't> Section<'r, 't> {
    /// The table of the whole file.
    pub(crate) fn top(report: &'r Report, known: &'static [&'static str], entries: DeTable<'t>) -> Self {
        Self::new(report, String::new(), 1, known, entries)
    }

    /// A table with its key and line.
    pub(crate) fn new(
        report: &'r Report,
        key: String,
        line: usize,
        known: &'static [&'static str],
        entries: DeTable<'t>,
    ) -> Self {
        Self { report, key, line, known, entries }
    }

    /// Converts a value to a table of known keys.
    pub(crate) fn of(entry: Entry<'t>, report: &'r Report, known: &'static [&'static str]) -> Option<Self> {
        match entry.value {
            DeValue::Table(entries) => Some(Self::new(report, entry.key, entry.line, known, entries)),
            _ => {
                entry.mismatch(report, "a table", &format!("as {}", header(&entry.key)));
                None
            }
        }
    }

    /// The dotted key of an entry of this table.
    pub(crate) fn key_of(&self, name: &str) -> String {
        let name = if names::is_name(name) { name.to_owned() } else { quoted(name) };
        if self.key.is_empty() { name } else { format!("{}.{name}", self.key) }
    }

    /// Whether this key is allowed.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.known.contains(&name)
    }

    /// Whether the key is `false`.
    pub(crate) fn is_false(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|value| value.get_ref().as_bool() == Some(false))
    }

    /// Whether no entry is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The name of the table as in its header, without indexes.
    pub(crate) fn header_name(&self) -> String {
        header_name(&self.key)
    }

    /// Whether the table contains this key, and it was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether the table contains this key, or a misspelling of it. A misspelt key is reported by [`finish`], and is
    /// not missing as well.
    ///
    /// [`finish`]: Self::finish
    pub(crate) fn has_similar(&self, name: &str) -> bool {
        let is_meant = |key: &str| !self.known.contains(&key) && self.intended(key) == Some(name);
        self.has(name) || self.entries.keys().any(|key| is_meant(key.get_ref()))
    }

    /// The line of this key, or else that of the table.
    pub(crate) fn line_of(&self, name: &str) -> usize {
        self.entries.get(name).map_or(self.line, |value| self.report.line(value.span()))
    }

    /// Takes the value of this key, of any type.
    pub(crate) fn take(&mut self, name: &str) -> Option<Entry<'t>> {
        debug_assert!(self.known.contains(&name), "{name} is not in the list of known keys");
        let value = self.entries.remove(name)?;
        Some(self.entry(self.key_of(name), value))
    }

    /// Takes all remaining entries, of a table whose keys are names.
    pub(crate) fn take_all(&mut self) -> Vec<(String, Entry<'t>)> {
        let entries = std::mem::take(&mut self.entries);
        let named = entries.into_iter().map(|(name, value)| {
            let name = name.into_inner().into_owned();
            (name.clone(), self.entry(self.key_of(&name), value))
        });
        named.collect()
    }

    /// A value with its key and line.
    fn entry(&self, key: String, value: Spanned<DeValue<'t>>) -> Entry<'t> {
        Entry { line: self.report.line(value.span()), key, value: value.into_inner() }
    }

    /// Takes a table of known keys.
    pub(crate) fn section(&mut self, name: &str, known: &'static [&'static str]) -> Option<Self> {
        let entry = self.take(name)?;
        Self::of(entry, self.report, known)
    }

    /// Takes and reads a table of known keys, with its key and line.
    pub(crate) fn nested<T>(
        &mut self,
        name: &str,
        known: &'static [&'static str],
        read: impl FnOnce(Self) -> Option<T>,
    ) -> Option<Located<T>> {
        let inner = self.section(name, known)?;
        let (line, key) = (inner.line, inner.key.clone());
        read(inner).map(|value| Located { value, line, key })
    }

    /// Takes a non-empty string.
    pub(crate) fn string(&mut self, name: &str) -> Option<Located<String>> {
        let entry = self.take(name)?;
        entry.into_string(self.report)
    }

    /// Whether the value of this key is a string.
    pub(crate) fn is_string(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|value| value.get_ref().as_str().is_some())
    }

    /// Takes the key if its value is this word. Returns true if it is.
    pub(crate) fn take_word(&mut self, name: &str, word: &str) -> bool {
        let is_word = |value: &Spanned<DeValue<'_>>| value.get_ref().as_str() == Some(word);
        self.entries.get(name).is_some_and(is_word) && self.entries.remove(name).is_some()
    }

    /// Takes a required string; `example` is a possible value.
    pub(crate) fn required(&mut self, name: &str, example: &str) -> Option<Located<String>> {
        if !self.has_similar(name) {
            let remedy = format!("add {name} = {}", quoted(example));
            self.report.missing(self.line, &self.key_of(name), "is missing", remedy);
        }
        self.string(name)
    }

    pub(crate) fn file(&mut self, name: &str) -> Option<Located<FilePath>> {
        let text = self.string(name)?;
        file_path(self.report, text)
    }

    /// Takes a list of strings, or a single one; empty if the key is missing.
    pub(crate) fn strings(&mut self, name: &str) -> Vec<Located<String>> {
        let Some(entry) = self.take(name) else {
            return Vec::new();
        };
        let DeValue::Array(items) = entry.value else {
            return entry.into_string(self.report).into_iter().collect();
        };
        if items.is_empty() {
            self.report.error(entry.line, &entry.key, "is an empty list", "name at least one, or remove it");
        }
        let texts = items.into_iter().map(|item| self.entry(entry.key.clone(), item));
        texts.filter_map(|item| item.into_string(self.report)).collect()
    }

    /// Takes a list of file names, or a single one.
    pub(crate) fn files(&mut self, name: &str) -> Vec<Located<FilePath>> {
        let texts = self.strings(name);
        texts.into_iter().filter_map(|text| file_path(self.report, text)).collect()
    }

    /// Takes `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str, default: bool) -> bool {
        let Some(entry) = self.take(name) else {
            return default;
        };
        match entry.value {
            DeValue::Boolean(value) => value,
            _ => {
                entry.mismatch(self.report, "true or false", "without quotation marks");
                default
            }
        }
    }

    /// Takes an integer within these bounds, both included.
    pub(crate) fn integer(&mut self, name: &str, least: usize, most: usize) -> Option<usize> {
        let entry = self.take(name)?;
        let remedy = || format!("write a number from {least} to {most}");
        let (written, value) = match &entry.value {
            DeValue::Integer(number) => {
                (number.as_str(), usize::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Float(number) => {
                let problem = format!("{} is not a whole number", quoted(number.as_str()));
                self.report.error(entry.line, &entry.key, problem, remedy());
                return None;
            }
            _ => {
                let how = format!("from {least} to {most}, without quotation marks");
                entry.mismatch(self.report, "a number", &how);
                return None;
            }
        };
        let value = value.filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let problem = format!("{} is out of range", quoted(written));
            self.report.error(entry.line, &entry.key, problem, remedy());
        }
        value
    }

    /// Takes an integer within these bounds, or `"off"` for no limit.
    pub(crate) fn integer_or_off(&mut self, name: &str, least: usize, most: usize) -> Option<usize> {
        if self.take_word(name, "off") { None } else { self.integer(name, least, most) }
    }

    /// Takes one of several words.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, options: &[(&str, T)]) -> Option<Located<T>> {
        let text = self.string(name)?;
        choose(self.report, text, options)
    }

    /// Reports all entries that were not taken as unknown.
    pub(crate) fn finish(self) {
        for (name, value) in &self.entries {
            let name = name.get_ref().as_ref();
            let line = self.report.line(value.span());
            self.report.error(line, &self.key_of(name), "is not a known key", self.advice(name));
        }
    }

    /// The known key that this unknown one most likely means.
    fn intended(&self, name: &str) -> Option<&'static str> {
        let alias = alias(name).filter(|intended| self.known.contains(intended));
        alias.or_else(|| names::nearest(name, self.known.iter().copied()))
    }

    /// Remedy for an unknown key.
    fn advice(&self, name: &str) -> String {
        if let Some((_, new)) = RENAMED.iter().find(|(old, new)| *old == name && self.known.contains(new)) {
            return format!("use {new}");
        }
        let lower = name.to_ascii_lowercase();
        if ["password", "passphrase", "secret", "token"].iter().any(|word| lower.contains(word)) {
            let file = if lower.contains("token") { "token_file" } else { "password_file" };
            return if self.known.contains(&file) {
                format!("secrets are read from files: write {file} = \"FILE\"")
            } else {
                "secrets are read from files of their own; remove it".to_owned()
            };
        }
        if let Some(intended) = alias(name).filter(|intended| self.known.contains(intended)) {
            return format!("did you mean {intended}?");
        }
        let sections = self.report.sections_with(name);
        if !sections.is_empty() {
            return format!(
                "it belongs to {}; in TOML a key belongs to the last [header] above it",
                sections.join(" or ")
            );
        }
        match names::nearest(name, self.known.iter().copied()) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("known keys: {}", self.known.join(", ")),
        }
    }
}

/// The header of the table with this dotted key, such as `[routes.upstream_tls]` for `routes[1].upstream_tls`.
fn header(key: &str) -> String {
    let name = header_name(key);
    if key.ends_with(']') { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// A dotted key without the indexes of lists.
fn header_name(key: &str) -> String {
    let without_index = |part: &str| match part.split_once(']') {
        Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => rest.to_owned(),
        _ => format!("[{part}"),
    };
    let mut parts = key.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &without_index(part))
}
