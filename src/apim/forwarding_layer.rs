use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{ChosenIdentity, Forwarding};
use crate::{
    identity::{IdentityReference, ResolveIdentity},
    outbound::RequestIdentity,
    proxy::Rewrite,
};

/// Puts what a document chose into effect: stands between an [`ApimPolicyLayer`](super::ApimPolicyLayer) and a
/// [`ReverseProxyLayer`](crate::ReverseProxyLayer) over an [`IdentityLayer`](crate::IdentityLayer).
///
/// 1. The identity is looked up among `identities`, by certificate id or thumbprint, and counts in place of the
///    route's. One that is not there fails the request with
///    [`ClientErrorKind::UnknownIdentity`](crate::ClientErrorKind::UnknownIdentity): it is sent neither anonymously
///    nor under the route's identity.
/// 2. The base URL counts in place of the route's upstream, for this request. The route's trust judges that back end
///    too, and an identity is never shown over `http`
///    ([`ClientErrorKind::PlaintextIdentity`](crate::ClientErrorKind::PlaintextIdentity)).
/// 3. Headers that the document set are set once more after the proxy has removed what callers could have claimed.
///
/// A request of which the document chose nothing passes as it is.
#[derive(Clone)]
pub struct ForwardingLayer(Arc<dyn ResolveIdentity>);

impl ForwardingLayer {
    /// Looks identities up among `identities`.
    pub fn new(identities: impl ResolveIdentity + 'static) -> Self {
        Self(Arc::new(identities))
    }
}

impl fmt::Debug for ForwardingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardingLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ForwardingLayer {
    type Service = ForwardingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ForwardingService { inner, identities: self.clone() }
    }
}

/// Service made by [`ForwardingLayer`].
#[derive(Debug, Clone)]
pub struct ForwardingService<S> {
    inner: S,
    identities: ForwardingLayer,
}

impl ForwardingLayer {
    fn identity(&self, chosen: &ChosenIdentity) -> RequestIdentity {
        let reference = match chosen {
            ChosenIdentity::Embedded(identity) => return RequestIdentity::new(identity.clone()),
            ChosenIdentity::Id(id) => IdentityReference::id(id.clone()),
            ChosenIdentity::Thumbprint(thumbprint) => (*thumbprint).into(),
        };
        match self.0.resolve(&reference) {
            Some(identity) => RequestIdentity::new(identity),
            None => {
                tracing::warn!("a policy document chose {chosen} for the back end, which is not there");
                RequestIdentity::unknown()
            }
        }
    }
}

/// What the proxy is told. None if it is to do what it does anyway.
fn rewrite(forwarding: &Forwarding) -> Option<Rewrite> {
    if forwarding.base_url().is_none() && forwarding.header_changes().len() == 0 {
        return None;
    }
    let mut rewrite = Rewrite::new();
    if let Some(uri) = forwarding.base_url() {
        rewrite = rewrite.base_url(uri);
    }
    for (name, values) in forwarding.header_changes() {
        rewrite = rewrite.header(name.clone(), values.iter().cloned());
    }
    Some(rewrite)
}

impl<S, B> Service<Request<B>> for ForwardingService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let extensions = request.extensions_mut();
        if let Some(forwarding) = extensions.remove::<Forwarding>() {
            if let Some(chosen) = forwarding.identity() {
                extensions.insert(self.identities.identity(chosen));
            }
            if let Some(rewrite) = rewrite(&forwarding) {
                extensions.insert(rewrite);
            }
        }
        self.inner.call(request)
    }
}
