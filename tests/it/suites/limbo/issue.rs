//! Cases of servers, issued again for clients, and the intermediates that two cases lack.

use crate::suites::{
    case::Case,
    json,
    remake::{Keys, Unsigned, extensions, first_of_certificate, set_extensions},
    suite, text,
};

/// OIDs of extended key usages, without tag and length.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// OID of extendedKeyUsage, with tag and length.
const EXTENDED_KEY_USAGE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x25];

/// Critical basicConstraints with CA:TRUE and pathlen:0.
const CA_ALONE: &[u8] = &[
    0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x08, 0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01,
    0x00,
];

/// Critical keyUsage with cRLSign, and with keyCertSign.
const CRL_SIGN: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x01, 0x02];
const KEY_CERT_SIGN: &[u8] =
    &[0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x02, 0x04];

/// The case with serverAuth and clientAuth exchanged in every certificate. A leaf with both, or neither, stays as it is.
pub(super) fn for_clients(case: Case) -> Case {
    let has = |usage: &[u8]| case.leaf.windows(usage.len()).any(|window| window == usage);
    if has(SERVER_AUTH) == has(CLIENT_AUTH) {
        return case;
    }
    let certificates = case.roots.iter().chain(&case.intermediates).chain([&case.leaf]);
    let keys = Keys::of(certificates.map(Vec::as_slice));
    let certificate = |der: &Vec<u8>| {
        let mut unsigned = keys.certificate(der);
        exchange_usages(&mut unsigned);
        keys.sign(&unsigned)
    };
    let issued = Case {
        roots: case.roots.iter().map(certificate).collect(),
        intermediates: case.intermediates.iter().map(certificate).collect(),
        leaf: certificate(&case.leaf),
        lists: case.lists.as_ref().map(|lists| lists.iter().map(|der| keys.sign(&keys.list(der))).collect()),
        ..case.clone()
    };
    match case.name.as_str() {
        // CA:TRUE, pathlen:0, and a key usage of cRLSign alone.
        "rfc5280::ica-ku-keycertsign" => with_intermediate(issued, &case, &keys, &[CA_ALONE, CRL_SIGN]),
        "rfc5280::intermediate-ca-missing-basic-constraints" => {
            with_intermediate(issued, &case, &keys, &[KEY_CERT_SIGN])
        }
        _ => issued,
    }
}

fn exchange_usages(certificate: &mut Unsigned) {
    let mut extensions = extensions(&certificate.fields);
    for extension in extensions.iter_mut().filter(|extension| extension.starts_with(EXTENDED_KEY_USAGE)) {
        for at in 0..=extension.len() - SERVER_AUTH.len().min(extension.len()) {
            match extension.get_mut(at..at + SERVER_AUTH.len()) {
                Some(usage) if usage == SERVER_AUTH => usage.copy_from_slice(CLIENT_AUTH),
                Some(usage) if usage == CLIENT_AUTH => usage.copy_from_slice(SERVER_AUTH),
                _ => {}
            }
        }
    }
    if !extensions.is_empty() {
        set_extensions(&mut certificate.fields, &extensions);
    }
}

/// Adds an intermediate with these extensions between the root and the leaf, which names it as its issuer.
fn with_intermediate(issued: Case, case: &Case, keys: &Keys, extensions: &[&[u8]]) -> Case {
    let (mut intermediate, mut leaf) = (keys.certificate(&case.roots[0]), keys.certificate(&case.leaf));
    let at = |certificate: &Unsigned| first_of_certificate(&certificate.fields);
    let (at_intermediate, at_leaf) = (at(&intermediate), at(&leaf));
    intermediate.fields[at_intermediate + 4] = leaf.fields[at_leaf + 2].clone();
    // The key of the leaf is the intermediate's too: the suite has no other.
    intermediate.fields[at_intermediate + 5] = leaf.fields[at_leaf + 5].clone();
    let extensions: Vec<_> = extensions.iter().map(|extension| extension.to_vec()).collect();
    set_extensions(&mut intermediate.fields, &extensions);
    exchange_usages(&mut leaf);
    leaf.signer.clone_from(&leaf.key);
    Case { intermediates: vec![keys.sign(&intermediate)], leaf: keys.sign(&leaf), ..issued }
}

#[test]
fn added_intermediates_are_rejected_for_their_defect_alone() {
    let Some(suite) = suite("x509-limbo") else { return };
    let limbo = json(&suite.join("limbo.json"));
    for row in limbo["testcases"].as_array().unwrap() {
        let id = text(row, "id");
        if !["rfc5280::ica-ku-keycertsign", "rfc5280::intermediate-ca-missing-basic-constraints"]
            .contains(&id)
        {
            continue;
        }
        let case = super::read(row);
        let keys = Keys::of([case.roots[0].as_slice(), &case.leaf]);
        let repaired = with_intermediate(case.clone(), &case, &keys, &[CA_ALONE, KEY_CERT_SIGN]);
        let roots = vec![keys.sign(&keys.certificate(&case.roots[0]))];
        assert_eq!(Case { roots, ..repaired }.judge(), Ok(()), "{id}");
    }
}
