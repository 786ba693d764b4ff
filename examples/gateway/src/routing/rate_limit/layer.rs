//! Layer that rejects requests over the rate limits of a route.

use std::{
    future::Future,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Request};
use ipnet::IpNet;
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_mtls::{admitted, remote_addr};

use super::limiter::RateLimiter;
use crate::{config::RateLimitKey, edge::ForwardError};

/// Rate limits of one route, as a layer. Empty: the layer has no effect.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateLimits(Option<Arc<RouteRates>>);

#[derive(Debug)]
struct RouteRates {
    /// Host and path.
    route: String,
    rates: Rates,
}

/// Rate limits that routes can share.
#[derive(Debug, Clone)]
pub(crate) struct Rates {
    pub(crate) limiters: Vec<Arc<RateLimiter>>,
    /// Networks whose addresses are not counted.
    pub(crate) exempt_networks: Arc<[IpNet]>,
}

impl RateLimits {
    /// Creates the limits of the route with this host and path.
    pub(crate) fn new(rates: Rates, host: &str, path: &str) -> Self {
        let is_empty = rates.limiters.is_empty();
        Self((!is_empty).then(|| Arc::new(RouteRates { route: format!("{host}{path}"), rates })))
    }

    /// Separates the limits of all requests from those of admitted ones: a caller that is rejected must not use up the
    /// requests of a route, nor create entries of certificates.
    pub(in crate::routing) fn into_before_and_after_admission(self) -> (Self, Self) {
        let Some(route) = self.0 else { return Default::default() };
        let Rates { limiters, exempt_networks } = &route.rates;
        let is_before = |limiter: &Arc<RateLimiter>| limiter.by == RateLimitKey::Address;
        let (before, after) = limiters.iter().cloned().partition(is_before);
        let part = |limiters| {
            let rates = Rates { limiters, exempt_networks: exempt_networks.clone() };
            Self::new(rates, "", &route.route)
        };
        (part(before), part(after))
    }
}

impl RouteRates {
    fn check(&self, extensions: &Extensions) -> Result<(), ForwardError> {
        for limiter in &self.rates.limiters {
            let checked = match limiter.by {
                RateLimitKey::Address => {
                    let unknown = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                    let address =
                        remote_addr(extensions).map_or(unknown, |remote| remote.ip()).to_canonical();
                    let is_exempt =
                        self.rates.exempt_networks.iter().any(|network| network.contains(&address));
                    if is_exempt { Ok(()) } else { limiter.check_address(address) }
                }
                RateLimitKey::Certificate => match admitted(extensions) {
                    Some(certificate) => limiter.check(certificate.sha256_thumbprint()),
                    // A shadow mode or a policy document lets it pass.
                    None => Ok(()),
                },
                RateLimitKey::Route => limiter.check(self.route.as_str()),
            };
            checked.map_err(|retry_after| ForwardError::RateLimited { by: limiter.by, retry_after })?;
        }
        Ok(())
    }
}

impl<S> Layer<S> for RateLimits {
    type Service = RateLimited<S>;

    fn layer(&self, inner: S) -> RateLimited<S> {
        RateLimited { inner, limits: self.clone() }
    }
}

/// Service of [`RateLimits`].
#[derive(Debug, Clone)]
pub(crate) struct RateLimited<S> {
    inner: S,
    limits: RateLimits,
}

impl<S, B> Service<Request<B>> for RateLimited<S>
where
    S: Service<Request<B>, Error = ForwardError>,
{
    type Response = S::Response;
    type Error = ForwardError;
    type Future = RateLimitedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ForwardError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let checked = self.limits.0.as_ref().map_or(Ok(()), |rates| rates.check(request.extensions()));
        match checked {
            Ok(()) => RateLimitedFuture::Allowed { response: self.inner.call(request) },
            Err(error) => RateLimitedFuture::Rejected { error: Some(error) },
        }
    }
}

pin_project! {
    /// Future of [`RateLimited`].
    #[project = RateLimitedProjection]
    pub(crate) enum RateLimitedFuture<F> {
        Allowed { #[pin] response: F },
        // None: completed.
        Rejected { error: Option<ForwardError> },
    }
}

impl<F, R> Future for RateLimitedFuture<F>
where
    F: Future<Output = Result<R, ForwardError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            RateLimitedProjection::Allowed { response } => response.poll(cx),
            RateLimitedProjection::Rejected { error } => {
                Poll::Ready(Err(error.take().expect("the future is not polled after completion")))
            }
        }
    }
}
