use std::{
    collections::HashMap,
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
    inbound::Shortened,
    outbound::{RequestIdentity, RequestTrust, UpstreamTrust},
    proxy::Rewrite,
    shared::Shared,
};

/// Puts what a document chose into effect: stands between an [`ApimPolicyLayer`](super::ApimPolicyLayer) and a
/// [`ReverseProxyLayer`](crate::ReverseProxyLayer) over an [`IdentityLayer`](crate::IdentityLayer).
///
/// 1. The identity is looked up among `identities`, by certificate id or thumbprint, and counts in place of the
///    route's. One that is not there fails the request with
///    [`ClientErrorKind::UnknownIdentity`](crate::ClientErrorKind::UnknownIdentity): it is sent neither anonymously
///    nor under the route's identity.
/// 2. The base URL counts in place of the route's upstream, for this request. The route's trust judges that backend
///    too, unless it was chosen by an id that has a [trust of its own](Self::with_backend_trust), and an identity is
///    never shown over `http`
///    ([`ClientErrorKind::PlaintextIdentity`](crate::ClientErrorKind::PlaintextIdentity)).
/// 3. Headers that the document set are set once more after the proxy has removed what callers could have claimed.
///
/// A request of which the document chose nothing passes as it is.
#[derive(Clone)]
pub struct ForwardingLayer(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    identities: Arc<dyn ResolveIdentity>,
    /// By the ids of backends.
    trusts: HashMap<Arc<str>, Shared<UpstreamTrust>>,
}

impl ForwardingLayer {
    /// Looks identities up among `identities`. No backend has a trust of its own.
    pub fn new(identities: impl ResolveIdentity + 'static) -> Self {
        Self(Arc::new(Inner { identities: Arc::new(identities), trusts: HashMap::new() }))
    }

    /// Demands this of the backend that documents name by this id
    /// ([`Forwarding::backend`](super::Forwarding::backend)): a [`UpstreamTrust`](crate::UpstreamTrust), or a
    /// [`Shared<UpstreamTrust>`](crate::Shared) that is replaced while serving. It counts in place of the route's trust, and replaces one
    /// that was given for the same id before. Default: the route's trust, as for backends that a document names by
    /// their URL.
    #[must_use]
    pub fn with_backend_trust(
        mut self,
        id: impl Into<Arc<str>>,
        trust: impl Into<Shared<UpstreamTrust>>,
    ) -> Self {
        Arc::make_mut(&mut self.0).trusts.insert(id.into(), trust.into());
        self
    }
}

impl fmt::Debug for ForwardingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardingLayer").field("trusts", &self.0.trusts.keys()).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ForwardingLayer {
    type Service = ForwardingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ForwardingService { inner, layer: self.clone() }
    }
}

/// Service made by [`ForwardingLayer`].
#[derive(Debug, Clone)]
pub struct ForwardingService<S> {
    inner: S,
    layer: ForwardingLayer,
}

impl ForwardingLayer {
    fn identity(&self, chosen: &ChosenIdentity) -> RequestIdentity {
        let reference = match chosen {
            ChosenIdentity::Embedded(identity) => return RequestIdentity::new(identity.clone()),
            ChosenIdentity::Id(id) => IdentityReference::id(id.clone()),
            ChosenIdentity::Thumbprint(thumbprint) => (*thumbprint).into(),
        };
        match self.0.identities.resolve(&reference) {
            Some(identity) => RequestIdentity::new(identity),
            None => {
                let chosen = Shortened(chosen);
                tracing::warn!("a policy document chose {chosen} for the backend, which is not there");
                RequestIdentity::unknown()
            }
        }
    }

    /// What is demanded of the backend that was chosen. None: what the route demands.
    fn trust(&self, forwarding: &Forwarding) -> Option<RequestTrust> {
        let trust = self.0.trusts.get(forwarding.backend()?)?;
        Some(RequestTrust::new(trust.clone()))
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
                extensions.insert(self.layer.identity(chosen));
            }
            if let Some(trust) = self.layer.trust(&forwarding) {
                extensions.insert(trust);
            }
            if let Some(rewrite) = rewrite(&forwarding) {
                extensions.insert(rewrite);
            }
        }
        self.inner.call(request)
    }
}
