//! Times of lists: UTCTime and GeneralizedTime in the form of RFC 5280, section 5.1.2.4.

use x509_parser::{prelude::FromDer, time::ASN1Time};

use super::super::path::der::{Element, GENERALIZED_TIME, UTC_TIME};
use crate::certificate::Timestamp;

/// Returns true for YYMMDDHHMMSSZ and YYYYMMDDHHMMSSZ.
pub(super) fn has_time_form(element: &Element<'_>) -> bool {
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

pub(super) fn read(element: &Element<'_>) -> Option<Timestamp> {
    if !has_time_form(element) {
        return None;
    }
    let (_, time) = ASN1Time::from_der(element.encoding).ok()?;
    Some(Timestamp::from_unix(time.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::{super::super::path::der::Reader, *};

    #[test]
    fn times_are_read_in_utc_only() {
        for (tag, text, expected) in [
            (UTC_TIME, "260101000000Z", Some("2026-01-01T00:00:00Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (UTC_TIME, "2601010000Z", None),
            (UTC_TIME, "260101000000+0100", None),
            (UTC_TIME, "261301000000Z", None),
            (UTC_TIME, "260230000000Z", None),
            (GENERALIZED_TIME, "20260101000000.5Z", None),
            (GENERALIZED_TIME, "20260101000000", None),
            (0x13, "260101000000Z", None),
        ] {
            let der = [&[tag, text.len() as u8], text.as_bytes()].concat();
            let read = read(&Reader::new(&der).element().unwrap()).map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
