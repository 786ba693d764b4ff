//! Printer of names: RFC 4514.

use std::fmt::{self, Write};

use super::{Attribute, DistinguishedName, keyword};
use crate::certificate::hex::Hex;

pub(super) fn print(name: &DistinguishedName, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let attributes: Vec<_> = name.attributes().collect();
    let rdns = attributes.chunk_by(|one, next| one.rdn == next.rdn);
    for (i, rdn) in rdns.rev().enumerate() {
        if i > 0 {
            f.write_char(',')?;
        }
        for (j, attribute) in rdn.iter().enumerate() {
            if j > 0 {
                f.write_char('+')?;
            }
            print_attribute(attribute, f)?;
        }
    }
    Ok(())
}

fn print_attribute(attribute: &Attribute<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (keyword::of(attribute.oid), attribute.text()) {
        (Some(keyword), Some(text)) => {
            write!(f, "{keyword}=")?;
            print_escaped(text, f)
        }
        _ => {
            write!(f, "{}=#", attribute.oid())?;
            print_ber(attribute, f)
        }
    }
}

/// Escapes a value (RFC 4514, section 2.4); controls and invisible characters as hex pairs.
fn print_escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let last = text.chars().count().saturating_sub(1);
    for (i, character) in text.chars().enumerate() {
        match character {
            ' ' if i == 0 || i == last => f.write_str("\\ ")?,
            '#' if i == 0 => f.write_str("\\#")?,
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{character}")?,
            other => print_visible(other, f)?,
        }
    }
    Ok(())
}

/// Prints a character, or escaped hex pairs if a terminal would not show it.
pub(in crate::certificate) fn print_visible(character: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !character.is_control() && !is_format(character) {
        return f.write_char(character);
    }
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().try_for_each(|byte| write!(f, "\\{byte:02x}"))
}

fn is_format(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Prints the value's DER encoding in hex (RFC 4514, section 2.4, last paragraph).
fn print_ber(attribute: &Attribute<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{:x}", Hex(&super::parse::der_element(attribute.tag, attribute.value)))
}
