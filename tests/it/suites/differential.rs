//! Changed chains of PKITS and x509-limbo: nothing is accepted that webpki and OpenSSL both reject. `TOWER_MTLS_LONG`
//! judges a hundred times as many.
//!
//! OpenSSL does not try every path, so it is also given the smallest set of certificates that is still accepted.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    case::Case,
    changes::Pool,
    limbo,
    openssl::{self, OpenSsl},
    pkits, suite, webpki,
};
use crate::support::{is_long, random::Random};

const CHAINS: usize = 2_000;
const CHAINS_IF_LONG: usize = 200_000;

/// Cases of x509-limbo that are not changed, each with the reason.
const NOT_CHANGED: &[(&str, &str)] = &[
    ("rfc5280::validity::notafter-", "to OpenSSL a certificate has expired in its last second"),
    ("rfc5280::nc::permitted-self-issued", "OpenSSL takes the first of several CAs of the same name"),
];

#[test]
fn changed_chains_are_accepted_only_if_webpki_or_openssl_accepts_them() {
    let (Some(pkits), Some(limbo)) = (suite("pkits"), suite("x509-limbo")) else { return };
    let mut pool = Pool::default();
    let pkits: Vec<_> = pkits::cases(&pkits);
    pool.add(&pkits.iter().map(|(case, _)| case.clone()).collect::<Vec<_>>());
    for (case, _) in limbo::cases(&limbo) {
        if NOT_CHANGED.iter().all(|(name, _)| !case.name.starts_with(name)) {
            pool.add(&[case]);
        }
    }
    let openssl = OpenSsl::new();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut accepted, mut asked, mut slowest) = (0, 0, Duration::ZERO);
    let mut found = HashMap::new();
    let chains = if is_long() { CHAINS_IF_LONG } else { CHAINS };
    for _ in 0..chains {
        let case = pool.changed(&mut random);
        let started = Instant::now();
        let is_accepted = case.is_accepted();
        slowest = slowest.max(started.elapsed());
        if !is_accepted {
            continue;
        }
        accepted += 1;
        if webpki::accepts(&case) {
            continue;
        }
        asked += 1;
        if openssl.verify(&case).is_ok() {
            continue;
        }
        let smallest = smallest(case);
        if webpki::accepts(&smallest) {
            continue;
        }
        if let Err(problem) = openssl.verify(&smallest)
            && !is_revocation_of_root(&problem, &smallest, &openssl)
            && !is_other_path(&problem, &smallest)
        {
            found.entry(problem).or_insert(smallest);
        }
    }
    println!(
        "{chains} changed chains: {accepted} accepted, {asked} of them judged by OpenSSL; slowest {slowest:?}"
    );
    assert!(accepted > chains / 20, "the changes are too coarse");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(found.is_empty(), "accepted, but rejected by webpki and OpenSSL: {:#?}", keep(&found));
}

/// Writes the chains into a folder each, with OpenSSL's command, and returns OpenSSL's problems with them.
fn keep(found: &HashMap<String, Case>) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changed-chains");
    let _ = fs::remove_dir_all(&folder);
    let keep = |(number, (problem, case)): (usize, (&String, &Case))| {
        let folder = folder.join(number.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("command"), format!("{:?}", openssl::command(&folder, case))).unwrap();
        format!("{problem}: {}, {}", case.name, folder.display())
    };
    found.iter().enumerate().map(keep).collect()
}

/// The chain without the certificates that it is accepted without.
fn smallest(mut case: Case) -> Case {
    for at in (0..case.intermediates.len()).rev() {
        let mut without = case.clone();
        without.intermediates.remove(at);
        if without.is_accepted() {
            case = without;
        }
    }
    for at in (0..case.roots.len()).rev() {
        let mut without = case.clone();
        without.roots.remove(at);
        if without.is_accepted() {
            case = without;
        }
    }
    case
}

/// True if OpenSSL rejects the root alone, by its lists: the library does not check the revocation of roots.
fn is_revocation_of_root(problem: &str, case: &Case, openssl: &OpenSsl) -> bool {
    let depth = format!(" at {} depth ", case.intermediates.len() + 1);
    problem.contains(&depth) && openssl.verify(&Case { lists: None, ..case.clone() }).is_ok()
}

/// True if OpenSSL took another path: of several CAs of the same name it takes the first, and ends in a self-signed
/// certificate or a wrong signature.
fn is_other_path(problem: &str, case: &Case) -> bool {
    let mut subjects: Vec<_> =
        case.roots.iter().chain(&case.intermediates).map(|der| openssl::subject(der)).collect();
    let count = subjects.len();
    subjects.sort_unstable();
    subjects.dedup();
    subjects.len() < count && ["error 7 ", "error 19 "].iter().any(|error| problem.starts_with(error))
}
