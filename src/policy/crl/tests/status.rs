use std::{cell::Cell, slice::from_ref};

use rcgen::KeyPair;

use super::{
    super::{
        Issuer, Revocation, RevocationList, RevocationListLimitation as Limitation, RevocationMode, Status,
        Subject,
        UnknownReason::{self as Why, SomeReasons},
    },
    Ca,
    builder::{CERTIFICATE_ISSUER, Crl, DELTA, UNKNOWN, extension, tlv},
    name, verify,
};
use crate::{certificate::Timestamp, pki::NOON};

/// The first second of February 2026, the nextUpdate of most lists.
const FEBRUARY: i64 = NOON + 31 * 86_400;

struct Case<'a> {
    ca: &'a Ca,
    serial: u8,
    is_ca: bool,
    points: Option<Vec<u8>>,
    now: i64,
}

impl<'a> Case<'a> {
    fn new(ca: &'a Ca, serial: u8) -> Self {
        Self { ca, serial, is_ca: false, points: None, now: NOON + 60 }
    }

    fn status(&self, lists: &[RevocationList]) -> Status {
        self.status_by(&self.ca.issuer(), lists)
    }

    fn status_by(&self, issuer: &Issuer<'_>, lists: &[RevocationList]) -> Status {
        let revocation = Revocation::new(RevocationMode::Strict, lists.iter().cloned());
        let subject = Subject {
            issuer: &self.ca.name,
            serial: &[self.serial],
            is_ca: self.is_ca,
            distribution_points: self.points.as_deref(),
        };
        revocation.status(&subject, issuer, Timestamp::from_unix(self.now), &mut verify)
    }
}

fn good() -> Status {
    Status::Good { until: Timestamp::from_unix(FEBRUARY) }
}

fn unknown(reason: Why) -> Status {
    Status::Unknown(reason)
}

#[test]
fn listed_certificate_is_revoked_and_another_is_good_until_the_next_update() {
    let ca = Ca::new("CN=CA");
    let list = ca.list(&ca.crl(1).revoke(&[7]));
    let at = |now: i64, serial: u8| Case { now, ..Case::new(&ca, serial) }.status(from_ref(&list));
    let early = unknown(Why::NotYetValid(Timestamp::from_unix(NOON)));
    let overdue = unknown(Why::Overdue(Timestamp::from_unix(FEBRUARY)));
    for (case, now, other) in [
        ("before thisUpdate", NOON - 1, early),
        ("at thisUpdate", NOON, good()),
        ("at nextUpdate", FEBRUARY, good()),
        ("after nextUpdate", FEBRUARY + 1, overdue),
    ] {
        assert_eq!(at(now, 7), Status::Revoked, "{case}");
        assert_eq!(at(now, 8), other, "{case}");
    }
}

#[test]
fn list_counts_only_with_a_key_of_its_issuer_and_only_revokes_if_it_may_not_sign_lists() {
    let [ca, other] = ["CN=CA", "CN=other"].map(Ca::new);
    let crl = ca.crl(1).revoke(&[7]);
    let forged = RevocationList::read(crl.sign(&other.key)).unwrap().remove(0);
    let foreign = other.list(&other.crl(1).revoke(&[7]));
    let case = Case::new(&ca, 7);
    assert_eq!(case.status(&[]), unknown(Why::NoList));
    assert_eq!(case.status(&[foreign]), unknown(Why::NoList));
    assert_eq!(case.status(&[forged]), unknown(Why::Signature));
    let list = ca.list(&crl);
    let issuer = Issuer { may_sign_crls: false, ..ca.issuer() };
    assert_eq!(case.status_by(&issuer, from_ref(&list)), Status::Revoked);
    assert!(list.is_verified());
    assert_eq!(Case::new(&ca, 8).status_by(&issuer, from_ref(&list)), unknown(Why::KeyUsage));
    assert_eq!(Case::new(&ca, 8).status(from_ref(&list)), good());
}

