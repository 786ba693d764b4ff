use crate::shared::Shared;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::{ClientErrorKind, RequestTrust, UpstreamTrust};
use crate::identity::{ClientIdentity, IdentityReference, ResolveIdentity};

/// Sets the identity of a route's requests, and optionally the route's trust. A [`RequestIdentity`] and a
/// [`RequestTrust`] in a request's extensions replace them.
///
/// The identity is chosen at every dispatch, so a replacement is effective on the next request; retries belong outside
/// of this layer. The inner service must be
/// an [`MtlsClient`](super::MtlsClient), or lead to one with its extensions intact.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let orders = tower_mtls::ClientIdentity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
/// use http::Request;
/// use tower::{Layer, ServiceExt};
/// use tower_mtls::{IdentityLayer, MtlsClient, outbound::ClientErrorKind};
///
/// let client: MtlsClient<String> = MtlsClient::builder().build();
/// let route = IdentityLayer::new(orders).layer(client);
///
/// // An identity is never sent over http.
/// let error = route.oneshot(Request::get("http://orders.internal").body(String::new())?).await.unwrap_err();
/// assert_eq!(error.kind(), ClientErrorKind::PlaintextIdentity);
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone)]
pub struct IdentityLayer {
    route: Route,
}

#[derive(Debug, Clone)]
struct Route {
    choice: Choice,
    trust: Option<Shared<UpstreamTrust>>,
    http1_only: bool,
    allows_missing_close_notify: bool,
}

#[derive(Clone)]
enum Choice {
    Anonymous,
    Shared(Shared<ClientIdentity>),
    Referred { identities: Arc<dyn ResolveIdentity>, reference: Reference },
}

#[derive(Clone)]
enum Reference {
    Fixed(IdentityReference),
    Chosen(Arc<Choose>),
}

type Choose = dyn Fn(&HeaderMap, &Extensions) -> Option<IdentityReference> + Send + Sync;

/// Identity of one request, in place of its route's.
///
/// A layer outside of [`IdentityLayer`] inserts it into a request's extensions, for example by the caller's certificate;
/// it replaces the choice of anonymous routes too. Extensions are not sent over the wire, so callers cannot set one.
///
/// ```
/// # fn select(tenant: Option<tower_mtls::ClientIdentity>) {
/// use http::Request;
/// use tower_mtls::outbound::RequestIdentity;
///
/// let mut request = Request::new(());
/// let identity = tenant.map_or_else(RequestIdentity::unknown, RequestIdentity::new);
/// request.extensions_mut().insert(identity);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestIdentity(Option<ClientIdentity>);

impl RequestIdentity {
    /// Sends under this identity.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let tenant = tower_mtls::ClientIdentity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
    /// use http::Request;
    /// use tower::{Layer, ServiceExt};
    /// use tower_mtls::{IdentityLayer, MtlsClient, outbound::{ClientErrorKind, RequestIdentity}};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let mut request = Request::get("http://orders.internal").body(String::new())?;
    /// request.extensions_mut().insert(RequestIdentity::new(tenant));
    ///
    /// // It replaces the choice of the route, and is never sent over http.
    /// let error = IdentityLayer::anonymous().layer(client).oneshot(request).await.unwrap_err();
    /// assert_eq!(error.kind(), ClientErrorKind::PlaintextIdentity);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(identity: ClientIdentity) -> Self {
        Self(Some(identity))
    }

    /// An identity that was chosen and does not exist: the request fails with [`ClientErrorKind::UnknownIdentity`]. It is
    /// sent neither anonymously nor under the route's identity.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::Request;
    /// use tower::{Layer, ServiceExt};
    /// use tower_mtls::{IdentityLayer, MtlsClient, outbound::{ClientErrorKind, RequestIdentity}};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let mut request = Request::get("https://orders.internal").body(String::new())?;
    /// request.extensions_mut().insert(RequestIdentity::unknown());
    /// let error = IdentityLayer::anonymous().layer(client).oneshot(request).await.unwrap_err();
    /// assert_eq!(error.kind(), ClientErrorKind::UnknownIdentity);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unknown() -> Self {
        Self(None)
    }
}

