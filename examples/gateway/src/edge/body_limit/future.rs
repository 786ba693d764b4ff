use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::{super::forward_error::ForwardError, body::Exceeded};

pin_project! {
    /// Future of [`BodyLimit`](super::BodyLimit).
    #[derive(Debug)]
    pub(crate) struct LimitedFuture<F> {
        // None: rejected.
        #[pin]
        response: Option<F>,
        // None: the body cannot pass the limit.
        exceeded: Option<oneshot::Receiver<Exceeded>>,
    }
}

impl<F> LimitedFuture<F> {
    pub(super) fn new(response: F, exceeded: Option<oneshot::Receiver<Exceeded>>) -> Self {
        Self { response: Some(response), exceeded }
    }

    pub(super) fn rejected() -> Self {
        Self { response: None, exceeded: None }
    }
}

impl<F, R> Future for LimitedFuture<F>
where
    F: Future<Output = Result<R, ForwardError>>,
{
    type Output = Result<R, ForwardError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(response) = this.response.as_pin_mut() else {
            return Poll::Ready(Err(ForwardError::BodyTooLarge));
        };
        let result = response.poll(cx);
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