#[test]
fn issuer_with_two_keys_has_a_list_of_each() {
    let old = Ca::new("CN=CA");
    let new = Ca { name: name("CN=ca"), ..Ca::new("CN=CA") };
    let lists = [old.list(&old.crl(9).revoke(&[7])), new.list(&new.crl(1).revoke(&[8]))];
    for _ in 0..2 {
        assert_eq!(Case::new(&old, 7).status(&lists), Status::Revoked);
        assert_eq!(Case::new(&old, 8).status(&lists), good());
        assert_eq!(Case::new(&new, 7).status(&lists), good());
        assert_eq!(Case::new(&new, 8).status(&lists), Status::Revoked);
    }
    assert_eq!(Case::new(&new, 7).status(&lists[..1]), unknown(Why::Signature));
}

#[test]
fn signature_is_verified_once_for_each_key() {
    let [ca, other] = ["CN=CA", "CN=CA"].map(Ca::new);
    let list = ca.list(&ca.crl(1));
    let revocation = Revocation::new(RevocationMode::Soft, [list.clone()]);
    let calls = Cell::new(0);
    let mut counted = |signed: &super::Signed<'_>, spki: &[u8]| {
        calls.set(calls.get() + 1);
        verify(signed, spki)
    };
    let subject = Subject { issuer: &ca.name, serial: &[1], is_ca: false, distribution_points: None };
    let mut status =
        |issuer: &Issuer<'_>| revocation.status(&subject, issuer, Timestamp::from_unix(NOON), &mut counted);
    assert_eq!(revocation.unverified(), 1);
    for _ in 0..3 {
        assert_eq!(status(&other.issuer()), unknown(Why::Signature));
    }
    assert_eq!((calls.get(), revocation.unverified()), (1, 1));
    for _ in 0..3 {
        assert_eq!(status(&ca.issuer()), good());
        assert_eq!(status(&other.issuer()), unknown(Why::Signature));
    }
    // The copy of the list is verified with it.
    assert_eq!((calls.get(), revocation.unverified(), list.is_verified()), (2, 0, true));

    let at_load = Revocation::new(RevocationMode::Soft, [ca.list(&ca.crl(1)), other.list(&other.crl(1))]);
    at_load.verify_lists_of(&ca.issuer(), &mut verify);
    assert_eq!(at_load.unverified(), 1);

    let untried = Revocation::new(RevocationMode::Soft, [ca.list(&ca.crl(1))]);
    let status = |verify: &mut dyn FnMut(&super::Signed<'_>, &[u8]) -> Option<bool>| {
        untried.status(&subject, &ca.issuer(), Timestamp::from_unix(NOON), verify)
    };
    assert_eq!(status(&mut |_, _| None), unknown(Why::Signature));
    assert_eq!(status(&mut verify), good(), "a key that was not tried is tried later");
}

#[test]
fn keys_that_did_not_sign_a_list_are_forgotten_beyond_a_limit() {
    let ca = Ca::new("CN=CA");
    let list = ca.list(&ca.crl(1));
    for _ in 0..40 {
        let key = rcgen::PublicKeyData::subject_public_key_info(&KeyPair::generate().unwrap());
        assert!(!list.is_signed_by(&key, &mut verify));
    }
    assert!(list.is_signed_by(&ca.spki, &mut verify));
}

#[test]
fn newest_list_of_a_series_counts() {
    let [ca, other] = ["CN=CA", "CN=CA"].map(Ca::new);
    let held = ca.list(&ca.crl(7).revoke(&[7]));
    let released = ca.list(&ca.crl(8));
    let future = ca.list(&ca.crl(9).between("270101000000Z", "270201000000Z"));
    let forged = RevocationList::read(ca.crl(9).sign(&other.key)).unwrap().remove(0);
    let users = ca.list(&ca.crl(9).issuing_point(&[0x81, 1, 0xff]));
    for (case, lists, expected) in [
        ("newer", vec![held.clone(), released.clone()], good()),
        ("newer first", vec![released, held.clone()], good()),
        ("from the future", vec![held.clone(), future], Status::Revoked),
        ("by another key", vec![held.clone(), forged], Status::Revoked),
        ("of another scope", vec![held, users], Status::Revoked),
    ] {
        assert_eq!(Case::new(&ca, 7).status(&lists), expected, "{case}");
    }
}