/// Extension with which the layer passes its choice to the client.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    route: Arc<Route>,
    /// The result of a choice by request.
    chosen: Option<IdentityReference>,
    /// The request's identity, in place of the route's.
    own: Option<RequestIdentity>,
    /// The request's trust, in place of the route's.
    own_trust: Option<RequestTrust>,
}

impl IdentityLayer {
    /// Sends under `identity`: a [`ClientIdentity`], or a [`Shared<ClientIdentity>`](crate::Shared).
    ///
    /// ```
    /// # fn route(orders: tower_mtls::ClientIdentity) {
    /// use tower::Layer;
    /// use tower_mtls::{IdentityLayer, MtlsClient, Shared};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let identity = Shared::new(orders);
    /// let route = IdentityLayer::new(identity.clone()).layer(client);
    /// # drop(route);
    /// # }
    /// ```
    pub fn new(identity: impl Into<Shared<ClientIdentity>>) -> Self {
        Self::with_choice(Choice::Shared(identity.into()))
    }

    /// Sends without a client certificate.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_mtls::{IdentityLayer, MtlsClient};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let public = IdentityLayer::anonymous().layer(client.clone());
    /// assert!(public.get_ref().ptr_eq(&client));
    /// ```
    pub fn anonymous() -> Self {
        Self::with_choice(Choice::Anonymous)
    }

    /// Sends under the identity that `reference` means when a request is dispatched. It need not exist yet: until
    /// it does, requests fail with [`ClientErrorKind::UnknownIdentity`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::Request;
    /// use tower::{Layer, ServiceExt};
    /// use tower_mtls::{IdentityLayer, MtlsClient, Shared};
    /// use tower_mtls::{identity::{Identities, IdentityReference}, outbound::ClientErrorKind};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// let identities = Shared::new(Identities::new()); // loaded later
    /// let route = IdentityLayer::by_reference(identities.clone(), IdentityReference::name("orders")).layer(client);
    /// let error = route.oneshot(Request::get("https://orders.internal").body(String::new())?).await.unwrap_err();
    /// assert_eq!(error.kind(), ClientErrorKind::UnknownIdentity);
    /// # Ok(())
    /// # }
    /// ```
    pub fn by_reference(
        identities: impl ResolveIdentity + 'static,
        reference: impl Into<IdentityReference>,
    ) -> Self {
        let reference = Reference::Fixed(reference.into());
        Self::with_choice(Choice::Referred { identities: Arc::new(identities), reference })
    }

    /// Chooses by the headers and extensions of each request, such as the [admitted](crate::inbound::admitted)
    /// certificate.
    ///
    /// A request for which `choose` returns None, or an unknown reference, fails with
    /// [`ClientErrorKind::UnknownIdentity`]; it is not sent anonymously. Prefer an admitted certificate: a header is set
    /// by the caller, so use it only to select from a fixed list. The extensions are those of the request that is sent: a
    /// handler that builds a new request must copy those that `choose` reads.
    ///
    /// ```
    /// # fn route(acme: tower_mtls::ClientIdentity, globex: tower_mtls::ClientIdentity) {
    /// use tower_mtls::{IdentityLayer, Shared, admitted, identity::{Identities, IdentityReference}};
    ///
    /// let mut identities = Identities::new();
    /// identities.insert(IdentityReference::name("acme"), acme);
    /// identities.insert(IdentityReference::name("globex"), globex);
    /// // Another clone replaces all identities while requests are sent.
    /// let identities = Shared::new(identities);
    /// let layer = IdentityLayer::choose(identities.clone(), |_headers, extensions| {
    ///     let tenant = match admitted(extensions)?.subject().to_string().as_str() {
    ///         "CN=acme,O=Contoso" => "acme",
    ///         "CN=globex,O=Contoso" => "globex",
    ///         _ => return None,
    ///     };
    ///     Some(IdentityReference::name(tenant))
    /// });
    /// # }
    /// ```
    pub fn choose(
        identities: impl ResolveIdentity + 'static,
        choose: impl Fn(&HeaderMap, &Extensions) -> Option<IdentityReference> + Send + Sync + 'static,
    ) -> Self {
        let reference = Reference::Chosen(Arc::new(choose));
        Self::with_choice(Choice::Referred { identities: Arc::new(identities), reference })
    }

