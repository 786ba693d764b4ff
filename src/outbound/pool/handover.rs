//! Handover of requests to a connection, exclusive of its end.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
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
    /// A connection that is dropped between two handovers: the requests in its queue fail, later ones are returned to their
    /// sender.
    pub(super) struct Driven<F> {
        // None while it is dropped.
        #[pin]
        connection: Option<F>,
        handover: Handover,
    }

    impl<F> PinnedDrop for Driven<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _turn = this.handover.turn();
            this.connection.set(None);
        }
    }
}

impl<F> Driven<F> {
    /// Returns the connection. None only while it is dropped.
    pub(super) fn connection(&self) -> Option<&F> {
        self.connection.as_ref()
    }
}

impl<F: Future> Future for Driven<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().connection.as_pin_mut() {
            Some(connection) => connection.poll(cx),
            None => Poll::Pending,
        }
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
}
