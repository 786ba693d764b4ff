//! What a request pays for the layer, and a connection for its certificate. Each rule has a row in the bench
//! `rules`.
//!
//! Run with: cargo bench --bench layer --all-features
//!
//! Times are of the timed part alone: requests are made before it and responses dropped after it. Compare the
//! layer's rows with `bare_service`. The allocation counts are exact; the feature `metrics` adds one to each
//! refusal.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use divan::{AllocProfiler, Bencher, black_box};
use http::{Request, Response};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tower::{Layer, Service};
use tower_mtls::{
    ClientCertificate, NamePattern, Policy, PolicyBuilder, Presented, RequireCertificateLayer,
    danger::AssumePresentedLayer,
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The service inside: keeps the request, so that the next call can use it again.
#[derive(Clone, Default)]
struct Keep(Rc<Cell<Option<Request<()>>>>);

impl Service<Request<()>> for Keep {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.0.set(Some(request));
        ready(Ok(Response::new(())))
    }
}

/// What a server does with a request. Nothing here ever waits.
fn send<S: Service<Request<()>, Error = Infallible>>(service: &mut S, request: Request<()>) -> S::Response {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        _ => unreachable!("the service answers at once"),
    }
}

/// A leaf under a CA, as DER: leaf and CA.
fn issued(common_name: &str) -> [Vec<u8>; 2] {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(DnType::OrganizationName, "Contoso");
    ca.distinguished_name.push(DnType::CommonName, "Contoso Issuing CA");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();

    let mut leaf = CertificateParams::new(vec![format!("{common_name}.example.com")]).unwrap();
    leaf.distinguished_name.push(DnType::OrganizationName, "Contoso");
    leaf.distinguished_name.push(DnType::CommonName, common_name);
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
    [leaf.der().to_vec(), ca.der().to_vec()]
}

fn certificate(common_name: &str) -> ClientCertificate {
    ClientCertificate::from_der(&issued(common_name)[0]).unwrap()
}

/// Validity, thumbprint, issuer and subject.
fn four_rules(caller: &ClientCertificate) -> PolicyBuilder {
    Policy::builder()
        .thumbprint(caller.sha256_thumbprint())
        .issuer(NamePattern::from(caller.issuer().clone()))
        .subject(NamePattern::from(caller.subject().clone()))
}

/// A request on a connection whose caller presented this.
fn captured(presented: impl Into<Presented>) -> Request<()> {
    let keep = Keep::default();
    send(&mut AssumePresentedLayer::new(presented).layer(keep.clone()), Request::new(()));
    keep.0.take().unwrap()
}

/// The service alone, without any layer.
#[divan::bench(sample_size = 1_000)]
fn bare_service(bencher: Bencher<'_, '_>) {
    let mut service = Keep::default();
    service.0.set(Some(captured(certificate("orders"))));
    bencher.bench_local(|| {
        let request = service.0.take().unwrap();
        send(black_box(&mut service), request)
    });
}

/// The layer around it; the connection's verdict is remembered.
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

/// Four rules evaluated and the verdict remembered, as on the first request after a policy was replaced.
///
/// A certificate remembers four verdicts; eight policies in turn never find theirs.
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

/// A stranger's request: judged, refused, answered with 403 and a problem body.
#[divan::bench(sample_size = 200)]
fn refusal(bencher: Bencher<'_, '_>) {
    let policy = four_rules(&certificate("orders")).build().unwrap();
    let mut service = RequireCertificateLayer::new(policy).layer(Keep::default());
    let stranger = certificate("stranger");
    bencher
        .with_inputs(|| captured(stranger.clone()))
        .bench_local_values(|request| send(black_box(&mut service), request));
}

/// What the acceptor's service adds to each request: into no extensions, and into some that are there.
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

/// Capture and layer together, as a server runs them.
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

/// Once per connection: leaf and one intermediate, parsed, hashed and shared, and a service that hands them on.
#[divan::bench(sample_size = 20)]
fn capture_per_connection(bencher: Bencher<'_, '_>) {
    let [leaf, ca] = issued("orders");
    let app = Keep::default();
    bencher.bench_local(|| {
        let presented = Presented::from_der_chain([black_box(leaf.as_slice()), black_box(ca.as_slice())]);
        AssumePresentedLayer::new(presented).layer(app.clone())
    });
}

/// The certificate's part of that.
#[divan::bench(sample_size = 20)]
fn certificate_setup(bencher: Bencher<'_, '_>) {
    let [leaf, ca] = issued("orders");
    bencher.bench_local(|| {
        ClientCertificate::from_der_chain(black_box(&leaf), [black_box(ca.as_slice())]).unwrap()
    });
}
