//! A gRPC service of tonic with large, silent and rejected methods.

use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes};
use futures_core::Stream;
use http::{Request, Response};
use tonic::{
    Status,
    body::Body,
    codec::{EncodeBody, EncodeBuf, Encoder, SingleMessageCompressionOverride},
    server::NamedService,
};
use tower::Service;

use super::PIECE;
use crate::support::attackers::Paths;

/// Methods of [`Files`], and one of the health service that reads a message.
pub(super) const PATHS: Paths = Paths {
    large: "/files.Files/Large",
    upload: "/grpc.health.v1.Health/Check",
    silent: "/files.Files/Silent",
    tunnel: "/",
    rejected: "/files.Files/Rejected",
};

/// A method with one small message.
pub(super) const SMALL: &str = "/files.Files/Small";

/// Responds to `Large` with 16 MiB in messages of 16 KiB, to `Silent` never, and to others with a message of a byte and,
/// except for `Small`, an error.
#[derive(Debug, Clone)]
pub(super) struct Files;

impl NamedService for Files {
    const NAME: &'static str = "files.Files";
}

impl Service<Request<Body>> for Files {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (message, count, is_ok) = match request.uri().path() {
            path if path == PATHS.silent => return Box::pin(pending()),
            path if path == PATHS.large => (Bytes::from_static(&PIECE), 1_024, true),
            path => (Bytes::from_static(b"x"), 1, path == SMALL),
        };
        let error = (!is_ok).then(|| Status::permission_denied("rejected"));
        let messages = Messages { message, count, error };
        let uncompressed = SingleMessageCompressionOverride::Disable;
        let body = EncodeBody::new_server(BytesEncoder, messages, None, uncompressed, None);
        let response = Response::builder().header("content-type", "application/grpc");
        let response = response.body(Body::new(body)).unwrap();
        Box::pin(async { Ok(response) })
    }
}

/// A message several times, and an error after the last.
struct Messages {
    message: Bytes,
    count: usize,
    error: Option<Status>,
}

impl Stream for Messages {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.count == 0 {
            return Poll::Ready(self.error.take().map(Err));
        }
        self.count -= 1;
        Poll::Ready(Some(Ok(self.message.clone())))
    }
}

struct BytesEncoder;

impl Encoder for BytesEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}
