//! Separate binary: its resident memory is measured.
//!
//! Memory and time of a large revocation list, compared with OpenSSL. With `TOWER_MTLS_LONG` set, it has 1,000,000 entries
//! and the limits of time apply.
#![cfg(all(target_os = "linux", feature = "trust", feature = "aws-lc-rs"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/crl.rs"]
mod crl;

use std::{
    env, fs,
    hint::black_box,
    path::PathBuf,
    process::{self, Command},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use tower_mtls::{
    Certificate, TrustAnchors,
    certificate::SerialNumber,
    policy::{Revocation, RevocationList, RevocationMode},
};

use self::crl::{Crl, NUMBER};

const MB: usize = 1_000_000;

/// The value of a line of /proc/self/status, in bytes.
fn memory(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Sets the peak to the present value.
fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// A file that is removed on drop.
struct TemporaryFile(PathBuf);

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Serial number of an entry: 20 bytes in no order.
fn serial(number: u64) -> [u8; 20] {
    let mut state = number;
    let mut next = || {
        // splitmix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb).to_be_bytes()
    };
    let mut serial = [0; 20];
    for part in serial.chunks_mut(8) {
        part.copy_from_slice(&next()[..part.len()]);
    }
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

/// Writes lists of that many entries, in DER and PEM. Returns their issuer's certificate.
fn write_lists(entries: u64, der: &TemporaryFile, pem: &TemporaryFile) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let name = Certificate::from_der(ca.der()).unwrap();
    let crl = Crl::bare(name.subject().der()).extension(NUMBER, false, &[2, 1, 1]);
    let crl = (0..entries).fold(crl, |crl, number| crl.revoke(&serial(number)));
    fs::write(&der.0, crl.sign(&key)).unwrap();
    let converted = Command::new("openssl")
        .args(["crl", "-inform", "der", "-in"])
        .arg(&der.0)
        .arg("-out")
        .arg(&pem.0)
        .status()
        .unwrap();
    assert!(converted.success());
    ca.pem()
}

/// The shorter of two runs of `openssl crl -noout`.
fn openssl(form: &str, file: &TemporaryFile) -> Duration {
    let run = |_| {
        let start = Instant::now();
        let read = Command::new("openssl")
            .args(["crl", "-noout", "-inform", form, "-in"])
            .arg(&file.0)
            .status()
            .unwrap();
        assert!(read.success());
        start.elapsed()
    };
    (0..2).map(run).min().unwrap()
}

#[test]
fn large_list_takes_little_memory_and_no_longer_than_openssl() {
    let is_long = env::var_os("TOWER_MTLS_LONG").is_some();
    let entries: u64 = if is_long { 1_000_000 } else { 5_000 };
    let look_ups: u64 = if is_long { 200_000 } else { 5_000 };
    let file = |end: &str| {
        TemporaryFile(env::temp_dir().join(format!("tower-mtls-revocation-{}.{end}", process::id())))
    };
    let (der, pem) = (file("der"), file("pem"));
    let ca = write_lists(entries, &der, &pem);
    for (form, file) in [("der", &der), ("pem", &pem)] {
        let size = usize::try_from(fs::metadata(&file.0).unwrap().len()).unwrap();
        let expected = openssl(form, file);
        let before = memory("VmRSS:");
        reset_peak();
        let start = Instant::now();
        let lists = RevocationList::read(fs::read(&file.0).unwrap()).unwrap();
        let read = start.elapsed();
        let unverified = memory("VmRSS:").saturating_sub(before);
        let list = lists[0].clone();
        let start = Instant::now();
        let revocation = Revocation::new(RevocationMode::Strict, lists);
        let roots = TrustAnchors::from_pem(&ca).unwrap().with_revocation(revocation.clone());
        let verified = start.elapsed();
        assert_eq!((revocation.unverified(), list.len() as u64), (0, entries));
        let resident = memory("VmRSS:").saturating_sub(before);
        let peak = memory("VmHWM:").saturating_sub(before);

        let wanted: Vec<SerialNumber> = (0..look_ups)
            .map(|number| {
                let hex: String =
                    serial(number * 7 % (2 * entries)).iter().map(|byte| format!("{byte:02x}")).collect();
                hex.parse().unwrap()
            })
            .collect();
        let start = Instant::now();
        let listed = wanted.iter().filter(|serial| black_box(&list).contains(serial)).count();
        let look_up = start.elapsed() / u32::try_from(wanted.len()).unwrap();
        let expected_count = (0..look_ups).filter(|number| number * 7 % (2 * entries) < entries).count();
        assert_eq!(listed, expected_count);

        println!(
            "{form}: {entries} entries, {size} bytes; openssl {expected:?}, read {read:?}, verified {verified:?}, \
             look-up {look_up:?}; resident {resident}, unverified {unverified}, peak {peak} bytes"
        );
        assert!(unverified <= 40 * MB, "{form}: {unverified} bytes resident before the verification");
        assert!(resident <= 40 * MB, "{form}: {resident} bytes resident");
        assert!(peak <= size + 45 * MB, "{form}: {peak} bytes at the peak");
        if is_long {
            assert!(read + verified <= expected, "{form}: {read:?} and {verified:?}, openssl {expected:?}");
            assert!(look_up <= Duration::from_micros(1), "{form}: {look_up:?}");
        }
        drop(roots);
    }
}
