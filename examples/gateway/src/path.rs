//! The one spelling of a request path that routing, rules and the upstream all see.
//!
//! A path is refused if two readers could understand it differently: dot segments (plain, encoded, or with
//! path parameters behind them), a backslash, an encoded slash, backslash or NUL, a malformed escape, overlong
//! UTF-8, control characters and bytes beyond ASCII. What is left is brought into one form:
//!
//! 1. an encoded unreserved character (RFC 3986, section 2.3) is decoded, once: `%6F` becomes `o`;
//! 2. every other escape stays an escape, its digits in upper case: `%c3` becomes `%C3`.
//!
//! No output can be decoded a second time: a `%` in it is always followed by the two digits of an escape that
//! stood in the input, and `%25` is never decoded.

use std::borrow::Cow;
use std::fmt;

/// A path in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Normalised<'a> {
    /// The path; borrowed if it arrived in this form already.
    pub(crate) path: Cow<'a, str>,
    /// Whether a segment other than the last is empty, as in `/a//b` (also `/a/;x/b`, which an upstream that
    /// drops path parameters reads in the same way).
    pub(crate) has_empty_segments: bool,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathError {
    /// It does not start with `/`.
    NotAbsolute,
    /// A segment is `.` or `..`, plain or encoded, with or without path parameters.
    DotSegment,
    /// A backslash, plain or encoded.
    Backslash,
    /// An encoded slash.
    EncodedSlash,
    /// An encoded NUL.
    Nul,
    /// A `%` that two hexadecimal digits do not follow.
    MalformedEscape,
    /// An overlong UTF-8 sequence, which careless readers take for an ASCII character.
    Overlong,
    /// A space or control character.
    Control,
    /// A byte beyond ASCII that is not encoded.
    NotAscii,
    /// A `?` or `#`, which end a path.
    Delimiter,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "does not start with /",
            Self::DotSegment => "has a dot segment",
            Self::Backslash => "has a backslash",
            Self::EncodedSlash => "has an encoded slash",
            Self::Nul => "has an encoded NUL",
            Self::MalformedEscape => "has a % without two hexadecimal digits",
            Self::Overlong => "has an overlong UTF-8 sequence",
            Self::Control => "has a space or control character",
            Self::NotAscii => "has a character beyond ASCII that is not percent-encoded",
            Self::Delimiter => "has a query or fragment",
        })
    }
}

impl std::error::Error for PathError {}

/// Brings `raw`, a path as it was received, into its one spelling.
///
/// # Errors
/// One of [`PathError`], for the first offence from the left.
pub(crate) fn normalise(raw: &str) -> Result<Normalised<'_>, PathError> {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    let mut output = Output::new(raw);
    let mut segment = Segment::default();
    let mut has_empty_segments = false;
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'/' => {
                has_empty_segments |= segment.close()?;
                output.keep(at);
                at += 1;
            }
            b'%' => {
                let value = escape(bytes, at)?;
                if is_overlong(bytes.get(at + 3..).unwrap_or_default(), value) {
                    return Err(PathError::Overlong);
                }
                segment.push(value);
                output.escape(at, value);
                at += 3;
            }
            _ => {
                check(byte)?;
                segment.push(byte);
                output.keep(at);
                at += 1;
            }
        }
    }
    segment.close()?;
    Ok(Normalised { path: output.finish(), has_empty_segments })
}

/// Refuses a plain byte that may not stand in a path.
fn check(byte: u8) -> Result<(), PathError> {
    match byte {
        b'\\' => Err(PathError::Backslash),
        b'?' | b'#' => Err(PathError::Delimiter),
        0..=b' ' | 0x7f => Err(PathError::Control),
        0x80.. => Err(PathError::NotAscii),
        _ => Ok(()),
    }
}

/// The value of the escape that starts at `at`, unless no path may carry it.
fn escape(bytes: &[u8], at: usize) -> Result<u8, PathError> {
    let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
    let (Some(high), Some(low)) = (digit(1), digit(2)) else {
        return Err(PathError::MalformedEscape);
    };
    match u8::try_from(high * 16 + low) {
        Ok(0) => Err(PathError::Nul),
        Ok(b'/') => Err(PathError::EncodedSlash),
        Ok(b'\\') => Err(PathError::Backslash),
        Ok(value) => Ok(value),
        Err(_) => Err(PathError::MalformedEscape),
    }
}

/// Whether `value` and the escape that follows begin a UTF-8 sequence that is longer than its character needs.
fn is_overlong(rest: &[u8], value: u8) -> bool {
    let next = if rest.first() == Some(&b'%') { escape(rest, 0).ok() } else { None };
    match value {
        0xc0 | 0xc1 | 0xf8.. => true,
        0xe0 => next.is_some_and(|next| (0x80..0xa0).contains(&next)),
        0xf0 => next.is_some_and(|next| (0x80..0x90).contains(&next)),
        _ => false,
    }
}

