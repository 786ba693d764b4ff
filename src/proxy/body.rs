use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::header;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    HeaderPattern,
    headers::{remove_claims, remove_folded, remove_hop_by_hop},
};

pin_project! {
    /// Body of a request to the upstream. Data passes unchanged; trailers that claim an identity or origin, or that repeat
    /// a field of the proxy, are removed: some servers merge trailers into the header fields.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::{Request, Response};
    /// use http_body_util::{BodyExt, Full};
    /// use tower::{ServiceExt, service_fn};
    /// use tower_mtls::proxy::{ProxyBody, ReverseProxy};
    ///
    /// let upstream = service_fn(|request: Request<ProxyBody<Full<bytes::Bytes>>>| async move {
    ///     let body = request.into_body().collect().await?.to_bytes();
    ///     Ok::<_, std::convert::Infallible>(Response::new(body))
    /// });
    /// let proxy = ReverseProxy::new(upstream, "/orders", "https://orders.internal".parse()?);
    /// let request = Request::post("/orders/42").body(Full::from("paid"))?;
    /// assert_eq!(proxy.oneshot(request).await?.into_body(), "paid");
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug, Default)]
    pub struct ProxyBody<B> {
        #[pin]
        inner: B,
        // Names of the fields that the proxy sets, folded: a trailer must not replace them. Rarely any.
        set_by_proxy: Vec<String>,
        // Further names to remove.
        removed: Arc<[HeaderPattern]>,
    }
}

impl<B> ProxyBody<B> {
    pub(super) fn new(inner: B, set_by_proxy: Vec<String>, removed: Arc<[HeaderPattern]>) -> Self {
        Self { inner, set_by_proxy, removed }
    }
}

impl<B: Body> Body for ProxyBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx)?);
        Poll::Ready(frame.map(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                remove_hop_by_hop(trailers);
                remove_claims(trailers, this.removed);
                remove_folded(trailers, this.set_by_proxy);
                // Fields that address, frame or authorize a message are not trailers (RFC 9110, section 6.5.1).
                for name in [
                    header::AUTHORIZATION,
                    header::CONTENT_LENGTH,
                    header::COOKIE,
                    header::HOST,
                    header::TE,
                    header::TRAILER,
                ] {
                    trailers.remove(name);
                }
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
