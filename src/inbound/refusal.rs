//! What a refused caller sees. It never tells the reason.

use bytes::Bytes;
use http::{Extensions, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;

use super::{ResponseBody, is_grpc};
use crate::policy::{Rejection, RejectionKind};

const REASON: ReasonPhrase = ReasonPhrase::from_static(b"Invalid client certificate");
const FORBIDDEN: &str = r#"{"type":"about:blank","title":"Invalid client certificate","status":403}"#;
const NOT_CAPTURED: &str = r#"{"type":"about:blank","title":"Internal server error","status":500}"#;

/// A refusal to be sent: all that its answer needs of the request.
#[derive(Debug)]
pub(crate) struct Refusal {
    rejection: Rejection,
    shape: Shape,
    /// The request's, emptied: the answer's take their room, which saves two allocations.
    room: Extensions,
}

#[derive(Debug)]
enum Shape {
    Problem,
    /// An answer to HEAD: on HTTP/2 hyper would send its body.
    NoBody,
    Grpc,
    /// The user's own. Boxed, so that the future of an admitted request stays small.
    Own(Box<Response<Bytes>>),
}

impl Refusal {
    pub(crate) fn new<B>(
        rejection: Rejection,
        mut request: Request<B>,
        own: Option<&(dyn Fn(Rejection) -> Response<Bytes> + Send + Sync)>,
    ) -> Self {
        let is_head = request.method() == Method::HEAD;
        let shape = match own {
            Some(own) if rejection.kind() != RejectionKind::NotCaptured => {
                let mut response = own(rejection.clone());
                if is_head {
                    response.body_mut().clear();
                }
                Shape::Own(Box::new(response))
            }
            _ if is_grpc(&request) => Shape::Grpc,
            _ if is_head => Shape::NoBody,
            _ => Shape::Problem,
        };
        let mut room = std::mem::take(request.extensions_mut());
        room.clear();
        Self { rejection, shape, room }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn into_response<R>(self) -> Response<ResponseBody<R>> {
        let operators_mistake = self.rejection.kind() == RejectionKind::NotCaptured;
        let mut response = match self.shape {
            Shape::Grpc => grpc(operators_mistake, self.room),
            Shape::Problem => problem(operators_mistake, true, self.room),
            Shape::NoBody => problem(operators_mistake, false, self.room),
            Shape::Own(response) => response.map(ResponseBody::refusal),
        };
        response.extensions_mut().insert(self.rejection);
        response
    }
}

fn problem<R>(operators_mistake: bool, with_body: bool, room: Extensions) -> Response<ResponseBody<R>> {
    let (status, text) = if operators_mistake {
        (StatusCode::INTERNAL_SERVER_ERROR, NOT_CAPTURED)
    } else {
        (StatusCode::FORBIDDEN, FORBIDDEN)
    };
    let body = if with_body { Bytes::from_static(text.as_bytes()) } else { Bytes::new() };
    let mut response = Response::new(ResponseBody::refusal(body));
    *response.status_mut() = status;
    *response.extensions_mut() = room;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if !operators_mistake {
        response.extensions_mut().insert(REASON);
    }
    response
}

/// Trailers only: a gRPC status in the headers of an empty 200.
fn grpc<R>(operators_mistake: bool, room: Extensions) -> Response<ResponseBody<R>> {
    let (status, message) =
        if operators_mistake { ("13", "Internal server error") } else { ("7", "Invalid client certificate") };
    let mut response = Response::new(ResponseBody::refusal(Bytes::new()));
    *response.extensions_mut() = room;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(status));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    response
}
