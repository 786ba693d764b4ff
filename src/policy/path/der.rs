//! DER (X.690, section 10): definite, minimal lengths and tags of one byte.

use crate::certificate::{Timestamp, is_oid};

pub(in crate::policy) const BOOLEAN: u8 = 0x01;
pub(in crate::policy) const INTEGER: u8 = 0x02;
pub(in crate::policy) const BIT_STRING: u8 = 0x03;
pub(in crate::policy) const OCTET_STRING: u8 = 0x04;
pub(in crate::policy) const OID: u8 = 0x06;
pub(in crate::policy) const UTC_TIME: u8 = 0x17;
pub(in crate::policy) const GENERALIZED_TIME: u8 = 0x18;
pub(in crate::policy) const SEQUENCE: u8 = 0x30;

/// An element and its encoding.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Element<'a> {
    pub(in crate::policy) tag: u8,
    pub(in crate::policy) content: &'a [u8],
    pub(in crate::policy) encoding: &'a [u8],
}

/// Reads consecutive elements. None is malformed input.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::policy) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rest of the input.
    pub(in crate::policy) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// None unless all input is read.
    pub(in crate::policy) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    pub(in crate::policy) fn element(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
                let is_minimal = length > 0x7f && bytes.first() != Some(&0);
                (is_minimal.then(|| usize::try_from(length).ok())??, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        if tag == OID && !is_oid(content) {
            return None;
        }
        let encoding = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, content, encoding })
    }

    /// The next element's content, if it has this tag.
    pub(in crate::policy) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let element = self.element()?;
        (element.tag == tag).then_some(element.content)
    }

    /// The next element's content if the next tag is this one; the outer None is malformed input.
    pub(in crate::policy) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Some(None) }
    }

    pub(in crate::policy) fn sequence(&mut self) -> Option<Self> {
        self.expect(SEQUENCE).map(Self)
    }

    /// The content of a BIT STRING of whole bytes.
    pub(in crate::policy) fn bytes(&mut self) -> Option<&'a [u8]> {
        self.expect(BIT_STRING)?.strip_prefix(&[0])
    }
}

/// The only element of `input`, a SEQUENCE.
pub(in crate::policy) fn sequence(input: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(input);
    let content = reader.sequence()?;
    reader.end()?;
    Some(content)
}

/// A BOOLEAN's value.
pub(in crate::policy) fn boolean(content: &[u8]) -> Option<bool> {
    match content {
        [0] => Some(false),
        [0xff] => Some(true),
        _ => None,
    }
}

