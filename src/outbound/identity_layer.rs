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

/// Chooses the identity under which the requests of a route are sent, and optionally the route's trust. A
/// [`RequestIdentity`] and a [`RequestTrust`] in a request's extensions count in place of the route's.
///
/// The identity is chosen when a request is dispatched, and again when it is dispatched once more, so a
/// replacement is effective on the next request; put retries outside of this layer. The inner service must be
/// an [`MtlsClient`](super::MtlsClient), or lead to one with its extensions intact.
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

/// Under which identity one request is sent, in place of its route's.
///
/// Put into a request's extensions by a layer outside of [`IdentityLayer`], such as one that decides by the caller;
/// it counts for requests of anonymous routes too. Extensions do not travel over the wire: no caller sets one.
#[derive(Debug, Clone)]
pub struct RequestIdentity(Option<ClientIdentity>);

impl RequestIdentity {
    /// This identity.
    pub fn new(identity: ClientIdentity) -> Self {
        Self(Some(identity))
    }

    /// One that was chosen and that nobody knows: the request fails with [`ClientErrorKind::UnknownIdentity`]. It
    /// is sent neither anonymously nor under the route's identity.
    pub fn unknown() -> Self {
        Self(None)
    }
}

/// How one request is to be sent: travels in its extensions to the client.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    route: Arc<Route>,
    /// What a choice by request came to.
    chosen: Option<IdentityReference>,
    /// What counts in place of the route's choice.
    own: Option<RequestIdentity>,
    /// What counts in place of the route's trust.
    own_trust: Option<RequestTrust>,
}

impl IdentityLayer {
    /// Sends under `identity`: a [`ClientIdentity`], or a [`Shared<ClientIdentity>`](crate::Shared) that is replaced while serving.
    pub fn new(identity: impl Into<Shared<ClientIdentity>>) -> Self {
        Self::with_choice(Choice::Shared(identity.into()))
    }

    /// Sends without any certificate.
    pub fn anonymous() -> Self {
        Self::with_choice(Choice::Anonymous)
    }

    /// Sends under the identity that `reference` means when a request is dispatched. It need not exist yet: until
    /// it does, requests fail with [`ClientErrorKind::UnknownIdentity`].
    pub fn by_reference(
        identities: impl ResolveIdentity + 'static,
        reference: impl Into<IdentityReference>,
    ) -> Self {
        let reference = Reference::Fixed(reference.into());
        Self::with_choice(Choice::Referred { identities: Arc::new(identities), reference })
    }

    /// Chooses by what each request says: its headers, and its extensions with the
    /// [admitted](crate::inbound::admitted) certificate.
    ///
    /// A request for which `choose` returns None, or a reference that nobody knows, fails with
    /// [`ClientErrorKind::UnknownIdentity`]; it is never sent anonymously. Decide by an admitted certificate
    /// where you can; a header is the caller's word, so let it select from a list of its own only, never name an
    /// identity by itself. The extensions are those of the request that is sent: a handler that makes a new one
    /// copies what `choose` looks at.
    ///
    /// ```
    /// # fn route(acme: tower_mtls::ClientIdentity, globex: tower_mtls::ClientIdentity) {
    /// use tower_mtls::{Identities, IdentityLayer, IdentityReference, Shared, admitted};
    ///
    /// let mut identities = Identities::new();
    /// identities.insert(IdentityReference::name("acme"), acme);
    /// identities.insert(IdentityReference::name("globex"), globex);
    /// // A clone stays here, to replace them all while requests are sent.
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

    /// Demands this of the route's upstreams: a [`UpstreamTrust`], or a [`Shared<UpstreamTrust>`](crate::Shared) that is replaced
    /// while serving. Default: the client's own trust. A [`RequestTrust`] counts in its place.
    #[must_use]
    pub fn with_trust(mut self, trust: impl Into<Shared<UpstreamTrust>>) -> Self {
        self.route.trust = Some(trust.into());
        self
    }

    /// Speaks HTTP/1.1 even to upstreams that offer HTTP/2. Default: whatever the upstream prefers.
    #[must_use]
    pub fn only_http1(mut self) -> Self {
        self.route.http1_only = true;
        self
    }

    /// Accepts the end of the TCP connection without TLS `close_notify` as the end of an HTTP/1.1 response that has
    /// neither a length nor chunks. Default: such a response fails with
    /// [`ClientErrorKind::Truncated`] after all bytes that arrived.
    ///
    /// For upstreams that never send `close_notify`. Anyone on the way can then cut such a response short unnoticed.
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

/// Service made by [`IdentityLayer`].
#[derive(Debug, Clone)]
pub struct IdentityService<S> {
    inner: S,
    route: Arc<Route>,
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
    /// The identity as it is now; Ok(None) if anonymity was asked for by name.
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

    /// The request's own trust as it is now, else the route's. None: the client's counts.
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
