//! Changed chains of PKITS and x509-limbo: nothing is accepted that webpki and OpenSSL both reject. `TOWER_MTLS_LONG`
//! judges a hundred times as many.
//!
//! OpenSSL does not try every path, so it is also given the smallest sets of certificates and lists that are still accepted.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    case::Case,
    changes::{Chain, Object, Pool},
    limbo,
    openssl::{self, OpenSsl},
    pkits, suite, webpki,
};
use crate::support::{is_long, random::Random};

const CHAINS: usize = 2_000;
const CHAINS_IF_LONG: usize = 200_000;

/// Cases of x509-limbo that are not changed, each with the reason.
const NOT_CHANGED: &[(&str, &str)] =
    &[("rfc5280::nc::permitted-self-issued", "OpenSSL takes the first of several CAs of the same name")];

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
        let chain = pool.changed(&mut random);
        let case = chain.encode();
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
        let smallest = smallest(chain, &openssl);
        let case = smallest.encode();
        if webpki::accepts(&case) {
            continue;
        }
        if let Err(problem) = openssl.verify(&case)
            && !is_known(&problem, &smallest, &openssl)
        {
            found.entry(problem).or_insert(case);
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

/// The chain without the certificates and lists that it is accepted without.
fn smallest(mut chain: Chain, openssl: &OpenSsl) -> Chain {
    remove_unneeded(&mut chain, |chain| &mut chain.intermediates);
    remove_unneeded(&mut chain, |chain| &mut chain.roots);
    if chain.lists.is_none() {
        return chain;
    }
    let lists: fn(&mut Chain) -> &mut Vec<Object> = |chain| chain.lists.as_mut().unwrap();
    let mut smallest = chain.clone();
    for list in remove_unneeded(&mut smallest, lists) {
        // A list that revokes a certificate is kept.
        let mut with_list = smallest.clone();
        lists(&mut with_list).insert(0, list);
        let case = with_list.encode();
        let verified = openssl.verify(&case);
        if verified.is_err_and(|problem| problem.starts_with("error 23 ")) && case.is_accepted() {
            return with_list;
        }
    }
    smallest
}

/// Removes the objects that a chain is accepted without, and returns them.
fn remove_unneeded(chain: &mut Chain, objects: fn(&mut Chain) -> &mut Vec<Object>) -> Vec<Object> {
    let mut removed = Vec::new();
    for at in (0..objects(chain).len()).rev() {
        let mut without = chain.clone();
        let object = objects(&mut without).remove(at);
        if without.encode().is_accepted() {
            *chain = without;
            removed.push(object);
        }
    }
    removed
}

/// True if OpenSSL's problem is a known difference, by another decision of OpenSSL.
fn is_known(problem: &str, chain: &Chain, openssl: &OpenSsl) -> bool {
    let case = chain.encode();
    let accepts = |chain: Chain| openssl.verify(&chain.encode()).is_ok();
    let is_error =
        |numbers: &[u8]| numbers.iter().any(|number| problem.starts_with(&format!("error {number} ")));
    // The library does not check the revocation of roots.
    let is_of_root = problem.contains(&format!(" at {} depth ", case.intermediates.len() + 1));
    if is_of_root && openssl.verify(&Case { lists: None, ..case.clone() }).is_ok() {
        return true;
    }
    // To OpenSSL a certificate or a list has expired in its last second.
    if is_error(&[10, 12]) {
        return openssl.verify(&Case { now: case.now.plus(-1), ..case }).is_ok();
    }
    // OpenSSL uses the reasons of the first distribution point that fits. A complete list covers all (RFC 5280, 6.3.3).
    if is_error(&[3]) {
        return accepts(chain.clone().without_distribution_points());
    }
    // OpenSSL applies policy mappings of the last certificate (RFC 5280, 6.1.4, is for the others).
    if is_error(&[43]) {
        return accepts(chain.clone().without_mappings_of_leaf());
    }
    let names: Vec<_> = case
        .roots
        .iter()
        .chain(&case.intermediates)
        .map(|der| openssl::subject(der).to_ascii_lowercase())
        .collect();
    // OpenSSL takes a certificate with the name of its issuer as self-signed.
    if is_error(&[18]) {
        return names.contains(&openssl::subject(&case.leaf).to_ascii_lowercase());
    }
    let has_namesakes = names.iter().collect::<HashSet<_>>().len() < names.len();
    // The same for the certificate of a key that signs lists.
    if is_error(&[54]) {
        return has_namesakes && openssl.verify(&Case { lists: None, ..case }).is_ok();
    }
    // Of several CAs of one name OpenSSL takes the first, and ends in a wrong signature or a self-signed certificate.
    is_error(&[7, 19]) && has_namesakes
}
