//! Revocation status along a path.

use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, Issuer, KeyIdMethod, KeyPair,
    PKCS_RSA_SHA256, PublicKeyData, RevokedCertParams, RsaKeySize, date_time_ymd,
};

use super::{
    forge::{Forge, key, name},
    *,
};
use crate::{
    certificate::Thumbprint,
    policy::{
        Answer, IssuerPins, Revocation, RevocationList, RevocationMode, SignatureAlgorithm, TrustAnchors,
        crl::tests::builder::Crl,
    },
};

/// A list of a CA, signed with the key of a name.
fn list(issuer: &str, signer: &str, change: impl FnOnce(Crl) -> Crl) -> RevocationList {
    let list = change(Crl::numbered(&name(issuer), 1)).sign(&key(signer));
    RevocationList::read(&list).unwrap().remove(0)
}

fn verify_with_lists(
    mode: RevocationMode,
    lists: &[RevocationList],
    chain: &[Vec<u8>],
) -> Result<ValidPath, PathError> {
    verify_as_required(ChainRequirements::new(), mode, lists, chain)
}

fn verify_as_required(
    requirements: ChainRequirements,
    mode: RevocationMode,
    lists: &[RevocationList],
    chain: &[Vec<u8>],
) -> Result<ValidPath, PathError> {
    let certificate = Certificate::from_der(&chain[0]).unwrap();
    let mut root = Root::read(&Forge::ca("root").der()).unwrap();
    root.requirements = requirements.into();
    root.set_revocation(Revocation::new(mode, lists.to_vec()));
    super::super::verify(&certificate, chain[1..].iter().map(Vec::as_slice), &[root], NOW.plus(60))
}

fn verdicts(lists: &[RevocationList], chain: &[Vec<u8>]) -> [ChainVerdict; 2] {
    verdicts_as_required(&ChainRequirements::new(), lists, chain)
}

fn verdicts_as_required(
    requirements: &ChainRequirements,
    lists: &[RevocationList],
    chain: &[Vec<u8>],
) -> [ChainVerdict; 2] {
    [RevocationMode::Soft, RevocationMode::Strict].map(|mode| {
        let valid = verify_as_required(requirements.clone(), mode, lists, chain);
        valid.map_or_else(|error| error.verdict(), |_| ChainVerdict::Trusted)
    })
}

/// Certificates of version 3 with serial number 7.
fn numbered(forge: Forge) -> Forge {
    Forge { serial: vec![7], not_after: NOON + 1_000_000_000, ..forge }
}

const SAME: fn(Crl) -> Crl = |crl| crl;

#[test]
fn every_certificate_below_the_root_is_checked() {
    let issuing = numbered(Forge::ca("issuing").by("root")).der();
    let chain = [numbered(Forge::new("orders").by("issuing")).der(), issuing];
    let revoked = |crl: Crl| crl.revoke(&[7]);
    let other = |crl: Crl| crl.revoke(&[8]);
    let overdue = |crl: Crl| crl.between("251201000000Z", "251231000000Z");
    let good = [ChainVerdict::Trusted; 2];
    let bad = [ChainVerdict::Revoked; 2];
    let unknown = [ChainVerdict::Trusted, ChainVerdict::RevocationUnknown];
    for (case, by_root, by_issuing, expected) in [
        ("no entries", list("root", "root", SAME), list("issuing", "issuing", SAME), good),
        ("other entries", list("root", "root", other), list("issuing", "issuing", other), good),
        ("leaf revoked", list("root", "root", SAME), list("issuing", "issuing", revoked), bad),
        ("CA revoked", list("root", "root", revoked), list("issuing", "issuing", SAME), bad),
        ("overdue", list("root", "root", SAME), list("issuing", "issuing", overdue), unknown),
        (
            "revoked by an overdue list",
            list("root", "root", SAME),
            list("issuing", "issuing", |crl| revoked(overdue(crl))),
            bad,
        ),
        ("another key", list("root", "root", SAME), list("issuing", "impostor", revoked), unknown),
        ("another name", list("root", "root", SAME), list("other", "issuing", revoked), unknown),
    ] {
        assert_eq!(verdicts(&[by_root, by_issuing], &chain), expected, "{case}");
    }
    assert_eq!(verdicts(&[], &chain), unknown, "no list");
    let error = verify_with_lists(RevocationMode::Strict, &[], &chain).unwrap_err().to_string();
    let expected = r#"the revocation status of CA "CN=issuing" is unknown: no CRL of its issuer is loaded"#;
    assert_eq!(error, expected);
    let lists = [list("root", "root", SAME), list("issuing", "issuing", revoked)];
    let error = verify_with_lists(RevocationMode::Soft, &lists, &chain).unwrap_err().to_string();
    assert_eq!(error, "the client certificate is revoked");
}

