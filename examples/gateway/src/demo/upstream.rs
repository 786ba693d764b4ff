//! The demo's upstreams: TLS servers inside the process that demand a client certificate, and tell what they
//! saw.
//!
//! A caller without a certificate, or with one that `backend-ca.pem` did not sign, is turned away in the
//! handshake. Everybody else gets, whatever the request, a JSON document with the certificate and the request
//! as they arrived: it is how the demo shows under which identity the gateway called.

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

mod answer;
mod certificate;
mod config;

#[cfg(test)]
mod tests;

pub(crate) use config::tls;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may wait for a request: longer than the gateway keeps one that is idle.
const IDLE: Duration = Duration::from_secs(75);

/// How many connections are served at a time; more wait in the operating system's queue.
const CONNECTIONS: usize = 1024;

/// A running upstream. It stops, with all its connections, when this is dropped.
#[must_use = "an upstream stops when its handle is dropped"]
#[derive(Debug)]
pub(crate) struct Upstream {
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts an upstream on `listener` that calls itself `name` in its answers. To be called within a Tokio
/// runtime.
pub(crate) fn start(listener: TcpListener, tls: Arc<ServerConfig>, name: &'static str) -> Upstream {
    Upstream { task: tokio::spawn(accept(listener, TlsAcceptor::from(tls), name)) }
}

/// Accepts connections for ever, and serves each in a task of its own.
async fn accept(listener: TcpListener, tls: TlsAcceptor, name: &'static str) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, tls.clone(), name));
                }
                Err(error) => {
                    tracing::warn!(%error, upstream = name, "the demo's upstream cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, tls: TlsAcceptor, name: &'static str) {
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, upstream = name, "the demo's upstream refused a handshake");
            return;
        }
        Err(_) => {
            tracing::debug!(upstream = name, "the demo's upstream gave up waiting for a handshake");
            return;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = Arc::new(certificate::describe(certificate.map_or(&[], |leaf| leaf.as_ref())));
    let service = service_fn(move |request| {
        let certificate = Arc::clone(&certificate);
        async move { Ok::<_, Infallible>(answer::answer(name, &certificate, request).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    server.http2().timer(TokioTimer::new());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, upstream = name, "a connection of the demo's upstream ended early");
    }
}
