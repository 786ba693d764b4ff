//! .pfx files whose key derivation is too expensive are rejected before any derivation.
#![cfg(all(feature = "identity", feature = "aws-lc-rs"))]

use std::time::{Duration, Instant};

use p12_keystore::EncryptionAlgorithm as Encryption;
use tower_mtls::{ClientIdentity, identity::IdentityError};

use crate::support::pki::{Authority, Leaf};

/// 2^31, one more than fits into 31 bits: minutes to hours of derivation.
const HUGE: &[u8] = &[0x00, 0x80, 0x00, 0x00, 0x00];
const HUGE_VALUE: u64 = 1 << 31;
/// The iterations of each other part of these files.
const USUAL: u64 = 10_000;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SCRYPT: &[u8] = &[43, 6, 1, 4, 1, 218, 71, 4, 11];
const DATA: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 7, 1];

/// The path to a value: the index in each list, outermost first. Constructed tags with one value, and octet strings
/// that contain DER, are lists too.
type DerPath = Vec<usize>;

/// Paths to the parts of a file with one key and its certificates (RFC 7292, section 4).
struct PartPaths {
    mac_iterations: DerPath,
    /// AlgorithmIdentifiers of the encryptions.
    key: DerPath,
    certificates: DerPath,
}

impl PartPaths {
    fn of(pfx: &[u8]) -> Self {
        const SAFES: &[usize] = &[0, 1, 1, 0, 0];
        let is_data = |index: usize| at(pfx, &[SAFES, &[index, 0]].concat()).contents == DATA;
        let (key, certificates) = if is_data(0) { (0, 1) } else { (1, 0) };
        assert!(is_data(key) && !is_data(certificates));
        Self {
            mac_iterations: vec![0, 2, 2],
            // [0], OCTET STRING, SafeContents, the bag, [0], EncryptedPrivateKeyInfo.
            key: [SAFES, &[key, 1, 0, 0, 0, 1, 0, 0]].concat(),
            // [0], EncryptedData, EncryptedContentInfo.
            certificates: [SAFES, &[certificates, 1, 0, 1, 1]].concat(),
        }
    }
}

/// Within a PBES2 AlgorithmIdentifier: the key derivation, and its iteration count.
const DERIVATION: &[usize] = &[1, 0];
const PBKDF2_ITERATIONS: &[usize] = &[1, 0, 1, 1];
/// Within an AlgorithmIdentifier of PKCS#12's own encryption.
const PBE_ITERATIONS: &[usize] = &[1, 1];

#[derive(Clone, Copy)]
struct Value<'a> {
    tag: u8,
    contents: &'a [u8],
}

/// The first value, and the rest.
fn split(der: &[u8]) -> (Value<'_>, &[u8]) {
    let long = usize::from(der[1]).checked_sub(0x80);
    let bytes = &der[2..2 + long.unwrap_or(0)];
    let length = match long {
        None => usize::from(der[1]),
        Some(_) => bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    let (contents, rest) = der[2 + bytes.len()..].split_at(length);
    (Value { tag: der[0], contents }, rest)
}

fn list(mut der: &[u8]) -> Vec<Value<'_>> {
    let mut values = Vec::new();
    while !der.is_empty() {
        let (value, rest) = split(der);
        values.push(value);
        der = rest;
    }
    values
}

fn at<'a>(der: &'a [u8], path: &[usize]) -> Value<'a> {
    let (step, rest) = path.split_first().unwrap();
    let value = list(der)[*step];
    if rest.is_empty() { value } else { at(value.contents, rest) }
}

fn wrap(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let head = match contents.len() {
        short @ 0..0x80 => vec![tag, short as u8],
        _ => [&[tag, 0x80 | significant.len() as u8], significant].concat(),
    };
    [&head, contents].concat()
}

/// The same DER with another value (tag, length and contents) at this path.
fn replaced(der: &[u8], path: &[usize], with: &[u8]) -> Vec<u8> {
    let (step, rest) = path.split_first().unwrap();
    let values = list(der).into_iter().enumerate().map(|(index, value)| match rest {
        [] if index == *step => with.to_vec(),
        _ if index == *step => wrap(value.tag, &replaced(value.contents, rest, with)),
        _ => wrap(value.tag, value.contents),
    });
    values.collect::<Vec<_>>().concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    wrap(INTEGER, bytes)
}