#[test]
fn valid_path_ends_with_the_first_next_update() {
    let chain = [numbered(Forge::new("orders").by("root")).der()];
    let lists = [list("root", "root", SAME)];
    let root = numbered(Forge::ca("root")).der();
    let mut root = Root::read(&root).unwrap();
    root.set_revocation(Revocation::new(RevocationMode::Strict, lists));
    let certificate = Certificate::from_der(&chain[0]).unwrap();
    let path = super::super::verify(&certificate, std::iter::empty(), &[root], NOW.plus(60)).unwrap();
    assert_eq!(path.until.to_string(), "2026-02-01T00:00:00Z");
}

#[test]
fn ca_without_crl_sign_has_no_lists() {
    let issuing = Forge::ca("issuing").by("root").key_usage(0x04).der();
    let chain = [Forge::new("orders").by("issuing").der(), issuing];
    let lists = [list("root", "root", SAME), list("issuing", "issuing", SAME)];
    assert_eq!(verdicts(&lists, &chain), [ChainVerdict::Trusted, ChainVerdict::RevocationUnknown]);
}

#[test]
fn list_is_signed_by_another_key_of_the_same_ca() {
    let leaf = numbered(Forge::new("orders").by("issuing")).der();
    let issuing = Forge::ca("issuing").by("root").key_usage(0x04);
    let signer = Forge::new("issuing").with_key("lists").by("root").key_usage(0x02);
    let revoked = |crl: Crl| crl.revoke(&[7]);
    let lists = |change: fn(Crl) -> Crl| [list("root", "root", SAME), list("issuing", "lists", change)];
    let (issuing, sent) = (issuing.der(), signer.der());
    let unknown = [ChainVerdict::Trusted, ChainVerdict::RevocationUnknown];
    let expired = Forge { not_after: NOON, ..signer.clone() }.der();
    let unrelated = Forge::new("issuing").with_key("lists").by("elsewhere").key_usage(0x02).der();
    let other_use = signer.key_usage(0x80).der();
    for (case, signer, expected) in [
        ("sent along", &sent, [ChainVerdict::Revoked; 2]),
        ("expired", &expired, unknown),
        ("of another root", &unrelated, unknown),
        ("for signatures", &other_use, unknown),
    ] {
        let chain = [leaf.clone(), issuing.clone(), signer.clone()];
        assert_eq!(verdicts(&lists(revoked), &chain), expected, "{case}");
    }
    let chain = [leaf.clone(), issuing.clone(), sent];
    assert_eq!(verdicts(&lists(SAME), &chain), [ChainVerdict::Trusted; 2]);
    assert_eq!(verdicts(&lists(revoked), &[leaf, issuing]), unknown, "not sent");

    // A self-issued CA below the key that signs the lists.
    let old = Forge::ca("issuing").with_key("old").by("issuing").der();
    let leaf = numbered(Forge::new("orders").by("issuing").signed_with("old")).der();
    let issuing = Forge::ca("issuing").by("root").der();
    let lists = [list("root", "root", SAME), list("issuing", "issuing", revoked)];
    assert_eq!(verdicts(&lists, &[leaf, old, issuing]), [ChainVerdict::Revoked; 2], "self-issued");
}

