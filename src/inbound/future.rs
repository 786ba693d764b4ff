use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{ResponseBody, refusal::Refusal};

pin_project! {
    /// Response future of [`RequireCertificate`](super::RequireCertificate).
    ///
    /// Panics if it is polled after completion.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::{Request, Response};
    /// use std::{convert::Infallible, future::{Ready, ready}};
    /// use tower::{Service, service_fn};
    /// use tower_mtls::{Policy, RequireCertificate, inbound::ResponseFuture};
    ///
    /// # let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
    /// let inner = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
    /// let mut service = RequireCertificate::new(inner, policy);
    /// let future: ResponseFuture<Ready<_>> = service.call(Request::new(()));
    /// assert_eq!(future.await?.status(), 500); // no listener captured a certificate
    /// # Ok(())
    /// # }
    /// ```
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Admitted { #[pin] future: F },
        Refused { refusal: Option<Refusal> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn admitted(future: F) -> Self {
        Self { kind: Kind::Admitted { future } }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { kind: Kind::Refused { refusal: Some(refusal) } }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Admitted { future } => {
                Poll::Ready(Ok(ready!(future.poll(cx))?.map(ResponseBody::inner)))
            }
            KindProjection::Refused { refusal } => {
                let refusal = refusal.take().expect("`ResponseFuture` polled after completion");
                Poll::Ready(Ok(refusal.into_response()))
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
