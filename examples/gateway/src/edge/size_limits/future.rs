use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::{super::forward_error::ForwardError, body::Exceeded};

pin_project! {
    /// Future of [`SizeLimits`](super::SizeLimits).
    #[derive(Debug)]
    pub(crate) struct LimitedFuture<F> {
        // None: rejected.
        #[pin]
        response: Option<F>,
        rejection: Option<ForwardError>,
        max_fields: usize,
        // None: the body cannot pass the limit.
        exceeded: Option<oneshot::Receiver<Exceeded>>,
    }
}

impl<F> LimitedFuture<F> {
    /// `max_fields` is the maximum number of header fields of the response.
    pub(super) fn new(response: F, exceeded: Option<oneshot::Receiver<Exceeded>>, max_fields: usize) -> Self {
        Self { response: Some(response), rejection: None, max_fields, exceeded }
    }

    pub(super) fn rejected(rejection: ForwardError) -> Self {
        Self { response: None, rejection: Some(rejection), max_fields: 0, exceeded: None }
    }
}

impl<F, R, E> Future for LimitedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<ForwardError>,
{
    type Output = Result<Response<R>, ForwardError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(response) = this.response.as_pin_mut() else {
            return this.rejection.take().map_or(Poll::Pending, |rejection| Poll::Ready(Err(rejection)));
        };
        let result = response.poll(cx).map_err(Into::into);
        if let Poll::Ready(Ok(response)) = &result
            && response.headers().len() > *this.max_fields
        {
            return Poll::Ready(Err(ForwardError::TooManyResponseFields));
        }
        // A response that has begun is sent.
        let (Some(exceeded), false) = (this.exceeded.as_mut(), matches!(&result, Poll::Ready(Ok(_)))) else {
            return result;
        };
        match Pin::new(exceeded).poll(cx) {
            Poll::Ready(Ok(Exceeded)) => return Poll::Ready(Err(ForwardError::BodyTooLarge)),
            // The body has ended.
            Poll::Ready(Err(_)) => *this.exceeded = None,
            Poll::Pending => {}
        }
        result
    }
}