#[test]
fn revoked_by_any_key_of_the_issuer_is_revoked() {
    let leaf = numbered(Forge::new("orders").by("issuing")).der();
    let issuing = Forge::ca("issuing").by("root").der();
    let signer = Forge::new("issuing").with_key("lists").by("root").key_usage(0x02).der();
    let lists = [
        list("root", "root", SAME),
        list("issuing", "issuing", SAME),
        list("issuing", "lists", |crl| crl.revoke(&[7])),
    ];
    assert_eq!(verdicts(&lists, &[leaf, issuing, signer]), [ChainVerdict::Revoked; 2]);
}

#[test]
fn ca_does_not_certify_the_signer_of_lists_about_itself() {
    let leaf = numbered(Forge::new("orders").by("issuing")).der();
    let issuing = Forge { serial: vec![9], ..numbered(Forge::ca("issuing").by("root")) }.der();
    let signer = numbered(Forge::new("root").with_key("forged").by("issuing").key_usage(0x02)).der();
    let overdue = |crl: Crl| crl.between("251201000000Z", "251231000000Z");
    let lists =
        [list("root", "root", overdue), list("root", "forged", SAME), list("issuing", "issuing", SAME)];
    let unknown = [ChainVerdict::Trusted, ChainVerdict::RevocationUnknown];
    assert_eq!(verdicts(&lists, &[leaf.clone(), issuing.clone()]), unknown, "without the signer");
    assert_eq!(verdicts(&lists, &[leaf, issuing, signer]), unknown, "with the signer");
}

#[test]
fn list_of_another_root_of_the_same_name_revokes() {
    let leaf = numbered(Forge::new("orders").by("root")).der();
    let lists = [list("root", "root2", |crl| crl.revoke(&[7]))];
    let revocation = Revocation::new(RevocationMode::Soft, lists.to_vec());
    let mut roots = [Forge::ca("root"), Forge::ca("root").with_key("root2").signed_with("root2")]
        .map(|forge| Root::read(&numbered(forge).der()).unwrap());
    roots.iter_mut().for_each(|root| root.set_revocation(revocation.clone()));
    assert_eq!(revocation.unverified(), 0);
    let certificate = Certificate::from_der(&leaf).unwrap();
    let error = super::super::verify(&certificate, std::iter::empty(), &roots, NOW.plus(60)).unwrap_err();
    assert_eq!(error.verdict(), ChainVerdict::Revoked);
}

#[test]
fn status_ends_with_the_certificate_of_the_signer_of_its_list() {
    let leaf = numbered(Forge::new("orders").by("issuing")).der();
    let issuing = numbered(Forge::ca("issuing").by("root").key_usage(0x04)).der();
    let signer = Forge {
        not_after: NOON + 1_000,
        ..numbered(Forge::new("issuing").with_key("lists").by("root").key_usage(0x02))
    }
    .der();
    let lists = [list("root", "root", SAME), list("issuing", "lists", SAME)];
    let mut root = Root::read(&numbered(Forge::ca("root")).der()).unwrap();
    root.set_revocation(Revocation::new(RevocationMode::Strict, lists.to_vec()));
    let certificate = Certificate::from_der(&leaf).unwrap();
    let until =
        super::super::verify(&certificate, [&issuing[..], &signer[..]].into_iter(), &[root], NOW.plus(60))
            .unwrap()
            .until;
    assert_eq!(until.as_unix(), NOON + 1_000);
}

