//! Who may ask for more than whether the gateway lives.

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

use super::{Hosts, Token, arm::Problem};
use crate::log;

/// What a caller must show: everything that is configured, of which there is at least one.
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

    /// The names under which the listener is asked.
    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Lets only those to the routes of this router who show it all: the certificate is judged first.
    pub(super) fn guard(self, router: Router) -> Router {
        let token = self.token.clone();
        let has_none = self.token.is_none() && self.certificate.is_none();
        let told = Arc::new(Mutex::new(None));
        let router = router.route_layer(from_fn(move |request: Request, next: Next| {
            let (token, told) = (token.clone(), told.clone());
            async move {
                match token {
                    // The configuration refuses this; should it ever fail to, nobody is let in.
                    None if has_none => StatusCode::FORBIDDEN.into_response(),
                    Some(token) if !token.is_named_in(request.headers()) => {
                        // Pages and clients ask first whether they have to.
                        if request.headers().contains_key(header::AUTHORIZATION) {
                            warn(&told, &request);
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

/// At most one line a second: whoever guesses must not fill the log.
fn warn(told: &Mutex<Option<Instant>>, request: &Request) {
    let (now, mut told) = (Instant::now(), told.lock().unwrap_or_else(PoisonError::into_inner));
    if told.is_none_or(|told| now.saturating_duration_since(told) >= Duration::from_secs(1)) {
        *told = Some(now);
        let remote = remote_addr(request.extensions()).map(tracing::field::display);
        tracing::warn!(
            remote,
            path = &*log::cut(request.uri().path()),
            "asked with a token that is not the one"
        );
    }
}

fn unauthorized() -> Response {
    let message = "The management token is missing or wrong: send the one in token_file as Authorization: Bearer TOKEN.";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
