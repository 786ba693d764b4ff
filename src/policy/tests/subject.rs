//! Rules about organizational unit, organization and country.

use rcgen::DnValue;

use super::*;

const UNIT: &[u64] = &[2, 5, 4, 11];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];
const COUNTRY: &[u64] = &[2, 5, 4, 6];

/// A certificate whose subject has these attributes, by object identifier: rcgen keeps one value of each named kind.
fn certificate(attributes: &[(&[u64], DnValue)]) -> Certificate {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (index, (oid, value)) in attributes.iter().enumerate() {
        let kind = match (index, *oid) {
            (0, UNIT) => DnType::OrganizationalUnitName,
            (0, ORGANIZATION) => DnType::OrganizationName,
            (0, COUNTRY) => DnType::CountryName,
            _ => DnType::CustomDnType(oid.to_vec()),
        };
        params.distinguished_name.push(kind, value.clone());
    }
    let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    Certificate::from_der(made.der()).unwrap()
}

#[test]
fn subject_rules_compare_one_attribute_and_fail_closed_on_doubt() {
    let text = |value: &str| DnValue::from(value);
    let teletex = || DnValue::TeletexString("orders".try_into().unwrap());
    let unit = || Rule::organizational_unit(["Orders", "Billing"]);
    let organization = || Rule::organization(["Contoso, Ltd"]);
    let country = || Rule::country(["DE"]);
    for (case, rule, attributes, expected) in [
        ("the unit", unit(), vec![(UNIT, text("orders"))], Answer::Holds),
        ("one of two units", unit(), vec![(UNIT, text("it")), (UNIT, text("BILLING"))], Answer::Holds),
        ("two other units", unit(), vec![(UNIT, text("it")), (UNIT, text("hr"))], Answer::Fails),
        ("no unit", unit(), vec![(ORGANIZATION, text("orders"))], Answer::Fails),
        ("a longer unit", unit(), vec![(UNIT, text("orders of x"))], Answer::Fails),
        ("an unreadable unit", unit(), vec![(UNIT, teletex())], Answer::CannotTell),
        ("a unit with a hidden character", unit(), vec![(UNIT, text("or\u{200b}ders"))], Answer::CannotTell),
        ("the organization", organization(), vec![(ORGANIZATION, text("CONTOSO,  Ltd"))], Answer::Holds),
        (
            "two organizations",
            organization(),
            vec![(ORGANIZATION, text("Contoso, Ltd")), (ORGANIZATION, text("x"))],
            Answer::CannotTell,
        ),
        ("another organization", organization(), vec![(ORGANIZATION, text("Contoso"))], Answer::Fails),
        ("the organization as a unit", organization(), vec![(UNIT, text("Contoso, Ltd"))], Answer::Fails),
        ("the country", country(), vec![(COUNTRY, text("de"))], Answer::Holds),
        ("another country", country(), vec![(COUNTRY, text("DK"))], Answer::Fails),
        ("two countries", country(), vec![(COUNTRY, text("DE")), (COUNTRY, text("DK"))], Answer::CannotTell),
    ] {
        assert_eq!(answer(&rule, &certificate(&attributes)).0, expected, "{case}");
    }
}

#[test]
fn subject_attributes_are_listed_in_encoding_order() {
    let certificate =
        certificate(&[(UNIT, "it".into()), (UNIT, "hr".into()), (ORGANIZATION, "Contoso".into())]);
    let subject = certificate.subject();
    assert!(subject.organizational_units().eq(["it", "hr"]));
    assert!(subject.organizations().eq(["Contoso"]));
    assert_eq!(subject.countries().count(), 0);
}
