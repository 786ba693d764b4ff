//! Responses that come before the end of their request, such as refusals.
//!
//! The caller may still be sending. Resetting its HTTP/2 stream or its connection at once may discard the response
//! before the caller has read it, so the rest of the request is read and discarded for a while.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::body::{CallerBody, Rest};

/// Largest announced body that is discarded to keep an HTTP/1.1 connection open, in bytes.
const SMALL_BODY: u64 = 64 * 1024;

/// How long the rest of a request is discarded.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The most of an HTTP/2 request that is discarded, in bytes.
const MOST_DISCARDED: u64 = 1024 * 1024;

/// A request whose body may be unread when its response is ready.
#[derive(Debug)]
pub(super) struct Early {
    rest: Rest,
    is_http2: bool,
    /// Whether the connection is kept once the rest is discarded.
    is_small: bool,
}

impl Early {
    /// Splits the caller's body off, if there is one, so that what the service leaves of it can be discarded.
    pub(super) fn watch(request: Request<Incoming>, is_http2: bool) -> (Request<CallerBody>, Option<Self>) {
        let (head, body) = request.into_parts();
        let (body, rest) = CallerBody::new(body);
        let early = rest.map(|rest| {
            let is_small = head.version == Version::HTTP_11 && is_small(&head.headers);
            Self { rest, is_http2, is_small }
        });
        (Request::from_parts(head, body), early)
    }

    /// Discards what the service left of the request. Returns whether the connection has to be closed after the
    /// response.
    pub(super) fn finish(self) -> bool {
        let Some(rest) = self.rest.take() else { return false };
        let is_kept = self.is_http2 || self.is_small;
        if is_kept {
            // Without it hyper reads no further, and closes the connection after the response.
            tokio::spawn(discard(rest));
        }
        !is_kept
    }
}

/// Whether the body's length is announced and small, and the caller does not wait for a word before it sends it.
fn is_small(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::to_str);
    let length = length.and_then(|length| length.ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length <= SMALL_BODY) && !headers.contains_key(header::EXPECT)
}

async fn discard(mut body: Incoming) {
    let discarding = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // In both cases the caller has had its time.
    let _ = timeout(DISCARD_TIMEOUT, discarding).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_for_small_announced_bodies() {
        let cases: [(&[(header::HeaderName, &str)], bool); 6] = [
            (&[(header::CONTENT_LENGTH, "1")], true),
            (&[(header::CONTENT_LENGTH, "65536")], true),
            (&[(header::CONTENT_LENGTH, "65537")], false),
            (&[(header::CONTENT_LENGTH, "1"), (header::EXPECT, "100-continue")], false),
            (&[(header::TRANSFER_ENCODING, "chunked")], false),
            (&[], false),
        ];
        for (fields, expected) in cases {
            let fields = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            let headers = fields.collect();
            assert_eq!(is_small(&headers), expected, "{headers:?}");
        }
    }
}
