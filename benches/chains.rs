//! Cost of a verdict on a chain, beside webpki's on the same chain.
//!
//! Run with: cargo bench --bench chains --all-features
//!
//! Root, intermediate and client, ECDSA P-256. A verdict is that of a trust set that has not judged the chain before,
//! without reading the client's certificate. The ratio of the medians must be at most 1.2.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

#[path = "../tests/support/pki.rs"]
mod pki;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rustls_pki_types::{CertificateDer, UnixTime};
use tower_mtls::{
    Certificate, TrustAnchors,
    certificate::{Presented, Timestamp},
    policy::ChainRequirements,
};

use self::pki::{Authority, Leaf, NOON};

const SAMPLES: usize = 400;
const WARM_UP: usize = 50;

fn main() {
    let root = Authority::root("root");
    let issued = root.intermediate("issuing").issue(&Leaf::client("orders"));
    let chain: Vec<_> = issued.chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let now = Timestamp::from_unix(NOON);

    let roots = TrustAnchors::from_der([root.der()]).unwrap();
    let certificate =
        Certificate::from_der_chain(&issued.der, issued.chain.iter().map(Vec::as_slice)).unwrap();
    let presented = Presented::from(certificate);
    let ours = || {
        let roots = roots.clone().with_requirements(ChainRequirements::new());
        let start = Instant::now();
        black_box(roots.judge(&presented, now)).unwrap();
        start.elapsed()
    };

    let anchor = CertificateDer::from(root.der());
    let anchors = [webpki::anchor_from_trusted_cert(&anchor).unwrap()];
    let leaf = CertificateDer::from(issued.der.as_slice());
    let time = UnixTime::since_unix_epoch(Duration::from_secs(NOON as u64));
    let webpki = || {
        let start = Instant::now();
        let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
        let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, webpki::KeyUsage::client_auth());
        black_box(leaf.verify_for_usage(algorithms, &anchors, &chain, time, usage, None, None)).unwrap();
        start.elapsed()
    };

    // In turn, so that a change of the processor's speed affects both.
    let (mut own, mut reference): (Vec<_>, Vec<_>) =
        (0..WARM_UP + SAMPLES).map(|_| (ours(), webpki())).skip(WARM_UP).unzip();
    own.sort_unstable();
    reference.sort_unstable();
    let (own, reference) = (own[SAMPLES / 2], reference[SAMPLES / 2]);
    let ratio = own.as_secs_f64() / reference.as_secs_f64();
    println!("verdict {own:?}, webpki {reference:?}, ratio {ratio:.2}");
    assert!(ratio <= 1.2, "a verdict takes more than 1.2 times as long as webpki's");
}