#[test]
fn uri_without_authority_is_in_no_permitted_subtree() {
    let ca = Forge::ca("issuing").by("root").constraints(&[(0x86, b"example.com")], &[]).der();
    for uri in ["urn:evil://example.com/", "spiffe:evil/x://example.com", "https://evil.com\\@example.com/"] {
        let leaf = Forge::new("orders").by("issuing").names(&[(0x86, uri.as_bytes())]).der();
        let certificate = Certificate::from_der(&leaf).unwrap();
        let root = Root::read(&Forge::ca("root").der()).unwrap();
        let path = super::super::verify(&certificate, [&ca[..]].into_iter(), &[root], NOW.plus(60));
        assert_eq!(path.unwrap_err().verdict(), ChainVerdict::NameConstraint, "{uri}");
    }
}

#[test]
fn newer_list_with_a_lower_number_revokes() {
    let leaf = numbered(Forge::new("orders").by("root")).der();
    let lists = [
        RevocationList::read(
            Crl::numbered(&name("root"), 100).between("251201000000Z", "251231000000Z").sign(&key("root")),
        )
        .unwrap()
        .remove(0),
        list("root", "root", |crl| crl.revoke(&[7])),
    ];
    assert_eq!(verdicts(&lists, &[leaf]), [ChainVerdict::Revoked; 2]);
}

#[test]
fn signer_of_lists_and_its_signature_meet_the_requirements() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let leaf = numbered(Forge::new("orders").by("issuing")).der();
    let issuing = Forge::ca("issuing").by("root").der();
    let signer = Forge::new("issuing").by("root").key_usage(0x02);
    let signer = Forge { spki: key.subject_public_key_info(), ..signer }.der();
    let chain = [leaf, issuing, signer];
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "issuing");
    let issuer = Issuer::new(params, key);
    let lists = |serial: u64| {
        let revoked = RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2026, 2, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).unwrap().der().to_vec();
        [list_of_root(), RevocationList::read(list).unwrap().remove(0)]
    };
    let any = ChainRequirements::new();
    let long = any.clone().minimum_rsa_bits(3_072);
    let ecdsa = any.clone().signature_algorithms([SignatureAlgorithm::EcdsaSha256]);
    let unknown = [ChainVerdict::Trusted, ChainVerdict::RevocationUnknown];
    for (case, requirements, listed, other) in [
        ("none", any, [ChainVerdict::Revoked; 2], [ChainVerdict::Trusted; 2]),
        ("a longer key", long, unknown, unknown),
        ("another algorithm of the list", ecdsa.clone(), [ChainVerdict::Revoked; 2], unknown),
    ] {
        assert_eq!(verdicts_as_required(&requirements, &lists(7), &chain), listed, "{case}, listed");
        assert_eq!(verdicts_as_required(&requirements, &lists(8), &chain), other, "{case}, not listed");
    }
    let error = verify_as_required(ecdsa, RevocationMode::Strict, &lists(8), &chain).unwrap_err().to_string();
    let expected =
        "the CRL of its issuer is signed with rsa-pkcs1-sha256, which is not among signature_algorithms";
    assert!(error.ends_with(expected), "{error}");
}

fn list_of_root() -> RevocationList {
    list("root", "root", SAME)
}

#[test]
fn keys_that_signed_no_list_are_tried_within_the_limit_of_signatures() {
    let leaf = numbered(Forge::new("orders").by("issuing")).der();
    let issuing = Forge::ca("issuing").by("root").der();
    let signers = (0..14).map(|index| {
        Forge::new("issuing").with_key(&format!("lists-{index}")).by("root").key_usage(0x02).der()
    });
    let chain: Vec<_> = [leaf, issuing].into_iter().chain(signers).collect();
    let scopes = [None, Some([0x81, 1, 0xff]), Some([0x82, 1, 0xff]), Some([0x81, 1, 0])];
    let lists = |scopes: &[Option<[u8; 3]>]| -> Vec<_> {
        let forged = scopes.iter().map(|scope| {
            list("issuing", "forger", |crl| match scope {
                Some(scope) => crl.issuing_point(scope),
                None => crl,
            })
        });
        forged.chain([list_of_root()]).collect()
    };
    let unknown = [ChainVerdict::Trusted, ChainVerdict::RevocationUnknown];
    assert_eq!(verdicts(&lists(&scopes[..1]), &chain), unknown, "one list");
    let lists = lists(&scopes);
    let error = verify_with_lists(RevocationMode::Soft, &lists, &chain).unwrap_err();
    assert_eq!(error.verdict(), ChainVerdict::Limit, "four lists: {error}");
    let is_accepted = (0..4).any(|_| verify_with_lists(RevocationMode::Soft, &lists, &chain).is_ok());
    assert!(is_accepted, "keys that were tried are not tried again");
}

