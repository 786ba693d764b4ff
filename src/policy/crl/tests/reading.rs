use super::{
    super::{RevocationList, RevocationListLimitation as Limitation},
    Ca,
    builder::{
        AUTHORITY_KEY, CERTIFICATE_ISSUER, Crl, DELTA, ISSUING_POINT, NUMBER, REASON, UNKNOWN, extension,
        tlv, utc_time,
    },
    crl_pem,
};

fn read(der: Vec<u8>) -> Result<RevocationList, String> {
    match RevocationList::read(der) {
        Ok(mut lists) => Ok(lists.remove(0)),
        Err(error) => Err(error.to_string()),
    }
}

fn serial(hex: &str) -> crate::certificate::SerialNumber {
    hex.parse().unwrap()
}

#[test]
fn fields_of_a_list_are_read() {
    let ca = Ca::new("CN=CA,O=Contoso");
    let crl = ca
        .crl(0x7f)
        .extension(AUTHORITY_KEY, false, &tlv(0x30, &tlv(0x80, b"key")))
        .revoke(&[1])
        .revoke_with(&[0, 0xa1], &extension(REASON, false, &[0x0a, 1, 1]));
    let list = ca.list(&crl);
    assert_eq!((list.issuer(), list.len()), (&ca.name, 2));
    assert_eq!((list.number(), list.authority_key_id()), (Some(&[0x7f][..]), Some(&b"key"[..])));
    assert_eq!(list.this_update().to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(list.next_update().unwrap().to_string(), "2026-02-01T00:00:00Z");
    assert!(list.contains(&serial("01")) && list.contains(&serial("A1")) && !list.contains(&serial("02")));
    assert!(!list.is_verified() && list.limitation().is_none());
    assert_eq!(
        format!("{list:?}"),
        "RevocationList { issuer: CN=CA,O=Contoso, this_update: 2026-01-01T00:00:00Z, entries: 2, is_verified: \
         false, .. }"
    );
}

#[test]
fn pem_with_several_lists_is_read_in_order() {
    let [one, two] = ["CN=one", "CN=two"].map(Ca::new);
    let pem = crl_pem(&one.crl(1).sign(&one.key)) + "# two\n" + &crl_pem(&two.crl(2).sign(&two.key));
    let lists = RevocationList::read(pem.as_bytes()).unwrap();
    let issuers: Vec<_> = lists.iter().map(|list| list.issuer().clone()).collect();
    assert_eq!(issuers, [one.name.clone(), two.name]);

    let broken = one.crl(1).sign(&one.key);
    let broken = pem + &crl_pem(&broken[..broken.len() - 1]);
    let error = RevocationList::read(broken.into_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("line "), "{error}");
    assert!(error.to_string().contains("truncated") && error.line().is_some(), "{error}");
}

#[test]
fn malformed_list_is_an_error_that_names_the_part() {
    let ca = Ca::new("CN=CA");
    let crl = ca.crl(1);
    let number = |content: &[u8]| Crl::bare(ca.name.der()).extension(NUMBER, false, content);
    let entry = |content: &[u8]| Crl { entries: tlv(0x30, content), ..crl.clone() };
    let date = utc_time("251231000000Z");
    let with_entry_extensions = |content: &[u8]| entry(&[&[2, 1, 1], &*date, content].concat());
    let reason = extension(REASON, false, &[0x0a, 1, 1]);
    for (case, crl, message) in [
        ("version 3", Crl { version: vec![2, 1, 2], ..crl.clone() }, "its version is not 1 or 2"),
        ("version 1 with extensions", Crl { version: Vec::new(), ..crl.clone() }, "version 1"),
        (
            "another algorithm",
            Crl { algorithm: tlv(0x30, &tlv(6, UNKNOWN)), ..crl.clone() },
            "algorithms differ",
        ),
        ("empty issuer", Crl { issuer: vec![0x30, 0], ..crl.clone() }, "its issuer is empty"),
        ("malformed issuer", Crl { issuer: vec![0x31, 0], ..crl.clone() }, "distinguished name"),
        (
            "no thisUpdate",
            Crl { this_update: Vec::new(), next_update: Vec::new(), ..crl.clone() },
            "thisUpdate",
        ),
        (
            "thisUpdate without zone",
            Crl { this_update: utc_time("260101000000"), ..crl.clone() },
            "thisUpdate",
        ),
        ("nextUpdate on day 32", Crl { next_update: utc_time("260132000000Z"), ..crl.clone() }, "nextUpdate"),
        ("entry without date", entry(&[2, 1, 1]), "entry 1 is malformed"),
        ("entry with a redundant zero", entry(&[&[2, 2, 0, 1], &*date].concat()), "entry 1 is malformed"),
        ("entry without serial number", entry(&[&[2, 0], &*date].concat()), "entry 1 is malformed"),
        ("serial number of 33 bytes", entry(&[&*tlv(2, &[1; 33]), &date].concat()), "more than 32 bytes"),
        ("entry with text", entry(&[&[2, 1, 1], &*date, &[0x0c, 0]].concat()), "entry 1 is malformed"),
        ("entry without extensions in them", with_entry_extensions(&[0x30, 0]), "entry 1 is malformed"),
        (
            "second entry",
            Crl {
                entries: [entry(&[&[2, 1, 1], &*date].concat()).entries, vec![5, 0]].concat(),
                ..crl.clone()
            },
            "entry 2 is malformed",
        ),
        ("reason twice", with_entry_extensions(&tlv(0x30, &reason.repeat(2))), "entry 1 is malformed"),
        (
            "reason that is an INTEGER",
            with_entry_extensions(&tlv(0x30, &extension(REASON, false, &[2, 1, 1]))),
            "entry 1",
        ),
        (
            "empty reason",
            with_entry_extensions(&tlv(0x30, &extension(REASON, false, &[0x0a, 0]))),
            "entry 1 is malformed",
        ),
        ("negative number", number(&[2, 1, 0x80]), "its CRL number is malformed"),
        ("number of 21 bytes", number(&tlv(2, &[1; 21])), "its CRL number is malformed"),
        ("number with a redundant zero", number(&[2, 2, 0, 1]), "its CRL number is malformed"),
        ("number twice", crl.clone().extension(NUMBER, false, &[2, 1, 1]), "its extensions are malformed"),
        ("key identifier", crl.clone().extension(AUTHORITY_KEY, false, &[5, 0]), "authority key identifier"),
        ("delta indicator", crl.clone().extension(DELTA, true, &[5, 0]), "delta CRL indicator"),
        ("issuing point", crl.clone().extension(ISSUING_POINT, true, &[5, 0]), "issuing distribution point"),
        ("BOOLEAN of 1", crl.clone().issuing_point(&[0x81, 1, 1]), "issuing distribution point"),
        ("unknown field", crl.clone().issuing_point(&[0x86, 1, 0xff]), "issuing distribution point"),
        ("no names", crl.clone().issuing_point(&[0xa0, 2, 0xa0, 0]), "issuing distribution point"),
        (
            "65 extensions",
            (0..64).fold(crl.clone(), |crl, more| crl.extension(&[0x2a, 9, more], false, &[])),
            "extensions",
        ),
    ] {
        let error = read(crl.sign(&ca.key)).unwrap_err();
        assert!(error.contains(message), "{case}: {error}");
    }
    let der = crl.sign(&ca.key);
    let no_signature = tlv(0x30, &der[4..4 + 20]);
    for (case, der, message) in [
        ("nothing", Vec::new(), "no PEM section"),
        ("text", b"hello".to_vec(), "no PEM section"),
        ("a digit", b"0 lists".to_vec(), "no PEM section"),
        ("a certificate", pem_block("CERTIFICATE", &der), "CERTIFICATE block: not expected here"),
        ("a byte more", [&*der, &[0]].concat(), "bytes after the end"),
        ("two in DER", [&*der, &der].concat(), "bytes after the end"),
        ("no signature", no_signature, "not a certificate revocation list"),
    ] {
        let error = read(der).unwrap_err();
        assert!(error.contains(message), "{case}: {error}");
    }
}

fn pem_block(label: &str, der: &[u8]) -> Vec<u8> {
    crl_pem(der).replace("X509 CRL", label).into_bytes()
}

#[test]
fn damaged_list_is_read_or_an_error_and_never_a_panic() {
    let ca = Ca::new("CN=CA");
    let point = tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://crl.contoso.com")));
    let crl = ca.crl(1).issuing_point(&point).revoke(&[7; 20]);
    let crl = crl.revoke_with(&[9], &extension(REASON, false, &[0x0a, 1, 1]));
    let der = crl.sign(&ca.key);
    for at in 0..der.len() {
        let error = read(der[..at].to_vec()).unwrap_err();
        assert!(at < 4 || error.starts_with("truncated: "), "cut at {at}: {error}");
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = der.clone();
            damaged[at] ^= flip;
            if let Ok(list) = read(damaged) {
                let is_verified =
                    list.is_signed_by(&ca.spki, &mut |signed, spki| super::verify(signed, spki));
                assert!(!is_verified, "byte {at} changed by {flip:#x}");
            }
        }
    }
    assert!(ca.list(&crl).is_signed_by(&ca.spki, &mut |signed, spki| super::verify(signed, spki)));
}

