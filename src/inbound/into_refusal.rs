use bytes::Bytes;
use http::Response;
use http_body::Body;

/// Response of a closure for [`with_refusal`](super::RequireCertificateLayer::with_refusal).
///
/// With the feature `axum`, any `IntoResponse` of axum: `(StatusCode, Json<T>)`, `Html<String>`, ... Without it, a
/// [`Response`] with a body of [`Bytes`] in memory, such as `Response<String>`.
///
/// ```
/// use http::Response;
/// use tower_mtls::inbound::IntoRefusal;
///
/// fn unauthorized() -> impl IntoRefusal {
///     Response::builder().status(401).body(String::from("no")).unwrap_or_default()
/// }
/// # let _ = unauthorized();
/// ```
pub trait IntoRefusal {
    /// Converts the response; None if the body is not in memory.
    #[doc(hidden)]
    fn into_refusal(self) -> Option<Response<Bytes>>;
}

#[cfg(feature = "axum")]
impl<T: axum_core::response::IntoResponse> IntoRefusal for T {
    fn into_refusal(self) -> Option<Response<Bytes>> {
        collect(self.into_response())
    }
}

#[cfg(not(feature = "axum"))]
impl<B> IntoRefusal for Response<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn into_refusal(self) -> Option<Response<Bytes>> {
        collect(self)
    }
}

/// Size limit of a body in bytes.
const MAX_BODY: usize = 1024 * 1024;
const MAX_FRAMES: usize = 1024;

/// Reads a body in memory; None if it is not, or fails.
fn collect<B: Body<Data = Bytes>>(response: Response<B>) -> Option<Response<Bytes>> {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    let (parts, body) = response.into_parts();
    let mut body = pin!(body);
    let mut cx = Context::from_waker(Waker::noop());
    let mut collected = Vec::new();
    let mut size = 0_usize;
    loop {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    size = size.saturating_add(data.len());
                    collected.push(data);
                }
                if size > MAX_BODY || collected.len() > MAX_FRAMES {
                    return None;
                }
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => return None,
            Poll::Ready(None) => break,
        }
    }
    let body = if collected.len() == 1 { collected.swap_remove(0) } else { collected.concat().into() };
    Some(Response::from_parts(parts, body))
}
