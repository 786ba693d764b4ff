//! The octets by which names are compared: made once per name, compared in a few nanoseconds.

use stringprep::tables::{change_display_properties_or_deprecated, x520_mapped_to_nothing};

use super::Attribute;

const UTF8_STRING: u32 = 12;
const NUMERIC_STRING: u32 = 18;
const PRINTABLE_STRING: u32 = 19;
const IA5_STRING: u32 = 22;

/// Stands for every text encoding, so that PrintableString compares with UTF8String. No DER tag has it.
const TEXT: u8 = 0xff;

/// A value as text, if its encoding leaves no doubt about its characters.
pub(super) fn text(tag: u32, value: &[u8]) -> Option<&str> {
    let allowed: fn(&u8) -> bool = match tag {
        UTF8_STRING => |_| true,
        IA5_STRING => u8::is_ascii,
        NUMERIC_STRING => |octet| octet.is_ascii_digit() || *octet == b' ',
        PRINTABLE_STRING => |octet| octet.is_ascii_alphanumeric() || b" '()+,-./:=?*@&_".contains(octet),
        _ => return None,
    };
    if !value.iter().all(allowed) {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// RFC 5280, section 7.1, by way of RFC 4518: compatibility forms and case folded, no space at either end, one
/// between words.
///
/// None if the text holds a character that RFC 4518 prohibits, or one that it drops although people can be
/// deceived by it (NUL and other controls, direction marks, zero-width characters): such a value equals
/// nothing but its own octets, where RFC 4518 alone would take `admin` followed by NUL for `admin`.
fn prepare(text: &str) -> Option<String> {
    let mut prepared = Vec::with_capacity(text.len());
    // Made of whole words of a text, it is one.
    if prepare_into(&mut prepared, text) { String::from_utf8(prepared).ok() } else { None }
}

/// As [`prepare`], at the end of a buffer; false, and nothing usable written, where that is None.
fn prepare_into(bytes: &mut Vec<u8>, text: &str) -> bool {
    if text.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ') {
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

/// Every attribute as (position, type, kind, value), each with its length, the attributes of one relative
/// name sorted, since they form a set.
pub(super) struct Canonical {
    bytes: Vec<u8>,
    plain: bool,
    /// The relative name that is being written: its position, where it starts, and its attributes so far.
    rdn: Option<usize>,
    start: usize,
    attributes: usize,
}

impl Canonical {
    /// To be written behind `front`, into the same buffer: names are read on every connection.
    pub(super) fn behind(front: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(front.len() + 256);
        bytes.extend(front);
        Self { bytes, plain: true, rdn: None, start: 0, attributes: 0 }
    }

    pub(super) fn push(&mut self, attribute: Attribute<'_>) {
        if self.rdn != Some(attribute.rdn) {
            sort(&mut self.bytes, self.start, self.attributes);
            (self.rdn, self.start, self.attributes) = (Some(attribute.rdn), self.bytes.len(), 0);
        }
        self.attributes += 1;
        let plain = &mut self.plain;
        with_length(&mut self.bytes, |bytes| {
            bytes.extend((attribute.rdn as u64).to_be_bytes());
            with_length(bytes, |bytes| bytes.extend(attribute.oid));
            let before = bytes.len();
            bytes.push(TEXT);
            let is_text = text(attribute.tag, attribute.value)
                .is_some_and(|text| with_length(bytes, |bytes| prepare_into(bytes, text)));
            if !is_text {
                *plain = false;
                bytes.truncate(before);
                bytes.push(0);
                bytes.extend(attribute.tag.to_be_bytes());
                with_length(bytes, |bytes| bytes.extend(attribute.value));
            }
        });
    }

    /// The buffer, and whether every value was a text.
    pub(super) fn finish(mut self) -> (Box<[u8]>, bool) {
        sort(&mut self.bytes, self.start, self.attributes);
        (self.bytes.into(), self.plain)
    }
}

/// Writes a part behind its length.
fn with_length<T>(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = bytes.len();
    bytes.extend([0; 8]);
    let written = write(bytes);
    let length = (bytes.len() - start - 8) as u64;
    bytes[start..start + 8].copy_from_slice(&length.to_be_bytes());
    written
}

/// Sorts the entries from `start` on. One entry, as almost every relative name has, is in order.
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

/// Whether two texts are equal after folding; texts that cannot be folded are equal octet by octet.
pub(crate) fn same_text(one: &str, other: &str) -> bool {
    if is_simple(one) && is_simple(other) {
        return one.eq_ignore_ascii_case(other);
    }
    match (prepare(one), prepare(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Nothing to fold but case: almost every text, compared without an allocation.
fn is_simple(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Whether a text is compared after folding, so that "not the same" is certain.
pub(crate) fn is_plain_text(text: &str) -> bool {
    is_simple(text) || prepare(text).is_some()
}