/// Returns true for the content of an INTEGER or ENUMERATED: no byte repeats the sign.
pub(in crate::policy) fn is_minimal(content: &[u8]) -> bool {
    !matches!(content, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// A minimal INTEGER that is not negative. Values above [`u32::MAX`] are `u32::MAX`.
pub(in crate::policy) fn unsigned(content: &[u8]) -> Option<u32> {
    let digits = match content {
        [0] => content,
        [0, second, ..] if second & 0x80 != 0 => &content[1..],
        [first, ..] if first & 0x80 == 0 && *first != 0 => content,
        _ => return None,
    };
    let value = |value: u32, byte: &u8| value.checked_mul(256).map(|value| value + u32::from(*byte));
    Some(digits.iter().try_fold(0_u32, value).unwrap_or(u32::MAX))
}

/// An object identifier in dotted form.
pub(in crate::policy) fn dotted(oid: &[u8]) -> String {
    x509_parser::asn1_rs::Oid::new(oid.into()).to_id_string()
}

/// Returns true for a UTCTime or GeneralizedTime with seconds, in UTC and without fractions (RFC 5280, sections 4.1.2.5 and
/// 5.1.2.4).
pub(in crate::policy) fn has_time_form(element: &Element<'_>) -> bool {
    let length = match element.tag {
        UTC_TIME => 12,
        GENERALIZED_TIME => 14,
        _ => return false,
    };
    match element.content.split_last() {
        Some((b'Z', digits)) => digits.len() == length && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The time of an element that [has its form](has_time_form).
pub(in crate::policy) fn time(element: &Element<'_>) -> Option<Timestamp> {
    if !has_time_form(element) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + (digit - b'0'));
    let mut pairs = element.content.chunks_exact(2).map(number);
    let mut pair = || pairs.next();
    let year = match (element.tag, i32::from(pair()?)) {
        (UTC_TIME, year) => year + if year < 50 { 2_000 } else { 1_900 },
        (_, century) => century * 100 + i32::from(pair()?),
    };
    let date = time::Date::from_calendar_date(year, time::Month::try_from(pair()?).ok()?, pair()?).ok()?;
    let time = time::Time::from_hms(pair()?, pair()?, pair()?).ok()?;
    Some(Timestamp::from_unix(time::PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_with_seconds() {
        for (tag, text, expected) in [
            (UTC_TIME, "260101000000Z", Some("2026-01-01T00:00:00Z")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20260101000000Z", Some("2026-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20501112131415Z", Some("2050-11-12T13:14:15Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (UTC_TIME, "2601010000Z", None),
            (UTC_TIME, "260101000000+0100", None),
            (UTC_TIME, "261301000000Z", None),
            (UTC_TIME, "260230000000Z", None),
            (UTC_TIME, "260101240000Z", None),
            (UTC_TIME, "20260101000000Z", None),
            (GENERALIZED_TIME, "20260101000000.5Z", None),
            (GENERALIZED_TIME, "20260101000000", None),
            (GENERALIZED_TIME, "2026-101000000Z", None),
            (OCTET_STRING, "260101000000Z", None),
        ] {
            let encoding = [&[tag, text.len() as u8], text.as_bytes()].concat();
            let read = time(&Reader::new(&encoding).element().unwrap()).map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn element_has_a_minimal_definite_length() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 0x80]].concat();
        for (case, input, length) in [
            ("empty content", &[0x04, 0x00][..], Some(0)),
            ("short form", &[0x04, 0x02, 1, 2], Some(2)),
            ("long form", &long, Some(0x80)),
            ("long form of a short length", &[0x04, 0x81, 0x01, 1], None),
            ("long form with a leading zero", &[0x04, 0x82, 0x00, 0x80], None),
            ("indefinite length", &[0x30, 0x80, 0, 0], None),
            ("content that ends early", &[0x04, 0x02, 1], None),
            ("length of five bytes", &[0x04, 0x85, 1, 0, 0, 0, 0], None),
            ("tag of several bytes", &[0x1f, 0x81, 0x00, 0x00], None),
            ("object identifier", &[0x06, 0x03, 0x55, 0x81, 0x00], Some(3)),
            ("object identifier with a leading zero", &[0x06, 0x03, 0x55, 0x80, 0x04], None),
            ("object identifier that ends early", &[0x06, 0x02, 0x55, 0x84], None),
            ("no input", &[], None),
        ] {
            let element = Reader::new(input).element();
            assert_eq!(element.map(|element| element.content.len()), length, "{case}");
        }
    }

    #[test]
    fn integers_and_booleans_are_minimal() {
        for (content, expected) in [
            (&[0][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0, 0x80], Some(128)),
            (&[1, 0, 0, 0, 0], Some(u32::MAX)),
            (&[0, 0x7f], None),
            (&[0x80], None),
            (&[], None),
        ] {
            assert_eq!(unsigned(content), expected, "{content:?}");
        }
        for (content, expected) in [
            (&[0][..], true),
            (&[0xff], true),
            (&[0, 0x80], true),
            (&[0xff, 0x7f], true),
            (&[0, 0x7f], false),
            (&[0xff, 0x80], false),
            (&[], false),
        ] {
            assert_eq!(is_minimal(content), expected, "{content:?}");
        }
        assert_eq!([&[0][..], &[0xff], &[1], &[]].map(boolean), [Some(false), Some(true), None, None]);
    }
}
