//! The demo's upstreams: TLS servers in the process that require a client certificate and return what they received.
//!
//! A client without a certificate issued by `backend-ca.pem` fails in the handshake. Any other request gets a JSON
//! document with the received certificate and request, which shows the identity that the gateway presented.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

mod certificate;
mod config;
mod response;

#[cfg(test)]
mod tests;

pub(crate) use config::tls;

/// Maximum time of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time between requests of a connection; longer than the gateway's idle timeout.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Maximum number of connections; more wait in the operating system's queue.
const MAX_CONNECTIONS: usize = 1024;

/// A running upstream. Dropping it closes the listener and all connections.
#[must_use = "an upstream stops when its handle is dropped"]
#[derive(Debug)]
pub(crate) struct DemoUpstream {
    task: JoinHandle<()>,
}

impl Drop for DemoUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts an upstream on `listener` that reports `name` in its responses. Must be called within a Tokio runtime.
pub(crate) fn start(listener: TcpListener, tls: Arc<ServerConfig>, name: &'static str) -> DemoUpstream {
    DemoUpstream { task: tokio::spawn(accept(listener, TlsAcceptor::from(tls), name)) }
}

/// Accepts connections, and serves each in its own task.
async fn accept(listener: TcpListener, tls: TlsAcceptor, name: &'static str) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, tls.clone(), name));
                }
                Err(error) => {
                    tracing::warn!(%error, upstream = name, "demo upstream: cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// Serves a connection until it is closed.
async fn serve(stream: TcpStream, tls: TlsAcceptor, name: &'static str) {
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, upstream = name, "demo upstream: handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!(upstream = name, "demo upstream: handshake timed out");
            return;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = Arc::new(certificate::describe(certificate.map_or(&[], |leaf| leaf.as_ref())));
    let service = service_fn(move |request| {
        let certificate = Arc::clone(&certificate);
        async move { Ok::<_, Infallible>(response::respond(name, &certificate, request).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, upstream = name, "demo upstream: connection failed");
    }
}
