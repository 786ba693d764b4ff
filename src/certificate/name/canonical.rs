//! The octets by which names are compared: made once per name, compared in a few nanoseconds.

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

/// Folds case and white space: no space at either end, one between words (RFC 5280, section 7.1, by way of
/// RFC 4518). None if the text holds a character that people cannot see or that changes what they see
/// (controls, direction marks, private use): such a value equals nothing but its own octets.
fn prepare(text: &str) -> Option<String> {
    let mut prepared = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !prepared.is_empty() {
            prepared.push(' ');
        }
        for character in word.chars() {
            if is_deceptive(character) {
                return None;
            }
            prepared.extend(character.to_lowercase());
        }
    }
    Some(prepared)
}

fn is_space(character: char) -> bool {
    matches!(
        character,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Every attribute as (position, type, kind, value), each with its length, the attributes of one relative
/// name sorted, since they form a set.
pub(super) fn bytes<'a>(attributes: impl Iterator<Item = Attribute<'a>>) -> Box<[u8]> {
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
    bytes.into()
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend(part);
}

/// Whether two texts are equal after folding; texts that cannot be folded are equal octet by octet.
pub(crate) fn same_text(one: &str, other: &str) -> bool {
    match (prepare(one), prepare(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}