#[test]
fn list_with_a_limitation_revokes_but_shows_nothing_else() {
    let ca = Ca::new("CN=CA");
    let oid = || Limitation::CriticalExtension("1.2.3.4".into());
    let foreign = extension(CERTIFICATE_ISSUER, true, &tlv(0x30, &tlv(0xa4, name("CN=other").der())));
    for (case, crl, limitation) in [
        ("critical extension", ca.crl(1).extension(UNKNOWN, true, b""), oid()),
        ("of an entry", ca.crl(1).revoke_with(&[9], &extension(UNKNOWN, true, b"")), oid()),
        ("delta", ca.crl(1).extension(DELTA, true, &[2, 1, 1]), Limitation::Delta),
        ("indirect", ca.crl(1).issuing_point(&[0x84, 1, 0xff]), Limitation::Indirect),
        ("of another issuer too", ca.crl(1).revoke(&[7]).revoke_with(&[8], &foreign), Limitation::Indirect),
        ("no number", Crl::bare(ca.name.der()), Limitation::NoNumber),
        ("no nextUpdate", Crl { next_update: Vec::new(), ..ca.crl(1) }, Limitation::NoNextUpdate),
    ] {
        let (limited, complete) = (ca.list(&crl.revoke(&[7])), ca.list(&ca.crl(1)));
        let lists = [limited, complete];
        assert_eq!(Case::new(&ca, 7).status(&lists[..1]), Status::Revoked, "{case}");
        assert_eq!(Case::new(&ca, 8).status(&lists[..1]), unknown(Why::Limitation(limitation)), "{case}");
        // A list with a number replaces one without.
        let listed = if lists[0].number().is_some() { Status::Revoked } else { good() };
        assert_eq!(Case::new(&ca, 7).status(&lists), listed, "{case}");
        assert_eq!(Case::new(&ca, 8).status(&lists), good(), "{case}");
    }
}

/// fullName with one URI.
fn uri(text: &str) -> Vec<u8> {
    tlv(0xa0, &tlv(0xa0, &tlv(0x86, text.as_bytes())))
}

/// fullName with one directory name.
fn directory(text: &str) -> Vec<u8> {
    tlv(0xa0, &tlv(0xa0, &tlv(0xa4, name(text).der())))
}

/// nameRelativeToCRLIssuer with one common name.
fn relative(text: &str) -> Vec<u8> {
    let attribute = [tlv(6, &[0x55, 4, 3]), tlv(0x0c, text.as_bytes())].concat();
    tlv(0xa0, &tlv(0xa1, &tlv(0x30, &attribute)))
}

/// cRLDistributionPoints of points with these fields.
fn points(fields: &[Vec<u8>]) -> Option<Vec<u8>> {
    Some(tlv(0x30, &fields.iter().map(|fields| tlv(0x30, fields)).collect::<Vec<_>>().concat()))
}

