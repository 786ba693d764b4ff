//! The two fields that say how long a body is.

use super::octets::{is_blank, is_token};

/// So many that the largest length still fits into 63 bits, for whoever reads it after us.
const MOST_DIGITS: u8 = 18;

const CHUNKED: &[u8] = b"chunked";

/// How long the body is, as far as the head has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nothing said: there is no body.
    Unsaid,
    Length(u64),
    Chunked,
}

/// The value of Content-Length: digits, and nothing else but blanks around them.
#[derive(Debug, Default)]
pub(super) struct Length {
    value: u64,
    digits: u8,
    ended: bool,
}

impl Length {
    /// Whether this octet may come next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        if octet.is_ascii_digit() && !self.ended && self.digits < MOST_DIGITS {
            self.value = self.value * 10 + u64::from(octet - b'0');
            self.digits += 1;
            return true;
        }
        self.ended = self.digits > 0;
        is_blank(octet)
    }

    pub(super) fn value(&self) -> Option<u64> {
        (self.digits > 0).then_some(self.value)
    }
}

/// The value of Transfer-Encoding: codings without parameters, of which the last and only the last is `chunked`.
///
/// Codings before it do not change where the body ends. They are refused later, with an answer of their own.
#[derive(Debug, Default)]
pub(super) struct Codings {
    at: InCodings,
    /// How many octets of `chunked` this coding has had so far, if it has had no others.
    matched: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum InCodings {
    #[default]
    Before,
    Within,
    After,
}

impl Codings {
    /// Whether this octet may come next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        match (self.at, octet) {
            (InCodings::Before | InCodings::After, b' ' | b'\t') => {}
            (InCodings::Within, b' ' | b'\t') => self.at = InCodings::After,
            (InCodings::Within | InCodings::After, b',') if !self.is_chunked() => self.at = InCodings::Before,
            (InCodings::Before | InCodings::Within, _) if is_token(octet) => {
                let before = if self.at == InCodings::Before { Some(0) } else { self.matched };
                let is_next = |matched: &usize| CHUNKED.get(*matched) == Some(&octet.to_ascii_lowercase());
                self.matched = before.filter(is_next).map(|matched| matched + 1);
                self.at = InCodings::Within;
            }
            _ => return false,
        }
        true
    }

    /// Whether the coding that came last is `chunked`.
    pub(super) fn is_chunked(&self) -> bool {
        self.at != InCodings::Before && self.matched == Some(CHUNKED.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_plain_digits() {
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
            let mut read = Length::default();
            let is_taken = value.bytes().all(|octet| read.take(octet));
            assert_eq!(read.value().filter(|_| is_taken), length, "{value:?}");
        }
    }

    #[test]
    fn a_transfer_coding_ends_in_one_chunked() {
        for (value, is_good) in [
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
            let mut read = Codings::default();
            let is_taken = value.bytes().all(|octet| read.take(octet));
            assert_eq!(is_taken && read.is_chunked(), is_good, "{value:?}");
        }
    }
}