    fn with_choice(choice: Choice) -> Self {
        let route = Route { choice, trust: None, http1_only: false, allows_missing_close_notify: false };
        Self { route }
    }

    /// The trust of the route: an [`UpstreamTrust`] or a [`Shared<UpstreamTrust>`](crate::Shared). Default: the client's.
    /// A [`RequestTrust`] replaces it.
    #[must_use]
    pub fn with_trust(mut self, trust: impl Into<Shared<UpstreamTrust>>) -> Self {
        self.route.trust = Some(trust.into());
        self
    }

    /// Uses HTTP/1.1 even if the upstream offers HTTP/2. Default: the version that the upstream prefers.
    #[must_use]
    pub fn only_http1(mut self) -> Self {
        self.route.http1_only = true;
        self
    }

    /// Accepts the end of the TCP connection without TLS `close_notify` as the end of an HTTP/1.1 response that has
    /// neither a length nor chunks. Default: such a response fails with
    /// [`ClientErrorKind::Truncated`] after all bytes that arrived.
    ///
    /// For upstreams that never send `close_notify`. An attacker on the network can then truncate such a response unnoticed.
    /// Responses with `Content-Length` or chunks, HTTP/2 and tunnels are not affected, and over `http` the end of the
    /// connection is the end in any case.
    #[must_use]
    pub fn allow_missing_close_notify(mut self) -> Self {
        self.route.allows_missing_close_notify = true;
        self
    }
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService { inner, route: Arc::new(self.route.clone()) }
    }
}

/// Service of [`IdentityLayer`].
///
/// ```
/// use tower::Layer;
/// use tower_mtls::{IdentityLayer, outbound::IdentityService};
///
/// let service: IdentityService<&str> = IdentityLayer::anonymous().layer("client");
/// assert_eq!(service.into_inner(), "client");
/// ```
#[derive(Debug, Clone)]
pub struct IdentityService<S> {
    inner: S,
    route: Arc<Route>,
}

impl<S> IdentityService<S> {
    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for IdentityService<S>
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
        let own = request.extensions_mut().remove::<RequestIdentity>();
        let chosen = match &self.route.choice {
            Choice::Referred { reference: Reference::Chosen(choose), .. } if own.is_none() => {
                choose(request.headers(), request.extensions())
            }
            _ => None,
        };
        let own_trust = request.extensions_mut().remove::<RequestTrust>();
        request.extensions_mut().insert(Dispatch { route: self.route.clone(), chosen, own, own_trust });
        self.inner.call(request)
    }
}

impl Dispatch {
    /// Returns the current identity; Ok(None) for anonymity.
    pub(super) fn identity(&self) -> Result<Option<ClientIdentity>, ClientErrorKind> {
        if let Some(RequestIdentity(identity)) = &self.own {
            return identity.clone().map(Some).ok_or(ClientErrorKind::UnknownIdentity);
        }
        match &self.route.choice {
            Choice::Anonymous => Ok(None),
            Choice::Shared(identity) => Ok(Some(ClientIdentity::clone(&identity.load()))),
            Choice::Referred { identities, reference } => {
                let reference = match reference {
                    Reference::Fixed(reference) => Some(reference),
                    Reference::Chosen(_) => self.chosen.as_ref(),
                };
                let identity = reference.and_then(|reference| identities.resolve(reference));
                identity.map(Some).ok_or(ClientErrorKind::UnknownIdentity)
            }
        }
    }

    /// Returns the current trust of the request, else of the route. None: the client's is used.
    pub(super) fn trust(&self) -> Option<UpstreamTrust> {
        match &self.own_trust {
            Some(own) => Some(own.current()),
            None => self.route.trust.as_ref().map(|trust| UpstreamTrust::clone(&trust.load())),
        }
    }

    pub(super) fn http1_only(&self) -> bool {
        self.route.http1_only
    }

    pub(super) fn allows_missing_close_notify(&self) -> bool {
        self.route.allows_missing_close_notify
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Shared(identity) => identity.fmt(f),
            Self::Referred { reference: Reference::Fixed(reference), .. } => reference.fmt(f),
            Self::Referred { .. } => f.write_str("by request"),
        }
    }
}
