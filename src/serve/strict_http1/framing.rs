//! Values of Content-Length and Transfer-Encoding.

use super::byte_class::{is_blank, is_token};

/// Maximum number of digits of a length. Larger lengths could overflow in another parser.
const MAX_DIGITS: u8 = 18;

const CHUNKED: &[u8] = b"chunked";

/// Framing of the body as stated by the fields scanned so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Neither field is present.
    Absent,
    Length(u64),
    Chunked,
}

/// Scanner for the value of Content-Length: digits with optional whitespace around them.
#[derive(Debug, Default)]
pub(super) struct ContentLength {
    value: u64,
    digits: u8,
    ended: bool,
}

impl ContentLength {
    /// Consumes the next byte. Returns false if it is invalid.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if byte.is_ascii_digit() && !self.ended && self.digits < MAX_DIGITS {
            self.value = self.value * 10 + u64::from(byte - b'0');
            self.digits += 1;
            return true;
        }
        self.ended = self.digits > 0;
        is_blank(byte)
    }

    pub(super) fn value(&self) -> Option<u64> {
        (self.digits > 0).then_some(self.value)
    }
}

/// Scanner for the value of Transfer-Encoding: codings without parameters, of which only the last is `chunked`.
///
/// Other codings do not change the framing. They are rejected later, with status 501.
#[derive(Debug, Default)]
pub(super) struct TransferEncoding {
    state: CodingState,
    /// Number of bytes of `chunked` matched by the current coding. None: it is another coding.
    matched: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CodingState {
    #[default]
    Before,
    Within,
    After,
}

impl TransferEncoding {
    /// Consumes the next byte. Returns false if it is invalid.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            (CodingState::Before | CodingState::After, b' ' | b'\t') => {}
            (CodingState::Within, b' ' | b'\t') => self.state = CodingState::After,
            (CodingState::Within | CodingState::After, b',') if !self.is_chunked() => {
                self.state = CodingState::Before
            }
            (CodingState::Before | CodingState::Within, _) if is_token(byte) => {
                let before = if self.state == CodingState::Before { Some(0) } else { self.matched };
                let is_next = |matched: &usize| CHUNKED.get(*matched) == Some(&byte.to_ascii_lowercase());
                self.matched = before.filter(is_next).map(|matched| matched + 1);
                self.state = CodingState::Within;
            }
            _ => return false,
        }
        true
    }

    /// Returns true if the last coding is `chunked`.
    pub(super) fn is_chunked(&self) -> bool {
        self.state != CodingState::Before && self.matched == Some(CHUNKED.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_length_is_plain_digits() {
        for (value, length) in [
            ("0", Some(0)),
            (" \t42 \t", Some(42)),
            ("007", Some(7)),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("1000000000000000000", None),
            ("", None),
            (" ", None),
            ("+1", None),
            ("-1", None),
            ("1 2", None),
            ("1,1", None),
            ("1, 1", None),
            ("0x1", None),
            ("1.0", None),
            ("1e3", None),
            ("\"1\"", None),
            ("\u{0661}", None),
        ] {
            let mut read = ContentLength::default();
            let is_valid = value.bytes().all(|byte| read.push(byte));
            assert_eq!(read.value().filter(|_| is_valid), length, "{value:?}");
        }
    }

    #[test]
    fn transfer_encoding_ends_in_one_chunked() {
        for (value, expected) in [
            ("chunked", true),
            (" \tChUnKeD\t ", true),
            ("gzip, chunked", true),
            ("gzip , deflate,chunked", true),
            ("", false),
            (",", false),
            ("chunked,", false),
            (", chunked", false),
            ("gzip,,chunked", false),
            ("chunked, chunked", false),
            ("chunked, gzip", false),
            ("chunked, identity", false),
            ("gzip", false),
            ("identity", false),
            ("xchunked", false),
            ("chunkedx", false),
            ("chunke", false),
            ("chunked chunked", false),
            ("chunked;q=1", false),
            ("\"chunked\"", false),
            ("chun\u{b}ked", false),
            ("\u{a0}chunked", false),
        ] {
            let mut read = TransferEncoding::default();
            let is_valid = value.bytes().all(|byte| read.push(byte));
            assert_eq!(is_valid && read.is_chunked(), expected, "{value:?}");
        }
    }
}