/// Whether RFC 3986 calls this byte unreserved: encoded or not, it means the same.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What one segment is made of, up to its first `;`.
#[derive(Default)]
struct Segment {
    dots: usize,
    has_others: bool,
    in_parameters: bool,
}

impl Segment {
    /// Takes the next byte, decoded.
    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.in_parameters => {}
            b';' => self.in_parameters = true,
            b'.' => self.dots += 1,
            _ => self.has_others = true,
        }
    }

    /// Ends the segment and starts the next; says whether it was empty.
    fn close(&mut self) -> Result<bool, PathError> {
        let Self { dots, has_others, .. } = std::mem::take(self);
        match dots {
            1 | 2 if !has_others => Err(PathError::DotSegment),
            _ => Ok(dots == 0 && !has_others),
        }
    }
}

/// The output, which is the input itself until the first difference.
struct Output<'a> {
    raw: &'a str,
    changed: Option<String>,
}

impl<'a> Output<'a> {
    /// Nothing taken over yet.
    fn new(raw: &'a str) -> Self {
        Self { raw, changed: None }
    }

    /// Takes over the ASCII byte at `at`.
    fn keep(&mut self, at: usize) {
        if let (Some(changed), Some(&byte)) = (&mut self.changed, self.raw.as_bytes().get(at)) {
            changed.push(char::from(byte));
        }
    }

    /// Takes over the escape at `at`, decoded if `value` is unreserved.
    fn escape(&mut self, at: usize, value: u8) {
        let written = self.raw.get(at..at + 3).unwrap_or_default();
        let decode = is_unreserved(value);
        if self.changed.is_none() && (decode || written.bytes().any(|byte| byte.is_ascii_lowercase())) {
            self.changed = Some(self.raw.get(..at).unwrap_or_default().to_owned());
        }
        match &mut self.changed {
            Some(changed) if decode => changed.push(char::from(value)),
            Some(changed) => changed.extend(written.chars().map(|digit| digit.to_ascii_uppercase())),
            None => {}
        }
    }

