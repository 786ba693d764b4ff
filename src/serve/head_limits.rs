//! Limits of the head of a request.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};

use crate::request::{grpc_error, is_grpc};

/// Limits of the head of a request: the whole, the target and the number of fields.
///
/// [`serve`](super::serve) responds to a larger head with a problem document (RFC 9457), and does not call the service.
///
/// ```
/// use http::Request;
/// use tower_mtls::serve::{HeadLimits, HeadRejection};
///
/// let limits = HeadLimits::default().with_max_fields(1);
/// let request = Request::get("/orders").header("accept", "*/*");
/// assert_eq!(limits.check(&request.body(()).unwrap()), Ok(()));
///
/// let request = Request::get("/orders").header("accept", "*/*").header("cookie", "a=b");
/// let rejection = limits.check(&request.body(()).unwrap()).unwrap_err();
/// assert_eq!(rejection, HeadRejection::TooManyFields);
/// assert_eq!((rejection.status().as_u16(), rejection.code()), (431, "too_many_header_fields"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct HeadLimits {
    pub(super) max_size: usize,
    pub(super) max_fields: usize,
    pub(super) max_target: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_size: 32 * 1024, max_fields: 200, max_target: 16 * 1024 }
    }
}

impl HeadLimits {
    /// Size of path, query and fields in bytes, with 32 for each field (RFC 9113, section 6.5.2). Default: 32 KiB.
    pub fn with_max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// Number of fields. Default: 200.
    pub fn with_max_fields(mut self, fields: usize) -> Self {
        self.max_fields = fields;
        self
    }

    /// Size of path and query in bytes. Default: 16 KiB.
    pub fn with_max_target(mut self, bytes: usize) -> Self {
        self.max_target = bytes;
        self
    }

    /// Compares the head of a request.
    ///
    /// # Errors
    ///
    /// 1. [`HeadRejection::TargetTooLong`]
    /// 2. [`HeadRejection::TooManyFields`]
    /// 3. [`HeadRejection::TooLarge`]
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), HeadRejection> {
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.max_target {
            return Err(HeadRejection::TargetTooLong);
        }
        if request.headers().len() > self.max_fields {
            return Err(HeadRejection::TooManyFields);
        }
        if target + size(request.headers()) > self.max_size {
            return Err(HeadRejection::TooLarge);
        }
        Ok(())
    }
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Reason for which the head of a request is rejected.
///
/// ```
/// use tower_mtls::serve::HeadRejection;
///
/// assert_eq!(HeadRejection::TargetTooLong.status().as_u16(), 414);
/// assert_eq!(HeadRejection::TooLarge.code(), "head_too_large");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadRejection {
    /// Path and query exceed [`HeadLimits::with_max_target`].
    TargetTooLong,
    /// There are more fields than [`HeadLimits::with_max_fields`].
    TooManyFields,
    /// The head exceeds [`HeadLimits::with_max_size`].
    TooLarge,
}

impl HeadRejection {
    /// Returns the stable code of the response.
    pub fn code(self) -> &'static str {
        match self {
            Self::TargetTooLong => "target_too_long",
            Self::TooManyFields => "too_many_header_fields",
            Self::TooLarge => "head_too_large",
        }
    }

    /// Returns the status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyFields | Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    /// Returns the response to a request: a problem document, for gRPC the status `RESOURCE_EXHAUSTED`.
    pub(super) fn response<B>(self, request: &Request<B>) -> Response<Bytes> {
        let status = self.status();
        if is_grpc(request) {
            return grpc_error(status, HeaderValue::from_static(self.code())).map(|()| Bytes::new());
        }
        let (number, code) = (status.as_u16(), self.code());
        let title = if number == 414 { "URI too long" } else { "Request header fields too large" };
        let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"code":"{code}"}}"#);
        let is_head = request.method() == http::Method::HEAD;
        let mut response = Response::new(if is_head { Bytes::new() } else { body.into() });
        *response.status_mut() = status;
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}

impl fmt::Display for HeadRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TargetTooLong => "request target is too long",
            Self::TooManyFields => "request has too many header fields",
            Self::TooLarge => "request head is too large",
        })
    }
}

impl std::error::Error for HeadRejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_passes_up_to_each_limit() {
        // A target of 10 bytes, and 2 fields of 3 + 5 + 32 bytes.
        let request = Request::get("https://host/234567890")
            .header("one", "12345")
            .header("two", "12345")
            .body(())
            .unwrap();
        let (target, fields, size) = (10, 2, 90);
        for (limits, expected) in [
            (HeadLimits { max_target: target, max_fields: fields, max_size: size }, Ok(())),
            (
                HeadLimits { max_target: target - 1, ..HeadLimits::default() },
                Err(HeadRejection::TargetTooLong),
            ),
            (
                HeadLimits { max_fields: fields - 1, ..HeadLimits::default() },
                Err(HeadRejection::TooManyFields),
            ),
            (HeadLimits { max_size: size - 1, ..HeadLimits::default() }, Err(HeadRejection::TooLarge)),
        ] {
            assert_eq!(limits.check(&request), expected, "{limits:?}");
        }
    }
}