/// A key derivation by scrypt: cost, block size, parallelism.
fn scrypt(cost: &[u8], block_size: u8, lanes: u8) -> Vec<u8> {
    let settings =
        [wrap(OCTET_STRING, b"12345678"), integer(cost), integer(&[block_size]), integer(&[lanes])];
    wrap(SEQUENCE, &[wrap(OBJECT_IDENTIFIER, SCRYPT), wrap(SEQUENCE, &settings.concat())].concat())
}

fn made(encryption: Encryption) -> (Vec<u8>, PartPaths) {
    let issued = Authority::root("root").issue(&Leaf::client("orders"));
    let pfx = issued.pfx_with("secret", encryption);
    let paths = PartPaths::of(&pfx);
    (pfx, paths)
}

/// The result of reading the file, and the median of several durations.
fn read(pfx: &[u8]) -> (IdentityError, Duration) {
    let mut times = Vec::new();
    let mut read = || {
        let start = Instant::now();
        let outcome = ClientIdentity::from_pfx(pfx, "secret");
        times.push(start.elapsed());
        outcome.unwrap_err()
    };
    let error = (0..9).map(|_| read()).last().unwrap();
    times.sort_unstable();
    (error, times[times.len() / 2])
}

#[track_caller]
fn is_refused_at_once(case: &str, pfx: &[u8]) -> IdentityError {
    let (error, time) = read(pfx);
    assert!(time < Duration::from_millis(10), "{case}: {error}, after {time:?}");
    error
}

#[test]
fn unmodified_file_of_the_cases_opens() {
    for encryption in [Encryption::PbeWithHmacSha256AndAes256, Encryption::PbeWithShaAnd3KeyTripleDesCbc] {
        let (pfx, paths) = made(encryption);
        // Writing a value back changes nothing, so the changed value alone is the reason for rejection below.
        let iterations = integer(at(&pfx, &paths.mac_iterations).contents);
        assert_eq!(replaced(&pfx, &paths.mac_iterations, &iterations), pfx);
        assert!(ClientIdentity::from_pfx(&pfx, "secret").is_ok(), "{encryption:?}");
    }
}

#[test]
fn file_with_too_many_iterations_is_refused_without_a_derivation() {
    let (aes, at_aes) = made(Encryption::PbeWithHmacSha256AndAes256);
    let (des, at_des) = made(Encryption::PbeWithShaAnd3KeyTripleDesCbc);
    let in_key = |path: &[usize]| [&at_aes.key, path].concat();
    let in_certificates = |path: &[usize]| [&at_aes.certificates, path].concat();
    let huge = integer(HUGE);
    // PKCS#12's own encryption derives twice for a key and once for an initialization vector.
    let usual_des = 6 * USUAL;
    let cases = [
        ("the MAC", replaced(&aes, &at_aes.mac_iterations, &huge), HUGE_VALUE + 2 * USUAL),
        ("the key, PBES2", replaced(&aes, &in_key(PBKDF2_ITERATIONS), &huge), HUGE_VALUE + 2 * USUAL),
        (
            "the certificates, PBES2",
            replaced(&aes, &in_certificates(PBKDF2_ITERATIONS), &huge),
            HUGE_VALUE + 2 * USUAL,
        ),
        ("the MAC of an old file", replaced(&des, &at_des.mac_iterations, &huge), HUGE_VALUE + usual_des),
        (
            "the key, PKCS#12 PBE",
            replaced(&des, &[&at_des.key, PBE_ITERATIONS].concat(), &huge),
            3 * HUGE_VALUE + 4 * USUAL,
        ),
        (
            "the certificates, PKCS#12 PBE",
            replaced(&des, &[&at_des.certificates, PBE_ITERATIONS].concat(), &huge),
            3 * HUGE_VALUE + 4 * USUAL,
        ),
        (
            "the key, scrypt",
            replaced(&aes, &in_key(DERIVATION), &scrypt(HUGE, 8, 1)),
            8 * HUGE_VALUE + 2 * USUAL,
        ),
        (
            "the certificates, scrypt",
            replaced(&aes, &in_certificates(DERIVATION), &scrypt(HUGE, 8, 1)),
            8 * HUGE_VALUE + 2 * USUAL,
        ),
        (
            "scrypt, a modest cost in many lanes of large blocks",
            replaced(&aes, &in_key(DERIVATION), &scrypt(&[0x40, 0x00], 0x7f, 0x7f)),
            0x4000 * 0x7f * 0x7f + 2 * USUAL,
        ),
        ("more than 64 bits", replaced(&aes, &at_aes.mac_iterations, &integer(&[0x7f; 20])), u64::MAX),
    ];
    for (case, pfx, asked) in cases {
        let error = is_refused_at_once(case, &pfx);
        let IdentityError::TooManyIterations { iterations, limit, .. } = error else {
            panic!("{case}: {error}");
        };
        // A memory-hard derivation counts as more than its rounds.
        assert!(iterations >= asked, "{case}: {iterations}");
        assert_eq!(limit, 600_000, "{case}");
    }
}

