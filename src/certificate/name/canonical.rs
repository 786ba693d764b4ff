//! Canonical forms of names, for comparisons: computed once per name, compared in a few nanoseconds.

use std::borrow::Cow;

use stringprep::tables::{change_display_properties_or_deprecated, x520_mapped_to_nothing};

use super::Attribute;

const UTF8_STRING: u32 = 12;
const NUMERIC_STRING: u32 = 18;
const PRINTABLE_STRING: u32 = 19;
const TELETEX_STRING: u32 = 20;
const IA5_STRING: u32 = 22;
const UNIVERSAL_STRING: u32 = 28;
const BMP_STRING: u32 = 30;

/// Kind of all text encodings, so that values of different string types are equal. Not a DER tag.
const TEXT: u8 = 0xff;

/// A value as text, if its encoding is unambiguous.
pub(super) fn text(tag: u32, value: &[u8]) -> Option<&str> {
    let allowed: fn(&u8) -> bool = match tag {
        UTF8_STRING => |_| true,
        IA5_STRING => u8::is_ascii,
        NUMERIC_STRING => |byte| byte.is_ascii_digit() || *byte == b' ',
        PRINTABLE_STRING => |byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*@&_".contains(byte),
        _ => return None,
    };
    if !value.iter().all(allowed) {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// A value as text for comparisons (RFC 4518, section 2.1): as [`text`], and BMPString, UniversalString, and TeletexString if
/// all its characters are the same in T.61 and in Latin-1.
fn comparable(tag: u32, value: &[u8]) -> Option<Cow<'_, str>> {
    match tag {
        TELETEX_STRING => text(PRINTABLE_STRING, value).map(Cow::Borrowed),
        BMP_STRING | UNIVERSAL_STRING => decode(tag, value).map(Cow::Owned),
        _ => text(tag, value).map(Cow::Borrowed),
    }
}

/// Decodes a BMPString (UCS-2) or a UniversalString (UCS-4), both big-endian. None for surrogates.
fn decode(tag: u32, value: &[u8]) -> Option<String> {
    let width = if tag == BMP_STRING { 2 } else { 4 };
    let units = value.chunks(width);
    units
        .map(|unit| {
            let code = unit.iter().fold(0, |code: u32, byte| code << 8 | u32::from(*byte));
            char::from_u32(code).filter(|_| unit.len() == width)
        })
        .collect()
}

/// Returns true unless the bytes of a UTF8String, BMPString or UniversalString are not of its encoding, or the value is of
/// a type that is not text: BOOLEAN, INTEGER, OCTET STRING, NULL or OBJECT IDENTIFIER. OpenSSL reads no certificate with
/// such a name.
#[cfg(feature = "trust")]
pub(super) fn is_encoded(tag: u32, value: &[u8]) -> bool {
    match tag {
        UTF8_STRING => std::str::from_utf8(value).is_ok(),
        BMP_STRING | UNIVERSAL_STRING => decode(tag, value).is_some(),
        1 | 2 | 4 | 5 | 6 => false,
        _ => true,
    }
}

/// A value as comparisons see it.
#[cfg(feature = "trust")]
pub(super) fn prepared(tag: u32, value: &[u8]) -> Option<String> {
    prepare(&comparable(tag, value)?)
}

/// Prepares a text for comparison (RFC 5280, section 7.1; RFC 4518): compatibility forms and case folded, no space at
/// either end, one between words.
///
/// None if the text contains a character that RFC 4518 prohibits, or one that it drops and that can deceive readers (NUL and
/// other controls, direction marks, zero-width characters): such a value equals only its own bytes, whereas in RFC 4518
/// `admin` followed by NUL equals `admin`.
fn prepare(text: &str) -> Option<String> {
    let mut prepared = Vec::with_capacity(text.len());
    // Valid UTF-8: it consists of whole words of a text.
    if prepare_into(&mut prepared, text) { String::from_utf8(prepared).ok() } else { None }
}

/// As [`prepare`], appended to a buffer. False, with unusable bytes appended, where that returns None.
fn prepare_into(bytes: &mut Vec<u8>, text: &str) -> bool {
    if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        let start = bytes.len();
        squeeze_into(bytes, text);
        bytes[start..].make_ascii_lowercase();
        return true;
    }
    if text.chars().any(is_dropped) {
        return false;
    }
    // The library folds case or composes (NFKC), not both at once.
    let Ok(folded) = stringprep::x520prep(text, true) else { return false };
    let Ok(composed) = stringprep::x520prep(&folded, false) else { return false };
    squeeze_into(bytes, &composed);
    true
}

