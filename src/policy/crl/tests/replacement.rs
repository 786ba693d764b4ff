use super::{
    super::{ReplacementError as E, RevocationList},
    Ca,
    builder::{AUTHORITY_KEY, Crl, DELTA, tlv},
};

#[test]
fn replacement_that_loses_information_is_an_error() {
    let [ca, other] = ["CN=CA", "CN=other"].map(Ca::new);
    let list = |number| ca.list(&ca.crl(number));
    let of_key = |number, key: &[u8]| {
        ca.list(&ca.crl(number).extension(AUTHORITY_KEY, false, &tlv(0x30, &tlv(0x80, key))))
    };
    let users = |number| ca.list(&ca.crl(number).issuing_point(&[0x81, 1, 0xff]));
    let delta = |number| ca.list(&ca.crl(number).extension(DELTA, true, &[2, 1, 1]));
    let unnumbered = || ca.list(&Crl::bare(ca.name.der()));
    let early = || ca.list(&ca.crl(7).between("251201000000Z", "260201000000Z"));
    let elsewhere = || other.list(&other.crl(1));
    let issuer = || ca.name.clone();
    let lower =
        |new: Option<u8>| E::LowerNumber { issuer: issuer(), old: vec![7], new: new.map(|new| vec![new]) };
    let (old, new) = (early().this_update(), list(7).this_update());
    for (case, old, new, expected) in [
        ("unchanged", vec![list(7)], vec![list(7)], Ok(())),
        ("newer", vec![list(7)], vec![list(8)], Ok(())),
        ("first", vec![], vec![list(7)], Ok(())),
        ("more", vec![list(7)], vec![elsewhere(), users(1), list(7)], Ok(())),
        ("both", vec![list(7), elsewhere()], vec![elsewhere(), list(7), list(6)], Ok(())),
        ("empty", vec![list(7)], vec![], Err(E::MissingIssuer { issuer: issuer() })),
        ("another issuer", vec![list(7)], vec![elsewhere()], Err(E::MissingIssuer { issuer: issuer() })),
        ("another scope", vec![list(7), users(7)], vec![list(8)], Err(E::MissingScope { issuer: issuer() })),
        ("a delta", vec![list(7)], vec![delta(8)], Err(E::MissingScope { issuer: issuer() })),
        ("without the delta", vec![list(7), delta(8)], vec![list(7)], Ok(())),
        ("lower", vec![list(7)], vec![list(6)], Err(lower(Some(6)))),
        ("lower in a byte more", vec![list(7)], vec![list(0)], Err(lower(Some(0)))),
        ("without number", vec![list(7)], vec![unnumbered()], Err(lower(None))),
        ("with the first number", vec![unnumbered()], vec![list(1)], Ok(())),
        ("older", vec![list(7)], vec![early()], Err(E::Older { issuer: issuer(), old: new, new: old })),
        (
            "older under a new key",
            vec![of_key(7, b"1")],
            vec![early()],
            Err(E::Older { issuer: issuer(), old: new, new: old }),
        ),
        ("under a new key", vec![of_key(7, b"1")], vec![of_key(1, b"2")], Ok(())),
        (
            "of one of two keys",
            vec![of_key(7, b"1"), of_key(1, b"2")],
            vec![of_key(6, b"1"), of_key(9, b"2")],
            Err(lower(Some(6))),
        ),
    ] {
        assert_eq!(RevocationList::check_replacement(&old, &new), expected, "{case}");
    }
}

#[test]
fn replacement_errors_name_the_issuer() {
    let ca = Ca::new("CN=CA,O=Contoso");
    let (seven, six) = (ca.list(&ca.crl(7)), ca.list(&ca.crl(6)));
    let error = RevocationList::check_replacement(&[seven], &[six]).unwrap_err();
    assert_eq!(error.to_string(), "CRL of CN=CA,O=Contoso: its number falls from 07 to 06");
    assert_eq!(error.issuer(), &ca.name);
}
