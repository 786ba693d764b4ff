//! Attribute types and their keywords.

/// Attribute types by the content bytes of their object identifiers: 2.5.4.3, .6, .10 and .11.
pub(super) const COMMON_NAME: &[u8] = &[85, 4, 3];
pub(super) const COUNTRY: &[u8] = &[85, 4, 6];
pub(super) const ORGANIZATION: &[u8] = &[85, 4, 10];
pub(super) const ORGANIZATIONAL_UNIT: &[u8] = &[85, 4, 11];

/// Object identifier (content bytes), the printed keyword, and further keywords that parse: those of RFC 4514 and RFC 4519,
/// .NET (`S`, `E`, `G`, `SN`, `T`) and openssl.
const KEYWORDS: &[(&[u8], &str, &[&str])] = &[
    (COMMON_NAME, "CN", &["commonName"]),
    (&[85, 4, 4], "SN", &["surname"]),
    (&[85, 4, 5], "serialNumber", &[]),
    (COUNTRY, "C", &["countryName"]),
    (&[85, 4, 7], "L", &["localityName"]),
    (&[85, 4, 8], "ST", &["S", "stateOrProvinceName"]),
    (&[85, 4, 9], "STREET", &["streetAddress"]),
    (ORGANIZATION, "O", &["organizationName"]),
    (ORGANIZATIONAL_UNIT, "OU", &["organizationalUnitName"]),
    (&[85, 4, 12], "title", &["T"]),
    (&[85, 4, 15], "businessCategory", &[]),
    (&[85, 4, 17], "postalCode", &[]),
    (&[85, 4, 42], "givenName", &["GN", "G"]),
    (&[85, 4, 43], "initials", &[]),
    (&[85, 4, 46], "dnQualifier", &[]),
    (&[85, 4, 97], "organizationIdentifier", &[]),
    (&[9, 146, 38, 137, 147, 242, 44, 100, 1, 1], "UID", &["userId"]),
    (&[9, 146, 38, 137, 147, 242, 44, 100, 1, 25], "DC", &["domainComponent"]),
    (&[42, 134, 72, 134, 247, 13, 1, 9, 1], "emailAddress", &["E", "email"]),
];

/// The printed keyword of an attribute type.
pub(super) fn of(oid: &[u8]) -> Option<&'static str> {
    KEYWORDS.iter().find(|(known, ..)| *known == oid).map(|(_, keyword, _)| *keyword)
}

/// The attribute type of a keyword, ignoring case.
pub(super) fn oid(keyword: &str) -> Option<&'static [u8]> {
    let names = |keywords: &[&str]| keywords.iter().any(|known| known.eq_ignore_ascii_case(keyword));
    KEYWORDS.iter().find(|(_, printed, others)| names(&[printed]) || names(others)).map(|(oid, ..)| *oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_name_one_attribute_type_each() {
        for (oid_octets, printed, others) in KEYWORDS {
            for keyword in others.iter().chain([printed]) {
                assert_eq!(oid(keyword), Some(*oid_octets), "{keyword}");
            }
            assert_eq!(of(oid_octets), Some(*printed));
        }
    }
}
