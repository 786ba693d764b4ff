//! Repetition of idempotent requests.

use http::{Method, Request, header};
use http_body::Body;

/// Copies requests that can be sent a second time.
pub(super) struct Repetition<B> {
    empty_body: fn() -> B,
}

impl<B> Clone for Repetition<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Repetition<B> {}

impl<B: Default> Repetition<B> {
    pub(super) fn new() -> Self {
        Self { empty_body: B::default }
    }
}

impl<B: Body> Repetition<B> {
    /// Copies a request without its extensions. None: it must not be repeated.
    pub(super) fn copy(self, request: &Request<B>) -> Option<Request<B>> {
        let method = request.method();
        let is_idempotent = method.is_idempotent() && *method != Method::CONNECT;
        if !is_idempotent
            || !request.body().is_end_stream()
            || request.headers().contains_key(header::UPGRADE)
        {
            return None;
        }
        let mut copy = Request::new((self.empty_body)());
        *copy.method_mut() = method.clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idempotent_requests_without_a_body_are_copied() {
        for (method, field, body, is_copied) in [
            (Method::GET, "accept", "", true),
            (Method::HEAD, "accept", "", true),
            (Method::PUT, "accept", "", true),
            (Method::DELETE, "accept", "", true),
            (Method::GET, "accept", "body", false),
            (Method::GET, "upgrade", "", false),
            (Method::POST, "accept", "", false),
            (Method::PATCH, "accept", "", false),
            (Method::CONNECT, "accept", "", false),
        ] {
            let mut request = Request::new(body.to_owned());
            *request.method_mut() = method.clone();
            *request.uri_mut() = http::Uri::from_static("https://orders.internal/42");
            request.headers_mut().insert(field, http::HeaderValue::from_static("a"));
            let copy = Repetition::new().copy(&request);
            assert_eq!(copy.is_some(), is_copied, "{method} {field} {body}");
            let Some(copy) = copy else { continue };
            assert_eq!((copy.method(), copy.uri()), (&method, request.uri()));
            assert_eq!((copy.headers(), copy.body()), (request.headers(), &String::new()));
        }
    }
}