#[test]
fn pinned_issuer_is_judged_with_the_requirements_and_lists_of_the_roots() {
    let root = Forge::ca("root").der();
    let issuing = Forge::ca("issuing").by("root");
    let signer = vec![Forge::new("root").with_key("lists").by("root").key_usage(0x02).der()];
    let below_issuing = numbered(Forge::new("orders").by("issuing")).der();
    let below_root = numbered(Forge::new("orders").by("root")).der();
    let listed = |issuer: &str, signer: &str| list(issuer, signer, |crl| crl.revoke(&[7]));
    let anchors = || TrustAnchors::from_der([&root[..]]).unwrap();
    let with = |lists: &[RevocationList]| {
        anchors().with_revocation(Revocation::new(RevocationMode::Strict, lists.to_vec()))
    };
    let strict = |issuer: &str, signer: &str| with(&[list(issuer, signer, SAME)]);
    let ed25519 = ChainRequirements::new().signature_algorithms([SignatureAlgorithm::Ed25519]);
    let other = TrustAnchors::from_der([&Forge::ca("other").der()[..]]).unwrap();
    let revoked = || with(&[listed("issuing", "issuing")]);
    let issuing = issuing.der();
    let (sent, none) = (vec![issuing.clone()], Vec::new());
    let two_keys = || with(&[list("root", "root", SAME), listed("root", "lists")]);
    for (case, pin, roots, leaf, chain, expected) in [
        ("no lists", &issuing, anchors(), &below_issuing, &sent, Answer::Holds),
        ("list", &issuing, strict("issuing", "issuing"), &below_issuing, &sent, Answer::Holds),
        ("revoked", &issuing, revoked(), &below_issuing, &sent, Answer::CannotTell),
        ("unknown", &issuing, strict("root", "root"), &below_issuing, &sent, Answer::CannotTell),
        ("one of two roots", &issuing, other.union(&revoked()), &below_issuing, &sent, Answer::CannotTell),
        (
            "another algorithm",
            &issuing,
            anchors().with_requirements(ed25519.clone()),
            &below_issuing,
            &sent,
            Answer::CannotTell,
        ),
        ("root, list", &root, strict("root", "root"), &below_root, &none, Answer::Holds),
        ("root, revoked", &root, with(&[listed("root", "root")]), &below_root, &none, Answer::CannotTell),
        ("root, signer not sent", &root, two_keys(), &below_root, &none, Answer::Holds),
        ("root, signer sent", &root, two_keys(), &below_root, &signer, Answer::CannotTell),
        (
            "root that is sent, revoked",
            &root,
            with(&[listed("root", "root")]),
            &below_root,
            &vec![root.clone()],
            Answer::CannotTell,
        ),
        (
            "root, another algorithm",
            &root,
            anchors().with_requirements(ed25519),
            &below_root,
            &none,
            Answer::CannotTell,
        ),
        (
            "root above the issuer",
            &root,
            strict("issuing", "issuing"),
            &below_issuing,
            &sent,
            Answer::CannotTell,
        ),
    ] {
        let pins = IssuerPins::new([Thumbprint::sha256_of(pin)], Some(roots));
        let certificate = Certificate::from_der_chain(leaf, chain.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(pins.judge(&certificate, NOW.plus(60)).answer, expected, "{case}");
    }
}