fn is_dropped(character: char) -> bool {
    x520_mapped_to_nothing(character) || change_display_properties_or_deprecated(character)
}

fn squeeze_into(bytes: &mut Vec<u8>, text: &str) {
    let words = text.split(' ').filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            bytes.push(b' ');
        }
        bytes.extend(word.as_bytes());
    }
}

/// Builder of the canonical form: each attribute as (position, type, kind, value), each part with its length. The attributes
/// of one relative name are sorted, since they form a set.
pub(super) struct Canonical {
    bytes: Vec<u8>,
    is_plain: bool,
    /// The current relative name: its position, its start in `bytes`, and its number of attributes.
    rdn: Option<usize>,
    start: usize,
    attributes: usize,
}

impl Canonical {
    /// Starts after `prefix`, in the same buffer: names are read on every connection.
    pub(super) fn after(prefix: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(prefix.len() + 256);
        bytes.extend(prefix);
        Self { bytes, is_plain: true, rdn: None, start: 0, attributes: 0 }
    }

    pub(super) fn push(&mut self, attribute: Attribute<'_>) {
        if self.rdn != Some(attribute.rdn) {
            sort(&mut self.bytes, self.start, self.attributes);
            (self.rdn, self.start, self.attributes) = (Some(attribute.rdn), self.bytes.len(), 0);
        }
        self.attributes += 1;
        let is_plain = &mut self.is_plain;
        with_length(&mut self.bytes, |bytes| {
            bytes.extend((attribute.rdn as u64).to_be_bytes());
            with_length(bytes, |bytes| bytes.extend(attribute.oid));
            let before = bytes.len();
            bytes.push(TEXT);
            let is_text = comparable(attribute.tag, attribute.value)
                .is_some_and(|text| with_length(bytes, |bytes| prepare_into(bytes, &text)));
            if !is_text {
                *is_plain = false;
                bytes.truncate(before);
                bytes.push(0);
                bytes.extend(attribute.tag.to_be_bytes());
                with_length(bytes, |bytes| bytes.extend(attribute.value));
            }
        });
    }

    /// Returns the buffer, and true if every value is comparable as a text.
    pub(super) fn finish(mut self) -> (Box<[u8]>, bool) {
        sort(&mut self.bytes, self.start, self.attributes);
        (self.bytes.into(), self.is_plain)
    }
}

/// Writes a part after its length.
fn with_length<T>(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = bytes.len();
    bytes.extend([0; 8]);
    let written = write(bytes);
    let length = (bytes.len() - start - 8) as u64;
    bytes[start..start + 8].copy_from_slice(&length.to_be_bytes());
    written
}

/// Sorts the entries from `start` on. Most relative names have one entry.
fn sort(bytes: &mut Vec<u8>, start: usize, entries: usize) {
    if entries < 2 {
        return;
    }
    let unsorted = bytes.split_off(start);
    let mut rest = unsorted.as_slice();
    let mut sorted = Vec::with_capacity(entries);
    while let Some((length, _)) = rest.split_first_chunk::<8>() {
        let (entry, after) = rest.split_at(8 + u64::from_be_bytes(*length) as usize);
        sorted.push(entry);
        rest = after;
    }
    sorted.sort_unstable();
    sorted.into_iter().for_each(|entry| bytes.extend(entry));
}

/// Returns true if two texts are equal after folding; texts that cannot be folded are compared byte by byte.
pub(crate) fn same_text(one: &str, other: &str) -> bool {
    if is_simple(one) && is_simple(other) {
        return one.eq_ignore_ascii_case(other);
    }
    match (prepare(one), prepare(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Returns true if only case needs folding, as in most texts: compared without an allocation.
fn is_simple(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns true if a text can be folded, so that "not equal" is certain.
pub(crate) fn is_plain_text(text: &str) -> bool {
    is_simple(text) || prepare(text).is_some()
}
