//! Handover of requests to a connection, exclusive of its end.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

/// Lock of one connection between the handover of a request and the end of the connection.
///
/// Without it a request that is handed over while the connection ends can be lost: hyper keeps it in its queue, with neither
/// a response nor an error, for as long as the sender exists (hyperium/hyper#4122).
#[derive(Debug, Clone, Default)]
pub(super) struct Handover(Arc<Mutex<()>>);

impl Handover {
    /// Hands a request over: `send` queues it before it returns.
    pub(super) fn hand_over<T>(&self, send: impl FnOnce() -> T) -> T {
        let _turn = self.turn();
        send()
    }

    /// Wraps the future that drives the connection.
    pub(super) fn drive<F>(&self, connection: F) -> Driven<F> {
        Driven { connection: Some(connection), handover: self.clone() }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pin_project! {
    /// A connection that is dropped between two handovers.
    pub(super) struct Driven<F> {
        // None once it has ended.
        #[pin]
        connection: Option<F>,
        handover: Handover,
    }

    impl<F> PinnedDrop for Driven<F> {
        fn drop(this: Pin<&mut Self>) {
            this.end();
        }
    }
}

impl<F> Driven<F> {
    /// Returns the connection. None once it has ended.
    pub(super) fn connection(&self) -> Option<&F> {
        self.connection.as_ref()
    }

    /// Drops the connection: the requests in its queue fail, later ones are returned to their sender.
    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _turn = this.handover.turn();
        this.connection.set(None);
    }
}

impl<F: Future> Future for Driven<F> {
    type Output = Option<F::Output>;

    /// Drives the connection to its end. None if it has ended before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(connection) = self.as_mut().project().connection.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let output = ready!(connection.poll(cx));
        self.end();
        Poll::Ready(Some(output))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Barrier, mpsc},
        thread,
    };

    use tokio::sync::{mpsc::unbounded_channel, oneshot};

    use super::*;

    #[test]
    fn requests_that_are_handed_over_while_their_connection_ends_are_not_lost() {
        const ROUNDS: usize = 50_000;
        let both = Barrier::new(2);
        let (ending_tx, ending) = mpsc::channel();
        thread::scope(|scope| {
            let ends = scope.spawn(|| {
                for driven in ending {
                    both.wait();
                    drop(driven);
                    both.wait();
                }
            });
            for round in 0..ROUNDS {
                // A queue as that of a connection: its end drops the requests in it.
                let (sender, queue) = unbounded_channel();
                let handover = Handover::default();
                ending_tx.send(handover.drive(queue)).unwrap();
                both.wait();
                let (request, mut failed) = oneshot::channel::<()>();
                drop(handover.hand_over(|| sender.send(request)));
                both.wait();
                assert_eq!(
                    failed.try_recv(),
                    Err(oneshot::error::TryRecvError::Closed),
                    "lost in round {round}"
                );
            }
            drop(ending_tx);
            ends.join().unwrap();
        });
    }

    #[tokio::test]
    async fn connection_is_dropped_when_it_ends() {
        let (held_tx, mut held) = oneshot::channel::<()>();
        let handover = Handover::default();
        let mut driven = Box::pin(handover.drive(async move {
            let _held_tx = held_tx;
            tokio::task::yield_now().await;
            7
        }));
        assert!(driven.connection().is_some());
        assert_eq!(driven.as_mut().await, Some(7));
        assert!(driven.connection().is_none());
        assert_eq!(held.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(driven.await, None, "it has ended before");
    }
}