#[test]
fn limitation_names_the_reason() {
    let ca = Ca::new("CN=CA");
    let other = tlv(0x30, &tlv(0xa4, super::name("CN=other").der()));
    let oid = || Some(Limitation::CriticalExtension("1.2.3.4".into()));
    for (case, crl, expected) in [
        ("complete", ca.crl(1), None),
        ("unknown extension", ca.crl(1).extension(UNKNOWN, false, b""), None),
        ("critical unknown extension", ca.crl(1).extension(UNKNOWN, true, b""), oid()),
        ("unknown extension of an entry", ca.crl(1).revoke_with(&[1], &extension(UNKNOWN, false, b"")), None),
        ("critical one", ca.crl(1).revoke_with(&[1], &extension(UNKNOWN, true, b"")), oid()),
        (
            "critical number",
            Crl::bare(ca.name.der()).extension(NUMBER, true, &[2, 1, 1]),
            Some(Limitation::CriticalExtension("2.5.29.20".into())),
        ),
        ("delta", ca.crl(1).extension(DELTA, true, &[2, 1, 1]), Some(Limitation::Delta)),
        ("indirect", ca.crl(1).issuing_point(&[0x84, 1, 0xff]), Some(Limitation::Indirect)),
        (
            "entry of another issuer",
            ca.crl(1).revoke_with(&[1], &extension(CERTIFICATE_ISSUER, true, &other)),
            Some(Limitation::Indirect),
        ),
        ("no number", Crl::bare(ca.name.der()), Some(Limitation::NoNumber)),
        ("version 1", Crl { version: Vec::new(), ..Crl::bare(ca.name.der()) }, Some(Limitation::NoNumber)),
        ("no nextUpdate", Crl { next_update: Vec::new(), ..ca.crl(1) }, Some(Limitation::NoNextUpdate)),
    ] {
        assert_eq!(ca.list(&crl).limitation(), expected.as_ref(), "{case}");
    }
}

#[test]
fn entries_count_for_the_own_issuer_only() {
    let ca = Ca::new("CN=CA");
    let issuer =
        |text: &str| extension(CERTIFICATE_ISSUER, true, &tlv(0x30, &tlv(0xa4, super::name(text).der())));
    let crl = ca.crl(1).revoke(&[1]).revoke_with(&[2], &issuer("CN=other")).revoke(&[3]);
    let crl = crl.revoke_with(&[4], &issuer("CN=ca")).revoke(&[5]);
    let list = ca.list(&crl);
    let listed = || -> Vec<u8> { (1..=5).filter(|serial| list.lists(&[*serial])).collect() };
    assert_eq!((listed(), list.len()), (vec![1, 4, 5], 5));
    assert!(list.is_signed_by(&ca.spki, &mut super::verify));
    assert_eq!((listed(), list.len()), (vec![1, 4, 5], 5), "verified");

    let removed = extension(REASON, false, &[0x0a, 1, 8]);
    let delta = ca.crl(2).extension(DELTA, true, &[2, 1, 1]).revoke(&[1]).revoke_with(&[2], &removed);
    let delta = ca.list(&delta);
    assert!(delta.lists(&[1]) && !delta.lists(&[2]));
}
