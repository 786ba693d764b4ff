//! Acceptance of TCP connections, and a task for each handshake.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use super::{
    ListenerLimits, MtlsAcceptor, MtlsStream,
    admission::{AddressFull, Connections, Place},
    connection_state::ConnectionState,
};
use crate::{
    shared::Shared,
    workers::{Seat, Workers},
};

/// New connections, until the listener is stopped; then those in the queue.
pub(super) struct Incoming {
    tcp: TcpListener,
    stopped: oneshot::Receiver<Infallible>,
    /// Once stopped: the remaining number of connections to take from the operating system's queue.
    left: Option<usize>,
}

/// Interval at which silent connections are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Connections accepted after a stop, so that new callers cannot delay the end.
const MAX_QUEUED: usize = 4_096;

impl Incoming {
    pub(super) fn new(tcp: TcpListener, stopped: oneshot::Receiver<Infallible>) -> Self {
        Self { tcp, stopped, left: None }
    }

    /// Waits until the listener is stopped.
    async fn stop(&mut self) {
        if self.left.is_none() {
            // Fails when the sender is dropped, which stops the listener.
            let _ = (&mut self.stopped).await;
            self.left = Some(MAX_QUEUED);
        }
    }

    async fn next(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        if self.left.is_none() {
            tokio::select! {
                biased;
                _ = &mut self.stopped => self.left = Some(MAX_QUEUED),
                accepted = self.tcp.accept() => return Some(accepted),
            }
        }
        let left = self.left.as_mut()?;
        *left = left.checked_sub(1)?;
        // Lets the runtime poll the socket: otherwise the queue can appear empty.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            accepted = self.tcp.accept() => accepted.ok().map(Ok),
            () = std::future::ready(()) => None,
        }
    }
}

/// Accepts until it is stopped, with a task for each handshake; then closes the socket and waits for handshakes in
/// progress. Dropping the future aborts them.
pub(super) async fn accept_all(
    mut incoming: Incoming,
    tls: MtlsAcceptor,
    finished: mpsc::UnboundedSender<MtlsStream>,
    connections: Arc<Connections>,
    limits: Shared<ListenerLimits>,
    workers: Option<Workers>,
) {
    let mut handshakes = JoinSet::new();
    let mut sweep = time::interval(SWEEP_INTERVAL);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = sweep.tick() => {
                connections.close_silent(&limits.load());
                continue;
            }
            accepted = incoming.next() => accepted,
        };
        let (socket, remote) = match accepted {
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                back_off(&error).await;
                continue;
            }
            None => break,
        };
        while handshakes.try_join_next().is_some() {}
        let room = async {
            connections.resumed().await;
            connections.room(&limits).await;
        };
        tokio::select! {
            biased;
            () = room => {}
            () = incoming.stop() => {}
        }
        let limits = limits.current();
        match connections.add(remote, &limits) {
            Ok((state, place)) => {
                let timeout = limits.handshake_timeout;
                let handshake =
                    Handshake { tls: tls.clone(), state, place, timeout, finished: finished.clone() };
                match &workers {
                    Some(workers) => handshake.spawn_on(workers.seat(), socket, &mut handshakes),
                    None => drop(handshakes.spawn(handshake.run(socket, None))),
                }
            }
            Err(AddressFull) => {
                tracing::debug!(%remote, "connection rejected: its address has reached its limit");
                #[cfg(feature = "metrics")]
                metrics::counter!("tower_mtls_connections_closed_total", "reason" => "address_limit")
                    .increment(1);
            }
        }
    }
    drop((incoming, finished));
    while handshakes.join_next().await.is_some() {}
}

/// A handshake that is about to begin.
struct Handshake {
    tls: MtlsAcceptor,
    state: Arc<ConnectionState>,
    place: Place,
    timeout: Duration,
    finished: mpsc::UnboundedSender<MtlsStream>,
}

impl Handshake {
    /// Runs on a worker, whose runtime registers the socket.
    fn spawn_on(self, seat: Seat, socket: TcpStream, handshakes: &mut JoinSet<()>) {
        let (runtime, remote) = (seat.runtime().clone(), self.state.remote());
        let socket = socket.into_std();
        let handshake = async move {
            match socket.and_then(TcpStream::from_std) {
                Ok(socket) => self.run(socket, Some(seat)).await,
                Err(error) => {
                    tracing::debug!(%error, %remote, "connection closed: its worker cannot register it")
                }
            }
        };
        handshakes.spawn_on(handshake, &runtime);
    }

    async fn run(self, socket: TcpStream, seat: Option<Seat>) {
        let Self { tls, state, place, timeout, finished } = self;
        // A failure has been logged; dropping the socket closes the connection.
        if let Ok(stream) = tls.accept_at(socket, state, Some(place), timeout).await {
            // An error means that the listener has been dropped.
            let _ = finished.send(stream.with_seat(seat));
        }
    }
}

/// Waits after errors of the listener, such as a lack of file descriptors. Errors of one connection are skipped.
async fn back_off(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::error!(%error, "cannot accept connections; trying again in 100 ms");
    time::sleep(Duration::from_millis(100)).await;
}
