//! .NET's string methods. Lengths and positions are in UTF-16 code units.

use std::borrow::Cow;

use super::value::Fault;

/// A `StringComparison`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = ".NET's names")]
pub(crate) enum Case {
    Ordinal,
    OrdinalIgnoreCase,
    /// Culture-dependent. Supported for printable ASCII only, where cultures agree with ordinal comparison, except
    /// for Turkish casing.
    Culture,
    CultureIgnoreCase,
}

const CULTURE: Fault = Fault::CannotTell(
    "The comparison depends on a culture; use StringComparison.Ordinal or OrdinalIgnoreCase.",
);

impl Case {
    fn is_insensitive(self) -> bool {
        matches!(self, Self::OrdinalIgnoreCase | Self::CultureIgnoreCase)
    }

    /// Rejects culture-dependent comparison outside of printable ASCII: cultures ignore or equate other characters.
    fn check(self, one: &str, other: &str) -> Result<(), Fault> {
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let is_culture = matches!(self, Self::Culture | Self::CultureIgnoreCase);
        if is_culture && !(is_plain(one) && is_plain(other)) { Err(CULTURE) } else { Ok(()) }
    }

    pub(super) fn equal(self, one: &str, other: &str) -> Result<bool, Fault> {
        self.check(one, other)?;
        Ok(if self.is_insensitive() { eq_ignore_case(one, other) } else { one == other })
    }

    pub(super) fn starts_with(self, text: &str, with: &str) -> Result<bool, Fault> {
        self.check(text, with)?;
        Ok(self.prefix(text, with).is_some())
    }

    pub(super) fn ends_with(self, text: &str, with: &str) -> Result<bool, Fault> {
        self.check(text, with)?;
        let count = with.chars().count();
        let start = text.char_indices().rev().map(|(start, _)| start).nth(count.wrapping_sub(1));
        let end = if count == 0 { Some(text.len()) } else { start };
        Ok(end.is_some_and(|start| self.matches(&text[start..], with)))
    }

    /// Byte offset of the first occurrence of `wanted`.
    pub(super) fn find(self, text: &str, wanted: &str) -> Result<Option<usize>, Fault> {
        self.check(text, wanted)?;
        if !self.is_insensitive() {
            return Ok(text.find(wanted));
        }
        let starts = text.char_indices().map(|(start, _)| start).chain([text.len()]);
        for start in starts {
            if self.prefix(&text[start..], wanted).is_some() {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }

    fn matches(self, one: &str, other: &str) -> bool {
        if self.is_insensitive() { eq_ignore_case(one, other) } else { one == other }
    }

    fn prefix<'a>(self, text: &'a str, with: &str) -> Option<&'a str> {
        if !self.is_insensitive() {
            return text.strip_prefix(with);
        }
        let mut rest = text.chars();
        for wanted in with.chars() {
            if upper(rest.next()?) != upper(wanted) {
                return None;
            }
        }
        Some(rest.as_str())
    }
}

fn eq_ignore_case(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().map(upper).eq(other.chars().map(upper))
}

/// Upper case, if it is one character. A non-ASCII letter never maps to ASCII: the Turkish dotless i is not I.
fn upper(character: char) -> char {
    one_to_one(
        character,
        |character| character.to_ascii_uppercase(),
        |character| {
            let mut forms = character.to_uppercase();
            (forms.next(), forms.next())
        },
    )
}

fn lower(character: char) -> char {
    one_to_one(
        character,
        |character| character.to_ascii_lowercase(),
        |character| {
            let mut forms = character.to_lowercase();
            (forms.next(), forms.next())
        },
    )
}

fn one_to_one(
    character: char,
    ascii: impl Fn(char) -> char,
    forms: impl Fn(char) -> (Option<char>, Option<char>),
) -> char {
    if character.is_ascii() {
        return ascii(character);
    }
    match forms(character) {
        (Some(only), None) if !only.is_ascii() => only,
        _ => character,
    }
}

pub(super) fn to_upper(text: &str) -> String {
    text.chars().map(upper).collect()
}

pub(super) fn to_lower(text: &str) -> String {
    text.chars().map(lower).collect()
}

