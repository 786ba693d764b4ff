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
    if text.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ') {
        return Some(squeeze(&text.to_ascii_lowercase()));
    }
    if text.chars().any(is_dropped) {
        return None;
    }
    // The library folds case or composes (NFKC), not both at once.
    let folded = stringprep::x520prep(text, true).ok()?;
    stringprep::x520prep(&folded, false).ok().map(|prepared| squeeze(&prepared))
}

fn is_dropped(character: char) -> bool {
    x520_mapped_to_nothing(character) || change_display_properties_or_deprecated(character)
}

fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !squeezed.is_empty() {
            squeezed.push(' ');
        }
        squeezed.push_str(word);
    }
    squeezed
}

/// Every attribute as (position, type, kind, value), each with its length, the attributes of one relative
/// name sorted, since they form a set. And whether every value was a text.
pub(super) fn bytes<'a>(attributes: impl Iterator<Item = Attribute<'a>>) -> (Box<[u8]>, bool) {
    let mut plain = true;
    let mut entries: Vec<(usize, Vec<u8>)> = attributes
        .map(|attribute| {
            let prepared = text(attribute.tag, attribute.value).and_then(prepare);
            let mut entry = Vec::with_capacity(attribute.oid.len() + attribute.value.len() + 24);
            push(&mut entry, attribute.oid);
            match &prepared {
                Some(prepared) => {
                    entry.push(TEXT);
                    push(&mut entry, prepared.as_bytes());
                }
                None => {
                    plain = false;
                    entry.push(0);
                    entry.extend(attribute.tag.to_be_bytes());
                    push(&mut entry, attribute.value);
                }
            }
            (attribute.rdn, entry)
        })
        .collect();
    entries.sort();
    let mut bytes = Vec::new();
    for (rdn, entry) in entries {
        bytes.extend((rdn as u64).to_be_bytes());
        push(&mut bytes, &entry);
    }
    (bytes.into(), plain)
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend(part);
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
