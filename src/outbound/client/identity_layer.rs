use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::choice::{Choice, Dispatch, IdentitySettings, Reference};
use crate::{
    identity::{ClientIdentity, IdentityReference, ResolveIdentity},
    outbound::{ConnectionShare, UpstreamTrust},
    shared::Shared,
};

/// Sets the identity of a route's requests, and optionally the route's trust. A [`RequestIdentity`](super::RequestIdentity) and a
/// [`RequestTrust`](super::RequestTrust) in a request's extensions replace them.
///
/// The identity is chosen at every dispatch, so a replacement is effective on the next request; retries belong outside
/// of this layer. The inner service must be an [`MtlsClient`](super::MtlsClient), or lead to one with its extensions
/// intact.
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
    settings: IdentitySettings,
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
    /// it does, requests fail with [`UnknownIdentity`](crate::outbound::ClientErrorKind::UnknownIdentity).
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

    /// Chooses by the headers and extensions of each request, such as the [admitted](crate::admitted)
    /// certificate.
    ///
    /// A request for which `choose` returns None, or an unknown reference, fails with
    /// [`UnknownIdentity`](crate::outbound::ClientErrorKind::UnknownIdentity); it is not sent anonymously. Prefer an admitted certificate: a header is set
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
        let settings = IdentitySettings {
            choice,
            trust: None,
            http1_only: false,
            allows_missing_close_notify: false,
            share: None,
        };
        Self { settings }
    }

    /// The trust of the route: an [`UpstreamTrust`] or a [`Shared<UpstreamTrust>`](crate::Shared). Default: the client's.
    /// A [`RequestTrust`](super::RequestTrust) replaces it.
    #[must_use]
    pub fn with_trust(mut self, trust: impl Into<Shared<UpstreamTrust>>) -> Self {
        self.settings.trust = Some(trust.into());
        self
    }

    /// The share of the client's connections to which the requests of this route belong, if connections are limited.
    /// Default: one for each combination of identity, trust and authority.
    #[must_use]
    pub fn with_connection_share(mut self, share: ConnectionShare) -> Self {
        self.settings.share = Some(share);
        self
    }

    /// Uses HTTP/1.1 even if the upstream offers HTTP/2. Default: the version that the upstream prefers.
    #[must_use]
    pub fn only_http1(mut self) -> Self {
        self.settings.http1_only = true;
        self
    }

    /// Accepts the end of the TCP connection without TLS `close_notify` as the end of an HTTP/1.1 response that has
    /// neither a length nor chunks. Default: such a response fails with
    /// [`Truncated`](crate::outbound::ClientErrorKind::Truncated) after all bytes that arrived.
    ///
    /// For upstreams that never send `close_notify`. An attacker on the network can then truncate such a response unnoticed.
    /// Responses with `Content-Length` or chunks, HTTP/2 and tunnels are not affected, and over `http` the end of the
    /// connection is the end in any case.
    #[must_use]
    pub fn allow_missing_close_notify(mut self) -> Self {
        self.settings.allows_missing_close_notify = true;
        self
    }
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService { inner, settings: Arc::new(self.settings.clone()) }
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
    settings: Arc<IdentitySettings>,
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
        let dispatch = Dispatch::of(self.settings.clone(), &mut request);
        request.extensions_mut().insert(dispatch);
        self.inner.call(request)
    }
}