/// `Length`.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// UTF-16 position of a byte offset.
pub(super) fn position(text: &str, byte: usize) -> usize {
    length(text.get(..byte).unwrap_or(text))
}

/// `Substring(start)` and `Substring(start, count)`.
pub(super) fn substring(text: &str, start: i32, count: Option<i32>) -> Result<&str, Fault> {
    const RANGE: Fault = Fault::NotFound("Index and length must refer to a location within the string.");
    let from = byte_of(text, usize::try_from(start).map_err(|_| RANGE)?).ok_or(RANGE)?;
    let rest = &text[from..];
    match count {
        None => Ok(rest),
        Some(count) => {
            let end = byte_of(rest, usize::try_from(count).map_err(|_| RANGE)?).ok_or(RANGE)?;
            Ok(&rest[..end])
        }
    }
}

/// Byte offset of a UTF-16 position; None beyond the end or within a character.
fn byte_of(text: &str, position: usize) -> Option<usize> {
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

/// The character at a UTF-16 position.
pub(super) fn char_at(text: &str, position: i32) -> Option<char> {
    let at = byte_of(text, usize::try_from(position).ok()?)?;
    text[at..].chars().next().filter(|character| character.len_utf16() == 1)
}

/// `Trim`, `TrimStart` and `TrimEnd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Both,
    Start,
    End,
}

pub(super) fn trim(text: &str, side: Side, is_trimmed: impl Fn(char) -> bool) -> &str {
    let text = if side == Side::End { text } else { text.trim_start_matches(&is_trimmed) };
    if side == Side::Start { text } else { text.trim_end_matches(&is_trimmed) }
}

/// `Split`, with or without empty entries.
pub(super) fn split<'a>(
    text: Cow<'a, str>,
    by: impl Fn(char) -> bool,
    keep_empty: bool,
) -> Vec<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => {
            text.split(by).filter(|part| keep_empty || !part.is_empty()).map(Cow::Borrowed).collect()
        }
        Cow::Owned(text) => text
            .split(by)
            .filter(|part| keep_empty || !part.is_empty())
            .map(|part| Cow::Owned(part.to_owned()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_ascii_letters_never_equal_ascii_letters() {
        for (one, other, expected) in [
            ("CN=Orders", "cn=ORDERS", true),
            ("MÜLLER", "müller", true),
            ("ı", "I", false),
            ("\u{17f}", "S", false),
            ("\u{212a}", "K", false),
            ("ß", "SS", false),
        ] {
            assert_eq!(Case::OrdinalIgnoreCase.equal(one, other), Ok(expected), "{one} {other}");
        }
        assert!(Case::CultureIgnoreCase.equal("a\u{200b}", "a").is_err(), "cultures ignore this character");
        assert_eq!(Case::CultureIgnoreCase.equal("Co-op", "co-OP"), Ok(true));
    }

    #[test]
    fn positions_count_utf_16_units() {
        let text = "a\u{1f600}b";
        assert_eq!(length(text), 4);
        assert_eq!(substring(text, 3, None), Ok("b"));
        assert!(substring(text, 2, None).is_err(), "half a character");
        assert!(substring(text, 5, None).is_err());
        assert!(substring("abc", 1, Some(3)).is_err());
        assert_eq!(substring("abc", 3, None), Ok(""));
        assert_eq!(char_at(text, 1), None);
        assert_eq!(char_at(text, 3), Some('b'));
    }

    #[test]
    fn prefixes_and_suffixes_compare_case_insensitively() {
        for (text, with, starts, ends) in [
            ("CN=a", "cn=", true, false),
            ("CN=a", "A", false, true),
            ("x", "", true, true),
            ("", "x", false, false),
        ] {
            assert_eq!(Case::OrdinalIgnoreCase.starts_with(text, with), Ok(starts), "{text} {with}");
            assert_eq!(Case::OrdinalIgnoreCase.ends_with(text, with), Ok(ends), "{text} {with}");
        }
        assert_eq!(Case::OrdinalIgnoreCase.find("CN=Orders", "orders"), Ok(Some(3)));
    }
}
