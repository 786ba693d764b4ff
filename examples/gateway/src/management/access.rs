//! Access control of the management listener.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use tower_mtls::{RequireCertificateLayer, remote_addr};

use super::{Hosts, Token, rest::ApiError};
use crate::log;

/// Credentials that a client must present: the token, an admitted certificate, or both.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    token: Option<Arc<Token>>,
    certificate: Option<RequireCertificateLayer>,
    hosts: Hosts,
}

impl Access {
    pub(crate) fn new(
        token: Option<Token>,
        certificate: Option<RequireCertificateLayer>,
        hosts: Hosts,
    ) -> Self {
        Self { token: token.map(Arc::new), certificate, hosts }
    }

    /// Returns the host names of the listener.
    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Requires the configured credentials for all routes of this router. The certificate is checked first.
    pub(super) fn guard(self, router: Router) -> Router {
        let token = self.token.clone();
        let has_none = self.token.is_none() && self.certificate.is_none();
        let last_warning = Arc::new(Mutex::new(None));
        let router = router.route_layer(from_fn(move |request: Request, next: Next| {
            let (token, last_warning) = (token.clone(), last_warning.clone());
            async move {
                match token {
                    // Excluded by the configuration; fails closed nevertheless.
                    None if has_none => StatusCode::FORBIDDEN.into_response(),
                    Some(token) if !token.matches(request.headers()) => {
                        // Clients try without credentials first; that is not worth a warning.
                        if request.headers().contains_key(header::AUTHORIZATION) {
                            warn(&last_warning, &request);
                        }
                        unauthorized()
                    }
                    _ => next.run(request).await,
                }
            }
        }));
        match self.certificate {
            Some(layer) => router.route_layer(layer),
            None => router,
        }
    }
}

/// Logs a warning, at most once a second so that guessing does not fill the log.
fn warn(last_warning: &Mutex<Option<Instant>>, request: &Request) {
    let (now, mut last) = (Instant::now(), last_warning.lock().unwrap_or_else(PoisonError::into_inner));
    if last.is_none_or(|last| now.saturating_duration_since(last) >= Duration::from_secs(1)) {
        *last = Some(now);
        let remote = remote_addr(request.extensions()).map(tracing::field::display);
        tracing::warn!(
            remote,
            path = &*log::cut(request.uri().path()),
            "management request rejected: invalid bearer token"
        );
    }
}

fn unauthorized() -> Response {
    let message = "The bearer token is missing or invalid. Send the token of token_file as Authorization: Bearer TOKEN.";
    let mut response = ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized", message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
