use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    net::{TcpListener, ToSocketAddrs},
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::{
    ListenerLimits, MtlsAcceptor, MtlsStream, ServerTls,
    accepting::{Incoming, accept_all},
    admission::Connections,
};
use crate::{shared::Shared, workers::Workers};

/// Accepts TCP connections and finishes their TLS handshakes. See the [module](super).
///
/// Dropping it closes the socket and aborts handshakes in progress.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let mut roots = rustls::RootCertStore::empty();
/// # roots.add(made.cert.der().clone())?;
/// # let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
/// # let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
/// # let config = config.with_root_certificates(roots).with_no_client_auth();
/// # let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
/// use tokio::net::TcpStream;
/// use tower_mtls::{MtlsListener, ServerTls};
///
/// let mut listener = MtlsListener::bind("127.0.0.1:0", ServerTls::from_pem(chain, key)?).await?;
/// let socket = TcpStream::connect(listener.local_addr()).await?;
/// # let client = tokio::spawn(async move { connector.connect("localhost".try_into().unwrap(), socket).await });
/// let (stream, remote) = listener.accept().await;
/// assert!(remote.ip().is_loopback());
/// assert_eq!(stream.server_name(), Some("localhost"));
/// # client.await??;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "aws-lc-rs"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct MtlsListener {
    finished: mpsc::UnboundedReceiver<MtlsStream>,
    local: SocketAddr,
    connections: Arc<Connections>,
    /// Dropping it ends the accepting task.
    stop: oneshot::Sender<Infallible>,
    accepting: AbortOnDrop,
}

