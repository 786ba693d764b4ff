use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::BackEndTrust;
use crate::identity::{ClientIdentity, SharedIdentity};

/// Chooses the identity under which the requests of a route are sent, and optionally the route's trust.
///
/// The identity is read when a request is dispatched, so a replacement is effective on the next request; put
/// retries outside of this layer and each attempt asks again. The inner service must be an
/// [`MtlsClient`](super::MtlsClient), or lead to one with its extensions intact.
#[derive(Debug, Clone)]
pub struct IdentityLayer {
    route: RouteProfile,
}

#[derive(Debug, Clone)]
struct RouteProfile {
    identity: Option<SharedIdentity>,
    trust: Option<BackEndTrust>,
    http1_only: bool,
}

/// Under what profile one request is sent: travels in its extensions to the client.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) identity: Option<ClientIdentity>,
    pub(super) trust: Option<BackEndTrust>,
    pub(super) http1_only: bool,
}

impl IdentityLayer {
    /// Sends under `identity`: a [`ClientIdentity`], or a [`SharedIdentity`] that is replaced while serving.
    pub fn new(identity: impl Into<SharedIdentity>) -> Self {
        Self { route: RouteProfile { identity: Some(identity.into()), trust: None, http1_only: false } }
    }

    /// Sends without any certificate.
    pub fn anonymous() -> Self {
        Self { route: RouteProfile { identity: None, trust: None, http1_only: false } }
    }

    /// Demands this of the route's back ends. Default: the client's own trust.
    #[must_use]
    pub fn with_trust(mut self, trust: BackEndTrust) -> Self {
        self.route.trust = Some(trust);
        self
    }

    /// Speaks HTTP/1.1 even to back ends that offer HTTP/2. Default: whatever the back end prefers.
    ///
    /// Needed where the Host header must differ from the URI: HTTP/2 has only one of the two.
    #[must_use]
    pub fn only_http1(mut self) -> Self {
        self.route.http1_only = true;
        self
    }
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService { inner, route: self.route.clone() }
    }
}

/// Service made by [`IdentityLayer`].
#[derive(Debug, Clone)]
pub struct IdentityService<S> {
    inner: S,
    route: RouteProfile,
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
        let profile = Profile {
            identity: self.route.identity.as_ref().map(SharedIdentity::current),
            trust: self.route.trust.clone(),
            http1_only: self.route.http1_only,
        };
        request.extensions_mut().insert(profile);
        self.inner.call(request)
    }
}
