//! Admission of requests by client certificate: [`RequireCertificateLayer`].
//!
//! Built on [`policy`](crate::policy), which decides, and [`request`](crate::request), which contains what a layer reads and
//! leaves in a request.
//!
//! A request passes [`RequireCertificate`] when
//! 1. the acceptor captured the certificate that the client presented in the TLS handshake, or that it presented none;
//! 2. the layer's [`Policy`](crate::Policy) admits the certificate now. Every request is judged, also on open connections
//!    and resumed sessions.
//!
//! Other requests do not reach the inner service:
//!
//! | when | response |
//! |---|---|
//! | the policy rejects it | `403`, reason phrase `Invalid client certificate` on HTTP/1.1, an RFC 9457 problem body (none for HEAD) without the reason |
//! | the same, and the request is gRPC ([`is_grpc`](crate::request::is_grpc)) | `200` with `grpc-status: 7` (PERMISSION_DENIED), trailers only |
//! | no certificate was captured: the listener is not one of this crate's | `500` (gRPC: `grpc-status: 13`), and an error in the log: a mistake in the setup |
//!
//! The [`Rejection`](crate::policy::Rejection) is in the response's extensions and in the log, and is not sent to the client.
//!
//! **Presented is not admitted.** The acceptor accepts any certificate, self-made ones too. Handlers extract an admitted
//! one ([`ClientCertificate`](crate::ClientCertificate) with the feature `axum`, [`admitted`](crate::admitted) otherwise); on a route without
//! the layer the extractor responds with 500. Handlers behind a layer with
//! [`shadow`](RequireCertificateLayer::shadow) or [`allow_missing`](RequireCertificateLayer::allow_missing) extract
//! `Option<ClientCertificate>`.
//! [`verification`](crate::verification) reports whether the certificate is proved: it is not behind an
//! [unanchored](crate::policy::PolicyBuilder::allow_unanchored) policy.
//!
//! Put the layer *after* routing and *before* code that must not run for other clients; put tracing and limits outside it.
//! TLS must end in this process: behind a proxy that terminates TLS, possession is not proved, and headers are not
//! trusted.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (partner, stranger) = (rcgen::generate_simple_self_signed(vec![])?, rcgen::generate_simple_self_signed(vec![])?);
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mtls::{Certificate, Policy, RequireCertificateLayer, admitted, danger::AssumePresentedLayer};
//!
//! let partner = Certificate::from_der(partner.cert.der())?;
//! let stranger = Certificate::from_der(stranger.cert.der())?;
//! let policy = Policy::builder().thumbprint(partner.sha256_thumbprint()).build()?;
//!
//! let greet = service_fn(|request: Request<String>| async move {
//!     let caller = admitted(request.extensions()).expect("the layer admitted a certificate");
//!     Ok::<_, std::convert::Infallible>(Response::new(format!("hello {}", caller.subject())))
//! });
//! let service = RequireCertificateLayer::new(policy).layer(greet);
//!
//! let accepted = AssumePresentedLayer::new(partner).layer(service.clone());
//! assert_eq!(accepted.oneshot(Request::new(String::new())).await?.status(), StatusCode::OK);
//!
//! let refused = AssumePresentedLayer::new(stranger).layer(service);
//! assert_eq!(refused.oneshot(Request::new(String::new())).await?.status(), StatusCode::FORBIDDEN);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "authorize")]
mod authorize;
mod body;
#[cfg(feature = "metrics")]
pub(crate) mod counter;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod into_refusal;
mod layer;
mod refusal;
mod report;
mod service;
#[cfg(test)]
mod tests;

#[cfg(feature = "authorize")]
pub use self::authorize::{Authorize, AuthorizeFuture, AuthorizeLayer};
#[cfg(feature = "axum")]
pub use self::extract::NotAdmitted;
pub use self::{
    body::ResponseBody, future::ResponseFuture, into_refusal::IntoRefusal, layer::RequireCertificateLayer,
    refusal::AnyProtocol, service::RequireCertificate,
};
#[cfg(feature = "apim")]
pub(crate) use self::{
    refusal::Refusal,
    report::{Shortened, cut, refused, shortened_path},
};
