//! Cost of the layer per request, and of the certificate per connection. Each rule has a row in the bench `rules`.
//!
//! Run with: cargo bench --bench layer --all-features
//!
//! Only the timed part counts: requests are created before it and responses dropped after it. Compare the layer's rows
//! with `bare_service`. The allocation counts are exact.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

mod support;

use divan::{AllocProfiler, Bencher, black_box};
use http::Request;
use tower::Layer;
use tower_mtls::{
    Certificate, RequireCertificateLayer, certificate::Presented, danger::AssumePresentedLayer,
};

use support::{Keep, captured, certificate, four_rules, issued, send};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The service without any layer.
#[divan::bench(sample_size = 1_000)]
fn bare_service(bencher: Bencher<'_, '_>) {
    let mut service = Keep::default();
    service.0.set(Some(captured(certificate("orders"))));
    bencher.bench_local(|| {
        let request = service.0.take().unwrap();
        send(black_box(&mut service), request)
    });
}

/// The layer around it; the connection's verdict is cached.
#[divan::bench(sample_size = 1_000)]
fn accept_steady_state(bencher: Bencher<'_, '_>) {
    let caller = certificate("orders");
    let keep = Keep::default();
    let policy = four_rules(&caller).build().unwrap();
    let mut service = RequireCertificateLayer::new(policy).layer(keep.clone());
    keep.0.set(Some(captured(caller)));
    bencher.bench_local(|| {
        let request = keep.0.take().unwrap();
        send(black_box(&mut service), request)
    });
}

/// Four rules evaluated and the verdict cached, as on the first request after a policy was replaced.
///
/// A certificate caches four verdicts; eight policies in turn never hit the cache.
#[divan::bench(sample_size = 1_000)]
fn accept_after_a_policy_change(bencher: Bencher<'_, '_>) {
    let caller = certificate("orders");
    let keep = Keep::default();
    let mut services: Vec<_> = (0..8)
        .map(|_| RequireCertificateLayer::new(four_rules(&caller).build().unwrap()).layer(keep.clone()))
        .collect();
    keep.0.set(Some(captured(caller)));
    let mut turn = 0;
    bencher.bench_local(|| {
        let request = keep.0.take().unwrap();
        turn = (turn + 1) % 8;
        send(black_box(&mut services[turn]), request)
    });
}

/// A stranger's request: evaluated, rejected, answered with 403 and a problem body.
///
/// Four allocations: a header map takes two, and each value in extensions one: the rejection, and the reason
/// phrase, which hyper reads there.
#[divan::bench(sample_size = 200)]
fn refusal(bencher: Bencher<'_, '_>) {
    let policy = four_rules(&certificate("orders")).build().unwrap();
    let mut service = RequireCertificateLayer::new(policy).layer(Keep::default());
    let stranger = certificate("stranger");
    bencher
        .with_inputs(|| captured(stranger.clone()))
        .bench_local_values(|request| send(black_box(&mut service), request));
}

/// The acceptor's per-request work: into empty extensions, and into existing ones.
#[divan::bench(args = [false, true], sample_size = 200)]
fn capture_per_request(bencher: Bencher<'_, '_>, has_extensions: bool) {
    let keep = Keep::default();
    let mut service = AssumePresentedLayer::new(certificate("orders")).layer(keep.clone());
    bencher
        .with_inputs(|| {
            let mut request = Request::new(());
            if has_extensions {
                request.extensions_mut().insert("something else");
            }
            request
        })
        .bench_local_values(|request| {
            let response = send(black_box(&mut service), request);
            (response, keep.0.take())
        });
}

/// Capture and layer together, as in a server.
#[divan::bench(sample_size = 200)]
fn capture_and_accept(bencher: Bencher<'_, '_>) {
    let caller = certificate("orders");
    let keep = Keep::default();
    let policy = four_rules(&caller).build().unwrap();
    let layer = RequireCertificateLayer::new(policy).layer(keep.clone());
    let mut service = AssumePresentedLayer::new(caller).layer(layer);
    bencher.with_inputs(|| Request::new(())).bench_local_values(|request| {
        let response = send(black_box(&mut service), request);
        (response, keep.0.take())
    });
}

/// Once per connection: leaf and one intermediate, parsed, hashed and shared, and a service that passes them on.
/// SHA-1, the key's hash and the key's kind are computed by the first rule that needs them.
#[divan::bench(sample_size = 20)]
fn capture_per_connection(bencher: Bencher<'_, '_>) {
    let [leaf, ca] = issued("orders");
    let app = Keep::default();
    bencher.bench_local(|| {
        let presented = Presented::from_der_chain([black_box(leaf.as_slice()), black_box(ca.as_slice())]);
        AssumePresentedLayer::new(presented).layer(app.clone())
    });
}

/// The certificate's share of that.
#[divan::bench(sample_size = 20)]
fn certificate_setup(bencher: Bencher<'_, '_>) {
    let [leaf, ca] = issued("orders");
    bencher
        .bench_local(|| Certificate::from_der_chain(black_box(&leaf), [black_box(ca.as_slice())]).unwrap());
}

/// The time of x509-parser for the leaf, the lower bound of that.
#[divan::bench(sample_size = 20)]
fn parser_alone(bencher: Bencher<'_, '_>) {
    use x509_parser::prelude::{FromDer, X509Certificate};

    let [leaf, _] = issued("orders");
    bencher.bench_local(|| X509Certificate::from_der(black_box(&leaf)).unwrap().1.subject().iter().count());
}
