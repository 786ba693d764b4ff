use crate::shared::Shared;
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Semaphore,
        mpsc::{self, OwnedPermit, error::TrySendError},
        oneshot,
    },
    task::{AbortHandle, JoinSet},
    time,
};

use super::{
    MtlsAcceptor, MtlsStream, ServerTls, handshake::DEFAULT_TIMEOUT, pending_handshakes::PendingHandshakes,
};

/// What a listener lets callers cost before they have shown anything.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct ListenerLimits {
    handshakes: usize,
    handshake_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self { handshakes: 1_024, handshake_timeout: DEFAULT_TIMEOUT }
    }
}

impl ListenerLimits {
    /// At most this many handshakes run, or are finished and wait for [`MtlsListener::accept`]. Default: 1,024, at
    /// least 1.
    ///
    /// When a caller comes and there is no place, the handshake that has taken longest is given up, if it has taken
    /// half a second, so callers that stall cannot keep others out.
    pub fn with_handshakes(mut self, handshakes: usize) -> Self {
        self.handshakes = handshakes.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long a handshake may take, from the accepted connection on. Default: 10 seconds.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

/// Accepts TCP connections and finishes their TLS handshakes. See the [module](super).
///
/// Dropping it closes the socket and ends the handshakes that are under way.
#[derive(Debug)]
pub struct MtlsListener {
    finished: mpsc::Receiver<MtlsStream>,
    local: SocketAddr,
    /// Sending on it, or dropping it, ends the accepting.
    stop: oneshot::Sender<Infallible>,
    accepting: AbortOnDrop,
}

/// Ends the task, and with it the handshakes under way.
#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl MtlsListener {
    /// Binds to `address` (port 0: any free port) with the default [limits](ListenerLimits). The certificate is a
    /// [`ServerTls`](super::ServerTls), or a [`Shared<ServerTls>`](crate::Shared) that is replaced while serving.
    ///
    /// # Errors
    ///
    /// The address cannot be resolved or bound.
    pub async fn bind(address: impl ToSocketAddrs, tls: impl Into<Shared<ServerTls>>) -> io::Result<Self> {
        Self::new(TcpListener::bind(address).await?, tls, ListenerLimits::default())
    }

    /// Serves on a socket that is already bound. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket does not know its own address.
    pub fn new(
        tcp: TcpListener,
        tls: impl Into<Shared<ServerTls>>,
        limits: ListenerLimits,
    ) -> io::Result<Self> {
        let local = tcp.local_addr()?;
        let (sender, finished) = mpsc::channel(limits.handshakes);
        let acceptor = MtlsAcceptor::new(tls).with_timeout(limits.handshake_timeout);
        let (stop, stopped) = oneshot::channel();
        let incoming = Incoming { tcp, stopped, left: None };
        let accepting = tokio::spawn(accept_all(incoming, acceptor, sender));
        Ok(Self { finished, local, stop, accepting: AbortOnDrop(accepting.abort_handle()) })
    }

    /// The next connection whose handshake is finished, and where it comes from.
    ///
    /// Cancel safe. Never ends: failed handshakes and a lack of file descriptors are logged and waited out.
    pub async fn accept(&mut self) -> (MtlsStream, SocketAddr) {
        let stream = std::future::poll_fn(|cx| self.poll_accept(cx)).await;
        let remote = stream.remote_addr();
        (stream, remote)
    }

    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<MtlsStream> {
        match self.finished.poll_recv(cx) {
            Poll::Ready(Some(stream)) => Poll::Ready(stream),
            // The accepting task lives as long as this value, or until it drains; only a runtime that shuts down
            // ends it before.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Closes the socket, and hands out the connections that callers have made by then: in the operating system's
    /// queue, with their handshake under way, or finished and not yet accepted.
    pub fn drain(self) -> DrainingListener {
        let Self { finished, local: _, stop, accepting } = self;
        drop(stop);
        DrainingListener { finished, _accepting: accepting }
    }
}

/// What [`MtlsListener::drain`] leaves: the connections that were on their way.
///
/// Dropping it ends the handshakes that are under way.
#[derive(Debug)]
pub struct DrainingListener {
    finished: mpsc::Receiver<MtlsStream>,
    _accepting: AbortOnDrop,
}

impl DrainingListener {
    /// The next connection whose handshake is finished, and where it comes from; None when there are no more. A
    /// handshake that stalls is waited for until its timeout.
    ///
    /// Cancel safe.
    pub async fn accept(&mut self) -> Option<(MtlsStream, SocketAddr)> {
        let stream = self.finished.recv().await?;
        let remote = stream.remote_addr();
        Some((stream, remote))
    }
}

/// The connections that callers make, until the listener is told to stop; then those that they have made already.
struct Incoming {
    tcp: TcpListener,
    stopped: oneshot::Receiver<Infallible>,
    /// Once stopped: how many more are taken out of the operating system's queue.
    left: Option<usize>,
}

/// Nobody can keep a listener that stops from stopping.
const MOST_QUEUED: usize = 4_096;

impl Incoming {
    async fn next(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        if self.left.is_none() {
            tokio::select! {
                biased;
                _ = &mut self.stopped => self.left = Some(MOST_QUEUED),
                accepted = self.tcp.accept() => return Some(accepted),
            }
        }
        let left = self.left.as_mut()?;
        *left = left.checked_sub(1)?;
        // Without a turn of the runtime the queue may seem empty.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            accepted = self.tcp.accept() => accepted.ok().map(Ok),
            () = std::future::ready(()) => None,
        }
    }
}

/// Accepts until it is told to stop, a task for each handshake, then closes the socket and waits for those under
/// way; dropping the future ends them.
async fn accept_all(mut incoming: Incoming, tls: MtlsAcceptor, finished: mpsc::Sender<MtlsStream>) {
    let mut handshakes = JoinSet::new();
    let mut pending_handshakes = PendingHandshakes::default();
    while let Some(accepted) = incoming.next().await {
        let (socket, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                wait_out(&error).await;
                continue;
            }
        };
        while handshakes.try_join_next().is_some() {}
        pending_handshakes.forget_finished(finished.max_capacity());
        let place = match finished.clone().try_reserve_owned() {
            Ok(place) => place,
            Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(finished)) => {
                let mut reserving = pin!(finished.reserve_owned());
                let reserved =
                    match time::timeout_at(pending_handshakes.evictable_at(), reserving.as_mut()).await {
                        Ok(reserved) => reserved,
                        Err(_) => {
                            pending_handshakes.evict_oldest();
                            reserving.await
                        }
                    };
                let Ok(place) = reserved else { return };
                place
            }
        };
        pending_handshakes.push(handshakes.spawn(handshake(tls.clone(), socket, remote, place)));
    }
    drop((incoming, finished));
    while handshakes.join_next().await.is_some() {}
}

async fn handshake(tls: MtlsAcceptor, socket: TcpStream, remote: SocketAddr, place: OwnedPermit<MtlsStream>) {
    // A failure has been reported; the connection ends with it.
    if let Ok(stream) = tls.accept(socket, remote).await {
        place.send(stream);
    }
}

/// Errors of one connection are skipped; others (no file descriptor left) get a moment to pass.
async fn wait_out(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::error!(%error, "cannot accept connections; trying again in 100 ms");
    time::sleep(Duration::from_millis(100)).await;
}
