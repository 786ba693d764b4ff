//! Responses to rejected callers. They do not contain the reason.

use bytes::Bytes;
use http::{Extensions, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
#[cfg(feature = "reason-phrase")]
use hyper::ext::ReasonPhrase;

use super::ResponseBody;
use crate::{
    policy::{Rejection, RejectionKind},
    request::{grpc_error, is_grpc, is_grpc_type},
};

#[cfg(feature = "reason-phrase")]
const REASON: ReasonPhrase = ReasonPhrase::from_static(b"Invalid client certificate");

/// Builds the response of the application; None for the default one.
pub(super) type Custom = dyn Fn(&Parts, &Rejection) -> Option<Response<Bytes>> + Send + Sync;

/// Marks a response of [`with_refusal`](super::RequireCertificateLayer::with_refusal) that is sent to gRPC callers too.
///
/// Without it, gRPC callers get the default gRPC response, unless the closure's own is one
/// (`content-type: application/grpc`).
///
/// ```
/// use tower_mtls::inbound::AnyProtocol;
///
/// let mut response = http::Response::new(String::from("no"));
/// response.extensions_mut().insert(AnyProtocol);
/// assert!(response.extensions().get::<AnyProtocol>().is_some());
/// ```
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "a marker, used as a value")]
pub struct AnyProtocol;

/// Response to a rejected request, not built yet.
#[derive(Debug)]
pub(crate) struct Refusal {
    rejection: Rejection,
    shape: Shape,
    /// The request's extensions, cleared. Their reuse in the response saves two allocations.
    extensions: Extensions,
}

#[derive(Debug)]
enum Shape {
    Problem,
    /// Response to HEAD: on HTTP/2 hyper would send a body.
    HeadersOnly,
    Grpc,
    /// The application's. Boxed, to keep the future of an admitted request small.
    Custom(Box<Response<Bytes>>),
}

impl Refusal {
    pub(crate) fn new<B>(rejection: Rejection, request: Request<B>, custom: Option<&Custom>) -> Self {
        let is_grpc = is_grpc(&request);
        let (mut parts, _) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        let custom = custom
            .filter(|_| rejection.kind() != RejectionKind::NotCaptured)
            .and_then(|custom| custom(&parts, &rejection))
            .filter(|response| !is_grpc || is_for_grpc(response));
        let shape = match custom {
            Some(mut response) => {
                // A rejected caller must not take the response for a success.
                if response.status() == StatusCode::OK && !(is_grpc && is_grpc_response(&response)) {
                    *response.status_mut() = Fault::of(rejection.kind()).problem().0;
                }
                if is_head {
                    response.body_mut().clear();
                }
                Shape::Custom(Box::new(response))
            }
            None if is_grpc => Shape::Grpc,
            None if is_head => Shape::HeadersOnly,
            None => Shape::Problem,
        };
        parts.extensions.clear();
        Self { rejection, shape, extensions: parts.extensions }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn into_response<R>(self) -> Response<ResponseBody<R>> {
        let fault = Fault::of(self.rejection.kind());
        let mut response = match self.shape {
            Shape::Grpc => grpc(fault, self.extensions),
            Shape::Problem => problem(fault, true, self.extensions),
            Shape::HeadersOnly => problem(fault, false, self.extensions),
            Shape::Custom(response) => response.map(ResponseBody::refusal),
        };
        response.extensions_mut().insert(self.rejection);
        response
    }
}

fn is_for_grpc(response: &Response<Bytes>) -> bool {
    response.extensions().get::<AnyProtocol>().is_some() || is_grpc_response(response)
}

fn is_grpc_response(response: &Response<Bytes>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| is_grpc_type(value.as_bytes()))
}

/// Side at fault. Selects status and text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Caller,
    /// The service is set up incorrectly, or its code panicked.
    Service,
    /// The decision could not be made in time.
    Unavailable,
}

impl Fault {
    fn of(kind: RejectionKind) -> Self {
        match kind {
            RejectionKind::NotCaptured | RejectionKind::AuthorizationPanicked => Self::Service,
            RejectionKind::AuthorizationUnavailable | RejectionKind::AuthorizationTimeout => {
                Self::Unavailable
            }
            _ => Self::Caller,
        }
    }

    fn problem(self) -> (StatusCode, &'static str) {
        match self {
            Self::Caller => (
                StatusCode::FORBIDDEN,
                r#"{"type":"about:blank","title":"Invalid client certificate","status":403}"#,
            ),
            Self::Service => (
                StatusCode::INTERNAL_SERVER_ERROR,
                r#"{"type":"about:blank","title":"Internal server error","status":500}"#,
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"type":"about:blank","title":"Service unavailable","status":503}"#,
            ),
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Caller => "Invalid client certificate",
            Self::Service => "Internal server error",
            Self::Unavailable => "Service unavailable",
        }
    }
}

fn problem<R>(fault: Fault, with_body: bool, extensions: Extensions) -> Response<ResponseBody<R>> {
    let (status, text) = fault.problem();
    let body = if with_body { Bytes::from_static(text.as_bytes()) } else { Bytes::new() };
    let mut response = Response::new(ResponseBody::refusal(body));
    *response.status_mut() = status;
    *response.extensions_mut() = extensions;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    #[cfg(feature = "reason-phrase")]
    if fault == Fault::Caller {
        response.extensions_mut().insert(REASON);
    }
    response
}

fn grpc<R>(fault: Fault, extensions: Extensions) -> Response<ResponseBody<R>> {
    let (status, _) = fault.problem();
    let mut response = grpc_error(status, HeaderValue::from_static(fault.message()))
        .map(|()| ResponseBody::refusal(Bytes::new()));
    *response.extensions_mut() = extensions;
    response
}
