//! The decision, with its limits.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::request::Parts;
use pin_project_lite::pin_project;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    policy::{Rejection, RejectionKind},
    request::ClientCertificate,
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_MAX_CONCURRENT: usize = 256;

pub(super) type Decision = Pin<Box<dyn Future<Output = Result<Parts, Rejection>> + Send>>;
pub(super) type Decide = dyn Fn(Parts, ClientCertificate) -> Decision + Send + Sync;

/// The application's decision, its timeout and its permits.
#[derive(Clone)]
pub(super) struct Authorization {
    decide: Arc<Decide>,
    pub(super) timeout: Duration,
    pub(super) permits: Arc<Semaphore>,
}

impl Authorization {
    pub(super) fn new(decide: Arc<Decide>) -> Self {
        let permits = Arc::new(Semaphore::new(DEFAULT_MAX_CONCURRENT));
        Self { decide, timeout: DEFAULT_TIMEOUT, permits }
    }

    /// Decides within the timeout.
    pub(super) fn decide(&self, parts: Parts, certificate: ClientCertificate) -> Decision {
        let Self { decide, timeout: limit, permits } = self.clone();
        Box::pin(async move {
            let decided = timeout(limit, async {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                CatchUnwind { future: async move { decide(parts, certificate).await } }.await
            });
            match decided.await {
                Ok(Some(decided)) => decided,
                Ok(None) => Err(Rejection::new(RejectionKind::AuthorizationPanicked)),
                Err(_) => Err(Rejection::new(RejectionKind::AuthorizationTimeout)),
            }
        })
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

pin_project! {
    /// Resolves to None if the future panics.
    struct CatchUnwind<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for CatchUnwind<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // The future is dropped after a panic and not polled again.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}
