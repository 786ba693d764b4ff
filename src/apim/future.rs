use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::headers::ResponseChange;
use crate::inbound::ResponseBody;

pin_project! {
    /// Response future of [`ApimPolicy`](super::ApimPolicy).
    ///
    /// Panics if it is polled after completion.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::{convert::Infallible, future::{Ready, ready}};
    /// use http::{Request, Response};
    /// use tower::{Layer, Service, service_fn};
    /// use tower_mtls::apim::{ApimPolicyLayer, Document, ResponseFuture};
    ///
    /// let document = Document::parse(r#"<set-variable name="team" value="orders" />"#)?;
    /// let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
    /// let mut service = ApimPolicyLayer::new(document).layer(inner);
    /// let future: ResponseFuture<Ready<_>, String> = service.call(Request::new(()));
    /// assert_eq!(future.await?.status(), 500); // no listener captured a certificate
    /// # Ok(())
    /// # }
    /// ```
    pub struct ResponseFuture<F, R> {
        #[pin]
        kind: Kind<F, R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, R> {
        Forwarded { #[pin] future: F, changes: Vec<ResponseChange> },
        Responded { response: Option<Box<Response<ResponseBody<R>>>> },
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(super) fn forwarded(future: F, changes: Vec<ResponseChange>) -> Self {
        Self { kind: Kind::Forwarded { future, changes } }
    }

    /// Boxes the response to keep the future of forwarded requests small.
    pub(super) fn responded(response: Response<ResponseBody<R>>) -> Self {
        Self { kind: Kind::Responded { response: Some(Box::new(response)) } }
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Forwarded { future, changes } => {
                let mut response = ready!(future.poll(cx))?;
                for change in changes.drain(..) {
                    change.apply(response.headers_mut());
                }
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            KindProjection::Responded { response } => {
                Poll::Ready(Ok(*response.take().expect("`ResponseFuture` polled after completion")))
            }
        }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
