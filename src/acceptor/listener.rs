use std::{
    collections::VecDeque,
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
    },
    task::{AbortHandle, JoinSet},
    time,
};

use super::{MtlsAcceptor, MtlsStream, ServerTls, handshake::DEFAULT_TIMEOUT};

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
    accepting: AbortHandle,
}

impl MtlsListener {
    /// Binds to `address` (port 0: any free port) with the default [limits](ListenerLimits).
    ///
    /// # Errors
    ///
    /// The address cannot be resolved or bound.
    pub async fn bind(address: impl ToSocketAddrs, tls: ServerTls) -> io::Result<Self> {
        Self::new(TcpListener::bind(address).await?, tls, ListenerLimits::default())
    }

    /// Serves on a socket that is already bound. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket does not know its own address.
    pub fn new(tcp: TcpListener, tls: ServerTls, limits: ListenerLimits) -> io::Result<Self> {
        let local = tcp.local_addr()?;
        let (sender, finished) = mpsc::channel(limits.handshakes);
        let acceptor = MtlsAcceptor::new(tls).with_timeout(limits.handshake_timeout);
        let accepting = tokio::spawn(accept_all(tcp, acceptor, sender));
        Ok(Self { finished, local, accepting: accepting.abort_handle() })
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
            // The accepting task lives as long as this value; only a runtime that shuts down ends it before.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for MtlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts forever, a task for each handshake; dropping the future ends them all.
async fn accept_all(tcp: TcpListener, tls: MtlsAcceptor, finished: mpsc::Sender<MtlsStream>) {
    let mut handshakes = JoinSet::new();
    let mut oldest_first = OldestFirst::default();
    loop {
        let (socket, remote) = match tcp.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                wait_out(&error).await;
                continue;
            }
        };
        while handshakes.try_join_next().is_some() {}
        oldest_first.forget_finished(finished.max_capacity());
        let place = match finished.clone().try_reserve_owned() {
            Ok(place) => place,
            Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(finished)) => {
                let mut reserving = pin!(finished.reserve_owned());
                let reserved = match time::timeout_at(oldest_first.due(), reserving.as_mut()).await {
                    Ok(reserved) => reserved,
                    Err(_) => {
                        oldest_first.give_up_one();
                        reserving.await
                    }
                };
                let Ok(place) = reserved else { return };
                place
            }
        };
        oldest_first.push(handshakes.spawn(handshake(tls.clone(), socket, remote, place)));
    }
}

/// A handshake has this long before it can be given up for another: a burst of honest callers is served in
/// turn.
const GRACE: Duration = Duration::from_millis(500);

/// The handshakes under way by their age.
#[derive(Default)]
struct OldestFirst(VecDeque<(time::Instant, AbortHandle)>);

impl OldestFirst {
    fn push(&mut self, handshake: AbortHandle) {
        self.0.push_back((time::Instant::now(), handshake));
    }

    fn forget_finished(&mut self, places: usize) {
        while self.0.front().is_some_and(|(_, handshake)| handshake.is_finished()) {
            self.0.pop_front();
        }
        // Behind one that stalls, the finished ones would pile up.
        if self.0.len() > 2 * places {
            self.0.retain(|(_, handshake)| !handshake.is_finished());
        }
    }

    /// When the oldest has had its time.
    fn due(&self) -> time::Instant {
        self.0.front().map_or_else(time::Instant::now, |(since, _)| *since + GRACE)
    }

    /// Ends the handshake that has taken longest: callers that stall make room for those that do not.
    fn give_up_one(&mut self) {
        while let Some((_, oldest)) = self.0.pop_front() {
            if !oldest.is_finished() {
                oldest.abort();
                tracing::debug!("TLS handshake given up: there are too many");
                #[cfg(feature = "metrics")]
                metrics::counter!("tower_mtls_handshakes_failed_total", "reason" => "given_up").increment(1);
                return;
            }
        }
    }
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
