use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use super::ServerTls;

/// A [`ServerTls`] that can be replaced while connections are accepted.
///
/// Clones share it: keep one, give another to the listener. Every connection that is accepted after
/// [`replace`](Self::replace) returns is served with the new certificate; connections that are open, or whose
/// handshake is under way, go on with the old one.
///
/// A session of the old value is never resumed under the new one, since each `ServerTls` has ticket keys of its
/// own: the next connection of every caller makes a full handshake.
///
/// ```no_run
/// # async fn serve(pem: [&[u8]; 2], renewed: [&[u8]; 2]) -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::{MtlsListener, ServerTls, acceptor::SharedServerTls};
///
/// let tls = SharedServerTls::new(ServerTls::from_pem(pem[0], pem[1])?);
/// let listener = MtlsListener::bind("127.0.0.1:8443", tls.clone()).await?;
/// // ... and when the certificate was renewed:
/// tls.replace(ServerTls::from_pem(renewed[0], renewed[1])?);
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedServerTls(Arc<ArcSwap<ServerConfig>>);

impl SharedServerTls {
    /// Publishes a first value.
    pub fn new(tls: ServerTls) -> Self {
        Self(Arc::new(ArcSwap::new(tls.config)))
    }

    /// Replaces the value.
    pub fn replace(&self, tls: ServerTls) {
        self.0.store(tls.config);
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

impl From<ServerTls> for SharedServerTls {
    fn from(tls: ServerTls) -> Self {
        Self::new(tls)
    }
}

impl fmt::Debug for SharedServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedServerTls").finish_non_exhaustive()
    }
}
