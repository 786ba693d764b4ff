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

/// Applies the choices of a document ([`Forwarding`]) to the request. Place it between an
/// [`ApimPolicyLayer`](super::ApimPolicyLayer) and a [`ReverseProxyLayer`](crate::ReverseProxyLayer) over an
/// [`IdentityLayer`](crate::IdentityLayer).
///
/// 1. The identity is resolved among `identities` by certificate id or thumbprint, and replaces the route's. If it is
///    unknown, the request fails with
///    [`ClientErrorKind::UnknownIdentity`](crate::outbound::ClientErrorKind::UnknownIdentity); it is sent neither anonymously nor
///    with the route's identity.
/// 2. The base URL replaces the route's upstream for this request. The route's trust applies to that backend, unless it
///    was chosen by an id with its [own trust](Self::with_backend_trust). An identity is never presented over `http`
///    ([`ClientErrorKind::PlaintextIdentity`](crate::outbound::ClientErrorKind::PlaintextIdentity)).
/// 3. Headers that the document set are set again after the proxy has removed forgeable headers.
///
/// A request without choices of the document passes unchanged.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{
///     apim::{ApimPolicyLayer, Document, ForwardingLayer},
///     danger::AssumePresentedLayer, identity::Identities, outbound::RequestIdentity, proxy::Rewrite,
/// };
/// # let caller = rcgen::generate_simple_self_signed(vec![])?;
/// # let caller = tower_mtls::Certificate::from_der(caller.cert.der())?;
///
/// let document = Document::parse(r#"
///     <set-backend-service base-url="https://orders.internal/v2" />
///     <authentication-certificate certificate-id="orders" />"#)?;
///
/// // In place of a reverse proxy over a client.
/// let upstream = service_fn(|request: Request<String>| async move {
///     assert!(request.extensions().get::<Rewrite>().is_some());
///     assert!(request.extensions().get::<RequestIdentity>().is_some());
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// });
/// let service = ApimPolicyLayer::new(document).layer(ForwardingLayer::new(Identities::new()).layer(upstream));
/// AssumePresentedLayer::new(caller).layer(service).oneshot(Request::new(String::new())).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ForwardingLayer(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    identities: Arc<dyn ResolveIdentity>,
    /// Trust by backend id.
    trusts: HashMap<Arc<str>, Shared<UpstreamTrust>>,
}

impl ForwardingLayer {
    /// Resolves identities among `identities`. All backends use the trust of the route.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_mtls::{Shared, apim::ForwardingLayer, identity::Identities};
    ///
    /// // Identities that can be replaced while serving.
    /// let layer = ForwardingLayer::new(Shared::new(Identities::new()));
    /// # let _ = layer.layer("inner");
    /// ```
    pub fn new(identities: impl ResolveIdentity + 'static) -> Self {
        Self(Arc::new(Inner { identities: Arc::new(identities), trusts: HashMap::new() }))
    }

    /// Sets the trust for the backend with this id ([`Forwarding::backend`](super::Forwarding::backend)): a
    /// [`UpstreamTrust`](crate::UpstreamTrust), or a [`Shared<UpstreamTrust>`](crate::Shared) that can be replaced while
    /// serving. Replaces an earlier trust for the same id. Default: the route's trust, as for backends that a document
    /// names by URL.
    #[must_use]
    pub fn with_backend_trust(
        mut self,
        id: impl Into<Arc<str>>,
        trust: impl Into<Shared<UpstreamTrust>>,
    ) -> Self {
        Arc::make_mut(&mut self.0).trusts.insert(id.into(), trust.into());
        self
    }

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
                tracing::warn!("policy document chose an unknown identity for the backend: {chosen}");
                RequestIdentity::unknown()
            }
        }
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

/// Service that applies the choices of a document. Created by [`ForwardingLayer`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::convert::Infallible;
/// use http::Request;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{apim::{ForwardingLayer, ForwardingService}, identity::Identities, outbound::RequestIdentity};
///
/// struct Route<S>(ForwardingService<S>);
///
/// // Without choices of a document the request passes unchanged.
/// let inner = service_fn(|request: Request<()>| async move {
///     Ok::<_, Infallible>(request.extensions().get::<RequestIdentity>().is_some())
/// });
/// let route = Route(ForwardingLayer::new(Identities::new()).layer(inner));
/// assert!(!route.0.oneshot(Request::new(())).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ForwardingService<S> {
    inner: S,
    layer: ForwardingLayer,
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
            let Forwarding { identity, base_url, backend, headers } = forwarding;
            if let Some(chosen) = identity {
                extensions.insert(self.layer.identity(&chosen));
            }
            if let Some(trust) = backend.and_then(|backend| self.layer.0.trusts.get(&backend)) {
                extensions.insert(RequestTrust::new(trust.clone()));
            }
            if base_url.is_some() || !headers.is_empty() {
                let rewrite = base_url.iter().fold(Rewrite::new(), Rewrite::base_url);
                let set = |rewrite: Rewrite, (name, values)| rewrite.header(name, values);
                extensions.insert(headers.into_iter().fold(rewrite, set));
            }
        }
        self.inner.call(request)
    }
}