#[test]
fn list_covers_the_certificates_and_distribution_points_of_its_scope() {
    let ca = Ca::new("CN=CA");
    let (one, two) = ("http://crl.contoso.com/1", "http://crl.contoso.com/2");
    let crl_issuer = |text: &str| tlv(0xa2, &tlv(0xa4, name(text).der()));
    let outside = || unknown(Why::Scope);
    for (case, scope, is_ca, points, expected) in [
        ("users", vec![0x81, 1, 0xff], false, None, good()),
        ("users, CA", vec![0x81, 1, 0xff], true, None, outside()),
        ("CAs", vec![0x82, 1, 0xff], true, None, good()),
        ("CAs, user", vec![0x82, 1, 0xff], false, None, outside()),
        ("attribute certificates", vec![0x85, 1, 0xff], false, None, outside()),
        ("none of them", vec![0x81, 1, 0], true, None, good()),
        ("no point for a named list", uri(one), false, None, outside()),
        ("the same URI", uri(one), false, points(&[uri(one)]), good()),
        ("another URI", uri(one), false, points(&[uri(two)]), outside()),
        ("one of two points", uri(one), false, points(&[uri(two), uri(one)]), good()),
        ("a list for all points", vec![], false, points(&[uri(two)]), good()),
        ("a directory name", directory("CN=list"), false, points(&[directory("CN=LIST")]), good()),
        ("another one", directory("CN=list"), false, points(&[directory("CN=other")]), outside()),
        ("the issuer's own name", directory("CN=CA"), false, None, good()),
        ("relative names", relative("list"), false, points(&[relative("List")]), good()),
        ("relative and full", directory("CN=list,CN=CA"), false, points(&[relative("list")]), good()),
        ("full and relative", relative("list"), false, points(&[directory("CN=list,CN=CA")]), good()),
        ("another relative name", relative("list"), false, points(&[relative("other")]), outside()),
        (
            "another CRL issuer",
            uri(one),
            false,
            points(&[[uri(one), crl_issuer("CN=x")].concat()]),
            outside(),
        ),
        (
            "itself as CRL issuer",
            uri(one),
            false,
            points(&[[uri(one), crl_issuer("CN=ca")].concat()]),
            good(),
        ),
        ("the CRL issuer's name alone", directory("CN=CA"), false, points(&[crl_issuer("CN=CA")]), good()),
        ("malformed points", vec![], false, Some(vec![0x30, 1, 0]), unknown(Why::DistributionPoints)),
        (
            "name of an unknown form",
            vec![],
            false,
            points(&[tlv(0xa0, &tlv(0xa0, &tlv(0x89, b"a")))]),
            unknown(Why::DistributionPoints),
        ),
        ("65 points", vec![], false, points(&vec![uri(two); 65]), unknown(Why::DistributionPoints)),
    ] {
        let crl = if scope.is_empty() { ca.crl(1) } else { ca.crl(1).issuing_point(&scope) };
        let list = ca.list(&crl.revoke(&[7]));
        let case_of = |serial| Case { is_ca, points: points.clone(), ..Case::new(&ca, serial) };
        assert_eq!(case_of(8).status(from_ref(&list)), expected, "{case}");
        // The serial numbers of attribute certificates are others.
        let listed = if scope.first() == Some(&0x85) { outside() } else { Status::Revoked };
        assert_eq!(case_of(7).status(&[list]), listed, "{case}, listed");
    }
}

#[test]
fn status_is_known_only_if_all_reasons_are_covered() {
    let ca = Ca::new("CN=CA");
    // keyCompromise and cACompromise; all others; all.
    let (compromise, others, all) = ([0x83, 2, 5, 0x60], [0x83, 3, 7, 0x1f, 0x80], [0x83, 3, 7, 0x7f, 0x80]);
    let list = |number, reasons: &[u8], until: &str| {
        ca.list(&ca.crl(number).issuing_point(reasons).between("260101000000Z", until))
    };
    let (february, march) = ("260201000000Z", "260301000000Z");
    let march_second = Timestamp::from_unix(FEBRUARY + 28 * 86_400);
    for (case, lists, expected) in [
        ("some", vec![list(1, &compromise, february)], unknown(SomeReasons)),
        ("all in one", vec![list(1, &all, february)], good()),
        ("all in two", vec![list(1, &compromise, march), list(1, &others, february)], good()),
        (
            "the same twice",
            vec![list(1, &compromise, march), list(1, &compromise, february)],
            unknown(SomeReasons),
        ),
        (
            "one of them overdue",
            vec![list(1, &compromise, february), list(1, &others, "260101000001Z")],
            unknown(SomeReasons),
        ),
        (
            "longer for all",
            vec![list(1, &compromise, february), list(1, &all, march)],
            Status::Good { until: march_second },
        ),
    ] {
        assert_eq!(Case::new(&ca, 8).status(&lists), expected, "{case}");
    }

    // A distribution point for some reasons.
    let uri = uri("http://crl.contoso.com/1");
    let named = ca.list(&ca.crl(1).issuing_point(&uri));
    let some = |reasons: &[u8]| Case {
        points: points(&[[&*uri, &[0x81], &reasons[1..]].concat()]),
        ..Case::new(&ca, 8)
    };
    assert_eq!(some(&compromise).status(from_ref(&named)), unknown(SomeReasons));
    assert_eq!(some(&all).status(from_ref(&named)), good());
    assert_eq!(some(&compromise).status(&[named, list(1, &others, february)]), good());
}
