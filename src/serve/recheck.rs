//! Judging requests again while they are in flight.

use std::{net::SocketAddr, sync::Arc};

use http::Extensions;

use crate::{
    certificate::Presented,
    request::captured::{Recheck, recheck_by},
};

/// Judges a request again every second while it is in flight, by the certificate of its connection, and cuts it once
/// `is_admitted` returns false. For services that authorize callers themselves.
///
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer) and `ApimPolicyLayer` do this for the requests that they
/// admit. Over HTTP/1.1 the connection of a cut request is closed, over HTTP/2 its stream is reset. A connection that has
/// switched to another protocol is judged until it is closed. The closure must not block.
///
/// Returns false for a request that another server received: it is not judged again.
///
/// ```
/// use http::{Request, Response};
/// use tower_mtls::{certificate::Presented, serve::{CallerBody, recheck}};
///
/// async fn greet(request: Request<CallerBody>) -> Response<String> {
///     let is_admitted = |presented: &Presented| matches!(presented, Presented::Certificate(_));
///     assert!(!recheck(request.extensions(), is_admitted)); // not received by `serve`
///     Response::new("hello".into())
/// }
/// # let response = tokio_test::block_on(greet(Request::new(CallerBody::default())));
/// # assert_eq!(response.into_body(), "hello");
/// ```
pub fn recheck(
    extensions: &Extensions,
    is_admitted: impl Fn(&Presented) -> bool + Send + Sync + 'static,
) -> bool {
    recheck_by(extensions, Arc::new(RecheckFn(is_admitted)))
}

struct RecheckFn<F>(F);

impl<F: Fn(&Presented) -> bool + Send + Sync> Recheck for RecheckFn<F> {
    fn is_admitted(&self, presented: &Presented, _: SocketAddr) -> bool {
        self.0(presented)
    }
}
