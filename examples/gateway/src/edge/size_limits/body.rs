use std::{error::Error, fmt};

use tokio::sync::oneshot;

use crate::edge::inspected_body::{BoxError, Inspect, InspectedBody};

/// Request body that fails when it passes its maximum size.
pub(crate) type LimitedBody<B> = InspectedBody<B, Limit>;

/// Maximum size of a body.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Number of further bytes.
    remaining: u64,
    /// None: exceeded.
    exceeded_tx: Option<oneshot::Sender<Exceeded>>,
}

/// The body passed its maximum size.
#[derive(Debug)]
pub(super) struct Exceeded;

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request body is too large (max_body_size)")
    }
}

impl Error for Exceeded {}

/// Limits a body of unknown size. The receiver fails if the body ends within the limit.
pub(super) fn limited<B>(
    body: B,
    max_body_size: Option<u64>,
) -> (LimitedBody<B>, Option<oneshot::Receiver<Exceeded>>) {
    let Some(remaining) = max_body_size else { return (InspectedBody::new(body, None), None) };
    let (exceeded_tx, exceeded) = oneshot::channel();
    let limit = Limit { remaining, exceeded_tx: Some(exceeded_tx) };
    (InspectedBody::new(body, Some(limit)), Some(exceeded))
}

impl Inspect for Limit {
    fn inspect(&mut self, bytes: usize) -> Result<(), BoxError> {
        let remaining = self.remaining.checked_sub(bytes as u64).filter(|_| self.exceeded_tx.is_some());
        match remaining {
            Some(remaining) => {
                self.remaining = remaining;
                Ok(())
            }
            None => {
                if let Some(exceeded_tx) = self.exceeded_tx.take() {
                    // An error means that the response has begun.
                    let _ = exceeded_tx.send(Exceeded);
                }
                Err(Exceeded.into())
            }
        }
    }
}
