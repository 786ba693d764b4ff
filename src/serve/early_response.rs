//! Responses that are ready before the end of their request, such as rejections.
//!
//! The caller can still be sending. An immediate reset of the HTTP/2 stream or of the connection could discard the
//! response before the caller has read it, so the rest of the request is read and discarded for a limited time.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Request, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    ProgressLimits,
    activity::Activity,
    caller_body::{CallerBody, Rest, UploadCut},
};

/// Maximum announced length of a body that is discarded to keep an HTTP/1.1 connection open, in bytes.
const SMALL_BODY: u64 = 64 * 1024;

/// Maximum time for which the rest of a request is discarded.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes of a request that are discarded.
const MAX_DISCARDED: u64 = 1024 * 1024;

/// Response whose request body can be unread.
#[derive(Debug)]
pub(super) struct EarlyResponse {
    rest: Rest,
    is_http2: bool,
    /// True if the connection is kept once the rest is discarded.
    is_small: bool,
}

impl EarlyResponse {
    /// Wraps the request's body. Returns `None` beside it if the request has no body.
    pub(super) fn watch(
        request: Request<Incoming>,
        is_http2: bool,
        activity: &Arc<Activity>,
        limits: ProgressLimits,
    ) -> (Request<CallerBody>, Option<Self>) {
        let (head, body) = request.into_parts();
        let (body, rest) = CallerBody::new(body, activity, limits);
        let early = rest.map(|rest| {
            let is_small = head.version == Version::HTTP_11 && is_small(&head.headers);
            Self { rest, is_http2, is_small }
        });
        (Request::from_parts(head, body), early)
    }

    /// Returns the cut of the request's body.
    pub(super) fn upload_cut(&self) -> Arc<UploadCut> {
        self.rest.upload_cut()
    }

    /// Discards the rest of the request. Returns true if the connection must be closed after the response.
    pub(super) fn finish(self) -> bool {
        let Some(rest) = self.rest.take() else { return false };
        let is_kept = self.is_http2 || self.is_small;
        if is_kept {
            // Otherwise hyper stops reading, and closes the connection after the response.
            tokio::spawn(discard(rest));
        }
        !is_kept
    }
}

/// Returns true if the announced length of the body is small, and the caller does not wait for `100 Continue`.
fn is_small(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::to_str);
    let length = length.and_then(|length| length.ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length <= SMALL_BODY) && !headers.contains_key(header::EXPECT)
}

async fn discard(mut body: Incoming) {
    let discarding = async {
        let mut remaining = MAX_DISCARDED;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let length = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            let Some(rest) = remaining.checked_sub(length) else { return };
            remaining = rest;
        }
    };
    // Ends at the timeout, the limit or the end of the body.
    let _ = timeout(DISCARD_TIMEOUT, discarding).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_kept_for_small_announced_bodies() {
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