#[test]
fn parts_within_the_limit_are_refused_by_their_sum() {
    let (pfx, paths) = made(Encryption::PbeWithHmacSha256AndAes256);
    // 200,001, three times.
    let third = integer(&[0x03, 0x0d, 0x41]);
    let pfx = replaced(&pfx, &paths.mac_iterations, &third);
    let pfx = replaced(&pfx, &[&paths.key, PBKDF2_ITERATIONS].concat(), &third);
    let pfx = replaced(&pfx, &[&paths.certificates, PBKDF2_ITERATIONS].concat(), &third);
    let error = is_refused_at_once("600,003", &pfx);
    assert!(matches!(error, IdentityError::TooManyIterations { iterations: 600_003, .. }), "{error}");
}

#[test]
fn files_with_600_000_iterations_in_total_open() {
    let issued = Authority::root("root").issue(&Leaf::client("orders"));
    let pfx = issued.pfx_of("secret", Encryption::PbeWithHmacSha256AndAes256, 200_000);
    assert!(ClientIdentity::from_pfx(&pfx, "secret").is_ok());
    let one_more = integer(&[0x03, 0x0d, 0x41]);
    let pfx = replaced(&pfx, &PartPaths::of(&pfx).mac_iterations, &one_more);
    let error = is_refused_at_once("600,001", &pfx).to_string();
    assert!(error.contains("requires 600001 ") && error.contains("the limit is 600000"), "{error}");
}

/// CPU time of this thread.
#[cfg(target_os = "linux")]
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
    };
    let start = now();
    work();
    now() - start
}

#[cfg(target_os = "linux")]
#[test]
fn certificates_take_one_derivation_as_a_key_does() {
    let issued = Authority::root("root").issue(&Leaf::client("orders"));
    let [cheap, costly] = [1, 50_000]
        .map(|iterations| issued.pfx_of("secret", Encryption::PbeWithHmacSha256AndAes256, iterations));
    // Without the MAC, whose derivation would count as well.
    let unsealed = replaced(&cheap, &[0, 2], &[]);
    let with_costly = |safe: usize| {
        let safe = [&[0, 1, 1, 0, 0][..], &[safe]].concat();
        let Value { tag, contents } = at(&costly, &safe);
        replaced(&unsealed, &safe, &wrap(tag, contents))
    };
    let [one, other] = [0, 1].map(|safe| {
        let pfx = with_costly(safe);
        let open = || cpu_time(|| assert!(ClientIdentity::from_pfx(&pfx, "secret").is_ok()));
        (0..3).map(|_| open()).min().unwrap()
    });
    let (less, more) = (one.min(other), one.max(other));
    assert!(more < less.mul_f64(1.5), "{less:?}, {more:?}");
}

#[test]
fn negative_iteration_count_is_malformed_and_reported_with_its_offset() {
    let (pfx, paths) = made(Encryption::PbeWithHmacSha256AndAes256);
    let patched = replaced(&pfx, &paths.mac_iterations, &integer(&[0x80, 0x00, 0x00, 0x00]));
    let error = is_refused_at_once("a negative count", &patched);
    let IdentityError::Malformed { byte: Some(byte), .. } = error else {
        panic!("{error}");
    };
    assert_eq!(patched[byte..], [INTEGER, 4, 0x80, 0, 0, 0]);
}

#[test]
fn oversized_file_is_refused_unread() {
    let (pfx, _) = made(Encryption::PbeWithHmacSha256AndAes256);
    let limit = 1024 * 1024;
    let large = [pfx, vec![0; limit]].concat();
    let error = is_refused_at_once("one MiB and more", &large);
    assert!(
        matches!(error, IdentityError::TooLarge { size, limit: stated, .. } if (size, stated) == (large.len(), limit)),
        "{error}"
    );
    // Of the maximum size and invalid: read, and rejected at its first byte.
    let error = is_refused_at_once("nonsense", &vec![0xff; limit]);
    assert!(matches!(error, IdentityError::Malformed { byte: Some(0), .. }), "{error}");
}
