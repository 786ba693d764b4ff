//! .NET's string methods. Lengths and positions are in UTF-16 code units.

use super::value::Fault;

/// A `StringComparison`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = ".NET's names")]
pub(crate) enum Case {
    /// Culture-dependent. Supported for printable ASCII only, where cultures agree with ordinal comparison, except
    /// for Turkish casing.
    Culture = 0,
    CultureIgnoreCase = 1,
    Ordinal = 4,
    OrdinalIgnoreCase = 5,
}

const CULTURE: Fault = Fault::CannotTell(
    "The comparison depends on a culture; use StringComparison.Ordinal or OrdinalIgnoreCase.",
);

impl Case {
    /// Returns the comparison with a code of .NET. The current and the invariant culture are not distinguished.
    pub(super) fn from_code(code: i32) -> Self {
        match code {
            4 => Self::Ordinal,
            5 => Self::OrdinalIgnoreCase,
            code if code % 2 == 1 => Self::CultureIgnoreCase,
            _ => Self::Culture,
        }
    }

    pub(super) fn is_insensitive(self) -> bool {
        matches!(self, Self::OrdinalIgnoreCase | Self::CultureIgnoreCase)
    }

    pub(super) fn is_culture(self) -> bool {
        matches!(self, Self::Culture | Self::CultureIgnoreCase)
    }

    /// Compares two strings, in upper case if case is ignored. Characters are mapped one to one.
    ///
    /// Rejects culture-dependent comparison outside of printable ASCII: cultures ignore or equate other characters.
    fn compare<T>(self, one: &str, other: &str, compare: fn(&str, &str) -> T) -> Result<T, Fault> {
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if self.is_culture() && !(is_plain(one) && is_plain(other)) {
            return Err(CULTURE);
        }
        Ok(if self.is_insensitive() {
            compare(&to_upper(one), &to_upper(other))
        } else {
            compare(one, other)
        })
    }

    pub(super) fn equal(self, one: &str, other: &str) -> Result<bool, Fault> {
        self.compare(one, other, |one, other| one == other)
    }

    pub(super) fn starts_with(self, text: &str, with: &str) -> Result<bool, Fault> {
        self.compare(text, with, |text, with| text.starts_with(with))
    }

    pub(super) fn ends_with(self, text: &str, with: &str) -> Result<bool, Fault> {
        self.compare(text, with, |text, with| text.ends_with(with))
    }

    /// Returns the position of the first occurrence of `wanted`.
    pub(super) fn find(self, text: &str, wanted: &str) -> Result<Option<usize>, Fault> {
        self.compare(text, wanted, |text, wanted| text.find(wanted).map(|byte| position(text, byte)))
    }
}

/// Returns a character in the other case, if that is one character. A non-ASCII letter never maps to ASCII: the Turkish
/// dotless i is not I.
fn only(character: char, mut forms: impl Iterator<Item = char>) -> char {
    match (forms.next(), forms.next()) {
        (Some(only), None) if only.is_ascii() == character.is_ascii() => only,
        _ => character,
    }
}

pub(super) fn to_upper(text: &str) -> String {
    text.chars().map(|character| only(character, character.to_uppercase())).collect()
}

pub(super) fn to_lower(text: &str) -> String {
    text.chars().map(|character| only(character, character.to_lowercase())).collect()
}

/// `Length`.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// Returns the UTF-16 position of a byte offset.
pub(super) fn position(text: &str, byte: usize) -> usize {
    length(text.get(..byte).unwrap_or(text))
}

/// `Substring(start)` and `Substring(start, count)`.
pub(super) fn substring(text: &str, start: i32, count: Option<i32>) -> Result<&str, Fault> {
    const RANGE: Fault = Fault::NotFound("Index and length must refer to a location within the string.");
    let rest = &text[byte_of(text, start).ok_or(RANGE)?..];
    Ok(match count {
        Some(count) => &rest[..byte_of(rest, count).ok_or(RANGE)?],
        None => rest,
    })
}

/// Returns the byte offset of a UTF-16 position; None outside of the text or within a character.
fn byte_of(text: &str, position: i32) -> Option<usize> {
    let position = usize::try_from(position).ok()?;
    if text.is_ascii() {
        return (position <= text.len()).then_some(position);
    }
    let mut units = 0;
    for (byte, character) in text.char_indices() {
        if units == position {
            return Some(byte);
        }
        units += character.len_utf16();
    }
    (units == position).then_some(text.len())
}

/// Returns the character at a UTF-16 position.
pub(super) fn char_at(text: &str, position: i32) -> Option<char> {
    text[byte_of(text, position)?..].chars().next().filter(|character| character.len_utf16() == 1)
}
