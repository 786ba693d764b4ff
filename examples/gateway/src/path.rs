//! Normalisation of request paths, so that routing, rules and upstream use the same path.
//!
//! A path is rejected if two parsers could interpret it differently: dot segments (plain, encoded, or followed by path
//! parameters), a backslash, an encoded slash, backslash or NUL, a malformed escape, overlong UTF-8, control characters
//! and bytes outside ASCII. Other paths are normalised:
//!
//! 1. an encoded unreserved character (RFC 3986, section 2.3) is decoded, once: `%6F` becomes `o`;
//! 2. every other escape stays an escape, its digits in upper case: `%c3` becomes `%C3`.
//!
//! The result does not change when it is normalised again: `%25` is never decoded, so each `%` begins an escape of the
//! input.

use std::borrow::Cow;
use std::fmt;

/// A normalised path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Normalised<'a> {
    /// The path; borrowed if it was normal already.
    pub(crate) path: Cow<'a, str>,
    /// True if a segment other than the last is empty, as in `/a//b` (also `/a/;x/b`, which is equal for an upstream
    /// that ignores path parameters).
    pub(crate) has_empty_segments: bool,
}

/// Reason for which a path is rejected.
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
    /// A `%` without two hexadecimal digits.
    MalformedEscape,
    /// An overlong UTF-8 sequence, which some parsers decode to an ASCII character.
    Overlong,
    /// A space or control character.
    Control,
    /// A byte outside ASCII that is not encoded.
    NotAscii,
    /// A `?` or `#`.
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
            Self::NotAscii => "has a character outside ASCII that is not percent-encoded",
            Self::Delimiter => "has a query or fragment",
        })
    }
}

impl std::error::Error for PathError {}

/// Normalises a path.
///
/// # Errors
/// The reason for the leftmost violation.
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
                output.copy(at);
                at += 1;
            }
            b'%' => {
                let value = escape(bytes, at)?;
                if is_overlong(bytes.get(at + 3..).unwrap_or_default(), value) {
                    return Err(PathError::Overlong);
                }
                segment.push(value);
                output.copy_escape(at, value);
                at += 3;
            }
            _ => {
                check(byte)?;
                segment.push(byte);
                output.copy(at);
                at += 1;
            }
        }
    }
    segment.close()?;
    Ok(Normalised { path: output.finish(), has_empty_segments })
}

/// Rejects a plain byte that is not allowed in a path.
fn check(byte: u8) -> Result<(), PathError> {
    match byte {
        b'\\' => Err(PathError::Backslash),
        b'?' | b'#' => Err(PathError::Delimiter),
        0..=b' ' | 0x7f => Err(PathError::Control),
        0x80.. => Err(PathError::NotAscii),
        _ => Ok(()),
    }
}

/// Returns the value of the escape at `at`, and rejects values that are not allowed in a path.
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

/// Returns true if `value` and the escape at the start of `rest` begin an overlong UTF-8 sequence.
fn is_overlong(rest: &[u8], value: u8) -> bool {
    let next = if rest.first() == Some(&b'%') { escape(rest, 0).ok() } else { None };
    match value {
        0xc0 | 0xc1 | 0xf8.. => true,
        0xe0 => next.is_some_and(|next| (0x80..0xa0).contains(&next)),
        0xf0 => next.is_some_and(|next| (0x80..0x90).contains(&next)),
        _ => false,
    }
}

/// Returns true for unreserved characters (RFC 3986, section 2.3), which are equivalent encoded and plain.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Content of a segment up to its first `;`.
#[derive(Default)]
struct Segment {
    dots: usize,
    has_others: bool,
    in_parameters: bool,
}

impl Segment {
    /// Adds the next decoded byte.
    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.in_parameters => {}
            b';' => self.in_parameters = true,
            b'.' => self.dots += 1,
            _ => self.has_others = true,
        }
    }

    /// Ends the segment and starts the next one. Returns true if it was empty.
    fn close(&mut self) -> Result<bool, PathError> {
        let Self { dots, has_others, .. } = std::mem::take(self);
        match dots {
            1 | 2 if !has_others => Err(PathError::DotSegment),
            _ => Ok(dots == 0 && !has_others),
        }
    }
}

/// Output, which borrows the input until the first difference.
struct Output<'a> {
    raw: &'a str,
    changed: Option<String>,
}

impl<'a> Output<'a> {
    fn new(raw: &'a str) -> Self {
        Self { raw, changed: None }
    }

    /// Copies the ASCII byte at `at`.
    fn copy(&mut self, at: usize) {
        if let (Some(changed), Some(&byte)) = (&mut self.changed, self.raw.as_bytes().get(at)) {
            changed.push(char::from(byte));
        }
    }

    /// Copies the escape at `at`, decoded if `value` is unreserved.
    fn copy_escape(&mut self, at: usize, value: u8) {
        let escape = self.raw.get(at..at + 3).unwrap_or_default();
        let decode = is_unreserved(value);
        if self.changed.is_none() && (decode || escape.bytes().any(|byte| byte.is_ascii_lowercase())) {
            self.changed = Some(self.raw.get(..at).unwrap_or_default().to_owned());
        }
        match &mut self.changed {
            Some(changed) if decode => changed.push(char::from(value)),
            Some(changed) => changed.extend(escape.chars().map(|digit| digit.to_ascii_uppercase())),
            None => {}
        }
    }

    /// Returns the output.
    fn finish(self) -> Cow<'a, str> {
        self.changed.map_or(Cow::Borrowed(self.raw), Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normalised path and `has_empty_segments`, or the error.
    type Expected = Result<(&'static str, bool), PathError>;

    const PATHS: &[(&str, Expected)] = &[
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
    fn paths_are_normalised_or_rejected() {
        for (raw, expected) in PATHS {
            let found = normalise(raw);
            let found = found.as_ref().map(|found| (&*found.path, found.has_empty_segments)).map_err(|e| *e);
            assert_eq!(found, *expected, "{raw:?}");
        }
    }

    #[test]
    fn normal_paths_are_borrowed_and_unchanged() {
        for (raw, _) in PATHS {
            let Ok(first) = normalise(raw) else { continue };
            let second = normalise(&first.path).unwrap();
            assert_eq!(second.path, first.path, "{raw:?}");
            assert!(matches!(second.path, Cow::Borrowed(_)), "{raw:?}");
        }
    }

    #[test]
    fn escaped_bytes_are_decoded_kept_or_rejected() {
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
    fn plain_ascii_bytes_are_kept_or_rejected() {
        for byte in 0..128_u8 {
            let raw = format!("/a{}", char::from(byte));
            let is_rejected = matches!(byte, 0..=b' ' | b'\\' | b'?' | b'#' | b'%' | 0x7f);
            assert_eq!(normalise(&raw).is_err(), is_rejected, "{raw:?}");
        }
    }

    #[test]
    fn overlong_utf_8_is_rejected_and_other_utf_8_is_kept() {
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
