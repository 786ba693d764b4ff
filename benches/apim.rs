//! Cost of a policy document per request.
//!
//! Run with: cargo bench --bench apim --all-features
//!
//! Each row is one evaluation for an admitted caller on a connection with a parsed certificate. `refusal` rejects a
//! request, and `load` compiles a document.
#![expect(clippy::unwrap_used, reason = "a failed setup aborts the bench")]

use divan::{AllocProfiler, Bencher, black_box};
use http::Request;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};
use tower_mtls::{
    Certificate, Shared,
    apim::{DeploymentCertificates, Document, RequestFacts},
    certificate::{Presented, Timestamp},
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp::from_unix(1_767_225_600);

fn main() {
    divan::main();
}

/// A self-signed certificate. The key is shared, since generating keys is slow.
fn certificate(key: &KeyPair, serial: u64) -> Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Contoso");
    params.distinguished_name.push(DnType::CommonName, "orders");
    params.serial_number = Some(SerialNumber::from(serial));
    Certificate::from_der(params.self_signed(key).unwrap().der()).unwrap()
}

fn refuse_unless(condition: &str) -> String {
    format!(
        "<choose><when condition=\"@(context.Request.Certificate == null || {condition})\"><return-response><set-status \
         code=\"403\" reason=\"Invalid client certificate\" /></return-response></when></choose>"
    )
}

/// Loads a document whose checks, expiry or names alone, prove nothing.
fn unanchored(text: &str) -> Document {
    Document::builder().allow_unanchored().load(text).unwrap()
}

fn passes(bencher: Bencher<'_, '_>, document: &Document, caller: Certificate) {
    let presented = Presented::from(caller);
    let request = Request::new(());
    let facts = RequestFacts::new(&request, &presented);
    assert!(document.evaluate(&facts, NOW).forward().is_some());
    bencher.bench_local(|| document.evaluate(black_box(&facts), NOW));
}

/// The expiry check.
#[divan::bench(sample_size = 1_000)]
fn expiry(bencher: Bencher<'_, '_>) {
    let text = refuse_unless("context.Request.Certificate.NotAfter < DateTime.Now");
    passes(bencher, &unanchored(&text), certificate(&KeyPair::generate().unwrap(), 1));
}

/// Issuer and subject.
#[divan::bench(sample_size = 1_000)]
fn names(bencher: Bencher<'_, '_>) {
    let text = refuse_unless(
        "context.Request.Certificate.Issuer != \"CN=orders, O=Contoso\" || context.Request.Certificate.SubjectName.Name != \
         \"CN=orders, O=Contoso\"",
    );
    passes(bencher, &unanchored(&text), certificate(&KeyPair::generate().unwrap(), 1));
}

/// One thumbprint.
#[divan::bench(sample_size = 1_000)]
fn thumbprint(bencher: Bencher<'_, '_>) {
    let caller = certificate(&KeyPair::generate().unwrap(), 1);
    let condition = format!("context.Request.Certificate.Thumbprint != \"{}\"", caller.sha1_thumbprint());
    passes(bencher, &Document::parse(&refuse_unless(&condition)).unwrap(), caller);
}

/// The store check: `Any` over this many certificates.
#[divan::bench(args = [1, 100, 10_000], sample_size = 1_000)]
fn store(bencher: Bencher<'_, '_>, certificates: u64) {
    let key = KeyPair::generate().unwrap();
    let mut deployed = DeploymentCertificates::new();
    for serial in 1..=certificates {
        deployed.insert(serial.to_string(), certificate(&key, serial), false);
    }
    let caller = deployed.by_id(&certificates.to_string()).unwrap().certificate().clone();
    let text = refuse_unless(
        "!context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)",
    );
    let document = Document::builder().deployment(Shared::new(deployed)).load(&text).unwrap();
    passes(bencher, &document, caller);
}

/// A header set from the subject: the request's headers are copied.
#[divan::bench(sample_size = 200)]
fn header_from_the_subject(bencher: Bencher<'_, '_>) {
    let text =
        "<set-header name=\"x-caller\"><value>@(context.Request.Certificate.Subject)</value></set-header>";
    passes(bencher, &Document::parse(text).unwrap(), certificate(&KeyPair::generate().unwrap(), 1));
}

/// A rejected request.
#[divan::bench(sample_size = 200)]
fn refusal(bencher: Bencher<'_, '_>) {
    let document = Document::parse(&refuse_unless("true")).unwrap();
    let request = Request::new(());
    let presented = Presented::Nothing;
    let facts = RequestFacts::new(&request, &presented);
    bencher.bench_local(|| document.evaluate(black_box(&facts), NOW));
}

/// Reading, type-checking and compiling a document.
#[divan::bench]
fn load(bencher: Bencher<'_, '_>) {
    let text = refuse_unless("context.Request.Certificate.NotAfter < DateTime.Now");
    bencher.bench_local(|| unanchored(black_box(&text)));
}