/// Aborts the task and its handshakes.
#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl MtlsListener {
    /// Binds to `address` (port 0: any free port) with the default [limits](ListenerLimits). `tls` is a
    /// [`ServerTls`] or a [`Shared<ServerTls>`](crate::Shared).
    ///
    /// # Errors
    ///
    /// The address cannot be resolved or bound.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use tower_mtls::{MtlsListener, ServerTls};
    ///
    /// let tls = ServerTls::from_pem(chain, key)?;
    /// let listener = MtlsListener::bind("127.0.0.1:0", tls.clone()).await?;
    /// // The address is in use.
    /// assert!(MtlsListener::bind(listener.local_addr(), tls).await.is_err());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub async fn bind(address: impl ToSocketAddrs, tls: impl Into<Shared<ServerTls>>) -> io::Result<Self> {
        Self::new(TcpListener::bind(address).await?, tls, ListenerLimits::default())
    }

    /// Serves on a socket that is already bound. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket does not know its own address.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use tokio::net::TcpListener;
    /// use tower_mtls::{MtlsListener, ServerTls, acceptor::ListenerLimits};
    ///
    /// let socket = TcpListener::bind("127.0.0.1:0").await?;
    /// let address = socket.local_addr()?;
    /// let listener = MtlsListener::new(socket, ServerTls::from_pem(chain, key)?, ListenerLimits::default())?;
    /// assert_eq!(listener.local_addr(), address);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(
        tcp: TcpListener,
        tls: impl Into<Shared<ServerTls>>,
        limits: impl Into<Shared<ListenerLimits>>,
    ) -> io::Result<Self> {
        Self::start(tcp, tls.into(), limits.into(), None)
    }

    /// Serves on a socket that is already bound. The current Tokio runtime accepts connections, and TLS handshakes run on
    /// `workers`. With [`serve`](crate::serve()) requests run there too; a server of another crate, such as axum's, runs them on
    /// its own runtime. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket does not know its own address.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "aws-lc-rs", feature = "axum", feature = "serve"))]
    /// # async fn run(chain: String, key: String) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::thread;
    /// use axum::{Router, routing::get};
    /// use tokio::net::TcpListener;
    /// use tower_mtls::{MtlsListener, ServerTls, Workers, acceptor::ListenerLimits, serve};
    ///
    /// let workers = Workers::start(thread::available_parallelism()?)?;
    /// let socket = TcpListener::bind("0.0.0.0:8443").await?;
    /// let tls = ServerTls::from_pem(chain, key)?;
    /// let listener = MtlsListener::on_workers(socket, tls, ListenerLimits::default(), &workers)?;
    /// let app = Router::new().route("/", get(async || format!("{:?}", thread::current().name())));
    /// serve(listener, app).await; // Some("worker-1"), Some("worker-2") ...
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_workers(
        tcp: TcpListener,
        tls: impl Into<Shared<ServerTls>>,
        limits: impl Into<Shared<ListenerLimits>>,
        workers: &Workers,
    ) -> io::Result<Self> {
        Self::start(tcp, tls.into(), limits.into(), Some(workers.clone()))
    }

    fn start(
        tcp: TcpListener,
        tls: Shared<ServerTls>,
        limits: Shared<ListenerLimits>,
        workers: Option<Workers>,
    ) -> io::Result<Self> {
        let local = tcp.local_addr()?;
        // Bounded by the limit of handshakes.
        let (sender, finished) = mpsc::unbounded_channel();
        let acceptor = MtlsAcceptor::new(tls);
        let (stop, stopped) = oneshot::channel();
        let incoming = Incoming::new(tcp, stopped);
        let connections = Connections::new();
        let accepting =
            tokio::spawn(accept_all(incoming, acceptor, sender, connections.clone(), limits, workers));
        Ok(Self { finished, local, connections, stop, accepting: AbortOnDrop(accepting.abort_handle()) })
    }

    /// Returns the next connection with a completed handshake, and its remote address.
    ///
    /// Cancel safe. Never fails: failed handshakes and a lack of file descriptors are logged and retried.
    pub async fn accept(&mut self) -> (MtlsStream, SocketAddr) {
        let stream = std::future::poll_fn(|cx| self.poll_accept(cx)).await;
        let remote = stream.remote_addr();
        (stream, remote)
    }

    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<MtlsStream> {
        match self.finished.poll_recv(cx) {
            Poll::Ready(Some(mut stream)) => {
                stream.end_handshake();
                Poll::Ready(stream)
            }
            // The accepting task lives as long as this value; only the shutdown of the runtime ends it before.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The open connections, handshakes in progress included.
    #[cfg(feature = "serve")]
    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Closes the socket, and returns the connections that exist by then: in the operating system's queue, with a
    /// handshake in progress, or not yet accepted.
    pub fn drain(self) -> DrainingListener {
        let Self { finished, local: _, connections: _, stop, accepting } = self;
        drop(stop);
        DrainingListener { finished, _accepting: accepting }
    }
}

/// Remaining connections of a listener after [`MtlsListener::drain`].
///
/// Dropping it aborts handshakes in progress.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tokio::net::TcpStream;
/// use tower_mtls::{MtlsListener, ServerTls, acceptor::DrainingListener};
///
/// let listener = MtlsListener::bind("127.0.0.1:0", ServerTls::from_pem(chain, key)?).await?;
/// let address = listener.local_addr();
/// let mut draining: DrainingListener = listener.drain();
/// while let Some((stream, _)) = draining.accept().await {
///     // Serve it.
/// #     drop(stream);
/// }
/// assert!(TcpStream::connect(address).await.is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct DrainingListener {
    finished: mpsc::UnboundedReceiver<MtlsStream>,
    _accepting: AbortOnDrop,
}

impl DrainingListener {
    /// Returns the next connection with a completed handshake, and its remote address; None when there are no more. A
    /// stalled handshake is awaited until its timeout.
    ///
    /// Cancel safe.
    pub async fn accept(&mut self) -> Option<(MtlsStream, SocketAddr)> {
        let mut stream = self.finished.recv().await?;
        stream.end_handshake();
        let remote = stream.remote_addr();
        Some((stream, remote))
    }
}