    /// The whole output.
    fn finish(self) -> Cow<'a, str> {
        self.changed.map_or(Cow::Borrowed(self.raw), Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path with its flag for empty segments, or the refusal.
    type Reading = Result<(&'static str, bool), PathError>;

    const SPELLINGS: &[(&str, Reading)] = &[
        ("/", Ok(("/", false))),
        ("/orders", Ok(("/orders", false))),
        ("/orders/", Ok(("/orders/", false))),
        ("/orders/42;v=1/x", Ok(("/orders/42;v=1/x", false))),
        ("/%6frders", Ok(("/orders", false))),
        ("/%6Frders/%7Ea%2db%5fc", Ok(("/orders/~a-b_c", false))),
        ("/a%2eb", Ok(("/a.b", false))),
        ("/a..b/.c/d.", Ok(("/a..b/.c/d.", false))),
        ("/...", Ok(("/...", false))),
        ("/.../x", Ok(("/.../x", false))),
        ("/%2e%2e%2e", Ok(("/...", false))),
        ("/%252e%252e/x", Ok(("/%252e%252e/x", false))),
        ("/%25%32%65/x", Ok(("/%252e/x", false))),
        ("/%252f", Ok(("/%252f", false))),
        ("/%c3%a9", Ok(("/%C3%A9", false))),
        ("/%C3%A9", Ok(("/%C3%A9", false))),
        ("/a%20b", Ok(("/a%20b", false))),
        ("/a%3fb%23c", Ok(("/a%3Fb%23c", false))),
        ("/a:b@c!$&'()*+,=", Ok(("/a:b@c!$&'()*+,=", false))),
        ("/a%0ab", Ok(("/a%0Ab", false))),
        ("//", Ok(("//", true))),
        ("//a", Ok(("//a", true))),
        ("/a//b", Ok(("/a//b", true))),
        ("/a//", Ok(("/a//", true))),
        ("/a/;x/b", Ok(("/a/;x/b", true))),
        ("/a/;x", Ok(("/a/;x", false))),
        ("", Err(PathError::NotAbsolute)),
        ("*", Err(PathError::NotAbsolute)),
        ("orders", Err(PathError::NotAbsolute)),
        ("%2forders", Err(PathError::NotAbsolute)),
        ("http://host/", Err(PathError::NotAbsolute)),
        ("/.", Err(PathError::DotSegment)),
        ("/..", Err(PathError::DotSegment)),
        ("/./a", Err(PathError::DotSegment)),
        ("/a/../b", Err(PathError::DotSegment)),
        ("/a/..", Err(PathError::DotSegment)),
        ("/%2e/a", Err(PathError::DotSegment)),
        ("/%2E%2E/a", Err(PathError::DotSegment)),
        ("/a/%2e.", Err(PathError::DotSegment)),
        ("/a/.%2E/", Err(PathError::DotSegment)),
        ("/..;/x", Err(PathError::DotSegment)),
        ("/.;a=b/", Err(PathError::DotSegment)),
        ("/%2e%2e;a", Err(PathError::DotSegment)),
        ("/..%3b/x", Err(PathError::DotSegment)),
        ("/a\\b", Err(PathError::Backslash)),
        ("/a%5cb", Err(PathError::Backslash)),
        ("/..%5Cb", Err(PathError::Backslash)),
        ("/a%2fb", Err(PathError::EncodedSlash)),
        ("/..%2Fb", Err(PathError::EncodedSlash)),
        ("/a%00", Err(PathError::Nul)),
        ("/%", Err(PathError::MalformedEscape)),
        ("/a%4", Err(PathError::MalformedEscape)),
        ("/%zz", Err(PathError::MalformedEscape)),
        ("/%%32%65", Err(PathError::MalformedEscape)),
        ("/%+1", Err(PathError::MalformedEscape)),
        ("/%u002e", Err(PathError::MalformedEscape)),
        ("/%é", Err(PathError::MalformedEscape)),
        ("/a\tb", Err(PathError::Control)),
        ("/a b", Err(PathError::Control)),
        ("/a\u{7f}", Err(PathError::Control)),
        ("/a\0", Err(PathError::Control)),
        ("/é", Err(PathError::NotAscii)),
        ("/\u{ff0e}\u{ff0e}/", Err(PathError::NotAscii)),
        ("/a?b", Err(PathError::Delimiter)),
        ("/a#b", Err(PathError::Delimiter)),
    ];

    #[test]
    fn each_spelling_has_one_reading() {
        for (raw, expected) in SPELLINGS {
            let found = normalise(raw);
            let found = found.as_ref().map(|found| (&*found.path, found.has_empty_segments)).map_err(|e| *e);
            assert_eq!(found, *expected, "{raw:?}");
        }
    }

    #[test]
    fn what_is_normal_is_borrowed_and_stays() {
        for (raw, _) in SPELLINGS {
            let Ok(first) = normalise(raw) else { continue };
            let second = normalise(&first.path).unwrap();
            assert_eq!(second.path, first.path, "{raw:?}");
            assert!(matches!(second.path, Cow::Borrowed(_)), "{raw:?}");
        }
    }

    #[test]
    fn every_escaped_byte_is_decoded_kept_or_refused() {
        for byte in 0..=255_u8 {
            for raw in [format!("/a%{byte:02x}b"), format!("/a%{byte:02X}b")] {
                match normalise(&raw) {
                    Ok(found) if is_unreserved(byte) => {
                        assert_eq!(found.path, format!("/a{}b", char::from(byte)), "{raw}");
                    }
                    Ok(found) => assert_eq!(found.path, format!("/a%{byte:02X}b"), "{raw}"),
                    Err(_) => assert!(matches!(byte, 0 | b'/' | b'\\' | 0xc0 | 0xc1 | 0xf8..), "{raw}"),
                }
            }
        }
    }

    #[test]
    fn every_plain_byte_of_ascii_is_kept_or_refused() {
        for byte in 0..128_u8 {
            let raw = format!("/a{}", char::from(byte));
            let refused = matches!(byte, 0..=b' ' | b'\\' | b'?' | b'#' | b'%' | 0x7f);
            assert_eq!(normalise(&raw).is_err(), refused, "{raw:?}");
        }
    }

    #[test]
    fn overlong_utf_8_is_refused_and_other_utf_8_is_kept() {
        for (path, expected) in [
            ("/%c0%ae%c0%ae/orders", Err(PathError::Overlong)),
            ("/%c1%9c", Err(PathError::Overlong)),
            ("/%e0%80%ae", Err(PathError::Overlong)),
            ("/%F0%80%80%AE", Err(PathError::Overlong)),
            ("/%F8%80%80%80%AF", Err(PathError::Overlong)),
            ("/%C3%A4", Ok("/%C3%A4")),
            ("/%E0%A4%85", Ok("/%E0%A4%85")),
            ("/%F0%9F%A6%80", Ok("/%F0%9F%A6%80")),
            ("/%E4", Ok("/%E4")),
        ] {
            let found = normalise(path).map(|found| found.path.into_owned());
            assert_eq!(found.as_deref().map_err(|error| *error), expected, "{path}");
        }
    }
}
