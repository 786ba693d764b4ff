//! The encoding of policy qualifiers (RFC 5280, section 4.2.1.4). No decision depends on their values.

use super::der::{self, Reader};

const CPS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 1];
const USER_NOTICE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 2];

const UTF8_STRING: u8 = 0x0c;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const BMP_STRING: u8 = 0x1e;

/// Checks the qualifiers of one policy. None is malformed input, or no qualifier.
pub(super) fn check(mut qualifiers: Reader<'_>) -> Option<()> {
    if qualifiers.is_empty() {
        return None;
    }
    while !qualifiers.is_empty() {
        let mut fields = qualifiers.sequence()?;
        match fields.expect(der::OID)? {
            CPS => drop(fields.expect(IA5_STRING)?),
            USER_NOTICE => check_notice(fields.sequence()?)?,
            _ => drop(fields.element()?),
        }
        fields.end()?;
    }
    Some(())
}

/// An optional reference to numbered notices, and an optional text.
fn check_notice(mut notice: Reader<'_>) -> Option<()> {
    if notice.rest().first() == Some(&der::SEQUENCE) {
        let mut reference = notice.sequence()?;
        check_text(&mut reference)?;
        let mut numbers = reference.sequence()?;
        reference.end()?;
        while !numbers.is_empty() {
            der::unsigned(numbers.expect(der::INTEGER)?)?;
        }
    }
    if !notice.is_empty() {
        check_text(&mut notice)?;
    }
    notice.end()
}

/// DisplayText. Its length is not limited: longer texts than RFC 5280 allows are in use.
fn check_text(fields: &mut Reader<'_>) -> Option<()> {
    let text = fields.element()?;
    let is_text = match text.tag {
        UTF8_STRING => std::str::from_utf8(text.content).is_ok(),
        BMP_STRING => text.content.len() % 2 == 0,
        IA5_STRING | VISIBLE_STRING => true,
        _ => false,
    };
    is_text.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).unwrap()], &content[..]].concat()
    }

    #[test]
    fn qualifier_has_the_form_of_its_type() {
        let (cps, user_notice) = (element(der::OID, &[CPS]), element(der::OID, &[USER_NOTICE]));
        let other = element(der::OID, &[&[0x2a, 3]]);
        let qualifier = |oid: &[u8], value: &[u8]| element(der::SEQUENCE, &[oid, value]);
        let notice = |fields: &[&[u8]]| qualifier(&user_notice, &element(der::SEQUENCE, fields));
        let text = |tag| element(tag, &[b"text"]);
        let reference = |organization: &[u8], number: &[u8]| {
            let numbers = element(der::SEQUENCE, &[&element(der::INTEGER, &[number])]);
            element(der::SEQUENCE, &[organization, &numbers])
        };
        let one = reference(&text(UTF8_STRING), &[1]);
        for (case, encoding, is_valid) in [
            ("none", vec![], false),
            ("URI", qualifier(&cps, &text(IA5_STRING)), true),
            ("two", qualifier(&cps, &text(IA5_STRING)).repeat(2), true),
            ("URI in UTF-8", qualifier(&cps, &text(UTF8_STRING)), false),
            ("no URI", qualifier(&cps, &[]), false),
            ("URI and more", qualifier(&cps, &text(IA5_STRING).repeat(2)), false),
            ("empty notice", notice(&[]), true),
            ("UTF8String", notice(&[&text(UTF8_STRING)]), true),
            ("IA5String", notice(&[&text(IA5_STRING)]), true),
            ("VisibleString", notice(&[&text(VISIBLE_STRING)]), true),
            ("BMPString", notice(&[&text(BMP_STRING)]), true),
            ("TeletexString", notice(&[&text(0x14)]), false),
            ("constructed string", notice(&[&text(UTF8_STRING | 0x20)]), false),
            ("malformed UTF-8", notice(&[&element(UTF8_STRING, &[&[0xff]])]), false),
            ("odd BMPString", notice(&[&element(BMP_STRING, &[&[0, 0x41, 0]])]), false),
            ("reference", notice(&[&one]), true),
            ("reference and text", notice(&[&one, &text(VISIBLE_STRING)]), true),
            ("text and reference", notice(&[&text(VISIBLE_STRING), &one]), false),
            ("text and more", notice(&[&text(VISIBLE_STRING), &[0x71]]), false),
            ("number that is not minimal", notice(&[&reference(&text(UTF8_STRING), &[0, 1])]), false),
            ("reference of no organization", notice(&[&reference(&[], &[1])]), false),
            ("text in place of a notice", qualifier(&user_notice, &text(VISIBLE_STRING)), false),
            ("another type", qualifier(&other, &[5, 0]), true),
            ("another type, no value", qualifier(&other, &[]), false),
            ("text in place of a qualifier", text(VISIBLE_STRING), false),
        ] {
            assert_eq!(check(Reader::new(&encoding)).is_some(), is_valid, "{case}");
        }
    }
}
