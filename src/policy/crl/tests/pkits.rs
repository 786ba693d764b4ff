//! Lists of NIST's PKITS. They are not part of this repository; the variable TOWER_MTLS_SUITES names their folder.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use x509_parser::{certificate::X509Certificate, oid_registry::Oid, prelude::FromDer};

use super::{
    super::{Issuer, Revocation, RevocationList, RevocationMode, Status, Subject, UnknownReason},
    verify,
};
use crate::certificate::{Certificate, Timestamp};

/// 2011-04-15T00:00:00Z, the time of the expected results.
const PRESENT: i64 = 1_302_825_600;

fn suite() -> Option<PathBuf> {
    let Some(suites) = std::env::var_os("TOWER_MTLS_SUITES") else {
        eprintln!("TOWER_MTLS_SUITES is unset: NIST's revocation lists are NOT tested");
        return None;
    };
    Some(Path::new(&suites).join("pkits"))
}

#[test]
fn lists_of_pkits_are_read() {
    let Some(suite) = suite() else { return };
    let files = fs::read_dir(suite.join("crls")).unwrap();
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let lists = RevocationList::read(fs::read(&path).unwrap()).unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
        assert_eq!(lists.len(), 1);
        count += 1;
    }
    assert_eq!(count, 173);
}

/// A certificate of the suite, as far as revocation concerns it.
struct Read {
    certificate: Certificate,
    is_ca: bool,
    points: Option<Vec<u8>>,
}

impl Read {
    fn new(der: &[u8]) -> Self {
        let (_, parsed) = X509Certificate::from_der(der).unwrap();
        let points = Oid::from(&[2, 5, 29, 31]).unwrap();
        let points = parsed.get_extension_unique(&points).unwrap().map(|extension| extension.value.to_vec());
        Self { is_ca: parsed.is_ca(), points, certificate: Certificate::from_der(der).unwrap() }
    }

    /// The best status by the lists of each certificate that has the issuer's name.
    fn status(&self, revocation: &Revocation, issuers: &[Self]) -> Status {
        let subject = Subject {
            issuer: self.certificate.issuer(),
            serial: self.certificate.serial().as_bytes(),
            is_ca: self.is_ca,
            distribution_points: self.points.as_deref(),
        };
        let all: Vec<_> = issuers
            .iter()
            .filter(|issuer| issuer.certificate.subject() == self.certificate.issuer())
            .map(|issuer| {
                let key_usage = issuer.certificate.key_usage();
                let issuer = Issuer {
                    name: issuer.certificate.subject(),
                    spki: issuer.certificate.subject_public_key_info(),
                    may_sign_crls: key_usage.is_none_or(|usage| usage.crl_sign()),
                    signature_algorithms: None,
                };
                revocation.status(&subject, &issuer, Timestamp::from_unix(PRESENT), &mut verify)
            })
            .collect();
        let find = |wanted: fn(&Status) -> bool| all.iter().find(|status| wanted(status)).cloned();
        find(|status| *status == Status::Revoked)
            .or_else(|| find(|status| matches!(status, Status::Good { .. })))
            .or_else(|| all.first().cloned())
            .unwrap_or(Status::Unknown(UnknownReason::NoList))
    }
}

/// Sections whose invalid chains are so by their lists alone.
const SECTIONS: &[&str] = &["crl", "distribution-points", "delta-crl"];

/// Valid chains that are not good here, by reason.
const NOT_GOOD: &[(&str, &[&str])] = &[
    ("DSA", &["4.1.4", "4.1.5"]),
    ("indirect CRL", &["4.14.22", "4.14.24", "4.14.25", "4.14.28", "4.14.29", "4.14.30", "4.14.33"]),
    ("released by a delta CRL", &["4.15.5"]),
];

#[test]
fn status_of_pkits_chains_is_as_nist_states() {
    let Some(suite) = suite() else { return };
    let text = fs::read_to_string(suite.join("expected.json")).unwrap();
    let mut not_good = Vec::new();
    let mut judged = 0;
    for case in cases(&text) {
        let is_valid = case["valid"][0] == "true";
        if !is_valid && !SECTIONS.contains(&case["section"][0].as_str()) {
            continue;
        }
        let read = |file: &String| fs::read(suite.join(file)).unwrap();
        let lists = case["crls"].iter().flat_map(|file| RevocationList::read(read(file)).unwrap());
        let revocation = Revocation::new(RevocationMode::Strict, lists);
        let files = ["trust_anchor", "intermediates", "leaf"].iter().flat_map(|key| &case[*key]);
        let chain: Vec<_> = files.map(|file| Read::new(&read(file))).collect();
        let statuses: Vec<_> = chain[1..].iter().map(|one| one.status(&revocation, &chain)).collect();
        let is_good = statuses.iter().all(|status| matches!(status, Status::Good { .. }));
        let (id, title) = (&case["id"][0], &case["title"][0]);
        judged += 1;
        match (is_valid, is_good) {
            (true, true) | (false, false) => {}
            (true, false) => not_good.push(id.trim_start_matches("pkits-").to_owned()),
            (false, true) => panic!("{id} {title}: {statuses:?}"),
        }
    }
    let expected: Vec<_> = NOT_GOOD.iter().flat_map(|(_, ids)| *ids).copied().collect();
    assert_eq!(not_good, expected);
    assert_eq!(judged, 155);
}

/// The objects of the suite's file, which has one value in a line: strings by key.
fn cases(text: &str) -> Vec<HashMap<String, Vec<String>>> {
    let (_, cases) = text.split_once("\"cases\": [").unwrap();
    let fields = |text: &str| {
        let (mut fields, mut key) = (HashMap::<_, Vec<_>>::new(), String::new());
        for line in text.lines().map(|line| line.trim_end_matches(',')) {
            let value = match line.split_once("\": ") {
                Some((name, value)) => {
                    key = name.trim_matches('"').to_owned();
                    value
                }
                None => line,
            };
            fields.entry(key.clone()).or_default().push(value.trim_matches('"').to_owned());
        }
        for values in fields.values_mut() {
            values.retain(|value| !matches!(value.as_str(), "" | "[" | "]" | "[]"));
        }
        fields
    };
    cases.split('{').skip(1).map(|case| fields(case.split('}').next().unwrap())).collect()
}
