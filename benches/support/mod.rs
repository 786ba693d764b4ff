//! Requests, callers and a policy for the benches `layer` and `instructions`.

#[path = "../../tests/support/pki.rs"]
mod pki;

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use tower::{Layer, Service};
use tower_mtls::{
    Certificate, Policy,
    certificate::Presented,
    danger::AssumePresentedLayer,
    policy::{NamePattern, PolicyBuilder},
};

use self::pki::{Authority, Leaf};

/// The inner service: keeps the request, so that the next call can reuse it.
#[derive(Clone, Default)]
pub(crate) struct Keep(pub(crate) Rc<Cell<Option<Request<()>>>>);

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

/// Polls a service as a server does; nothing here waits. Never inlined, so that the call itself is part of the bare
/// service's row.
#[inline(never)]
pub(crate) fn send<S: Service<Request<()>, Error = Infallible>>(
    service: &mut S,
    request: Request<()>,
) -> S::Response {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        _ => unreachable!("the service answers at once"),
    }
}

/// A leaf under a CA, as DER: leaf and CA.
pub(crate) fn issued(common_name: &str) -> [Vec<u8>; 2] {
    let ca = Authority::root("Contoso Issuing CA");
    let leaf = ca.issue(&Leaf::client(common_name).dns(&format!("{common_name}.example.com")));
    [leaf.der, ca.der().to_vec()]
}

pub(crate) fn certificate(common_name: &str) -> Certificate {
    Certificate::from_der(&issued(common_name)[0]).unwrap()
}

/// Validity, thumbprint, issuer and subject.
pub(crate) fn four_rules(caller: &Certificate) -> PolicyBuilder {
    Policy::builder()
        .thumbprint(caller.sha256_thumbprint())
        .issuer(NamePattern::from(caller.issuer().clone()))
        .subject(NamePattern::from(caller.subject().clone()))
}

/// A request on a connection whose caller presented this.
pub(crate) fn captured(presented: impl Into<Presented>) -> Request<()> {
    let keep = Keep::default();
    send(&mut AssumePresentedLayer::new(presented).layer(keep.clone()), Request::new(()));
    keep.0.take().unwrap()
}
