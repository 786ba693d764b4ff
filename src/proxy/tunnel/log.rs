//! Log lines on the end of a tunnel.

use std::{future::Future, io, net::SocketAddr};

use tracing::field::display;

/// Runs a tunnel to its end, and logs an end that neither side initiated.
pub(super) async fn end(tunnel: impl Future<Output = io::Result<(u64, u64)>>, remote: Option<SocketAddr>) {
    let mut guard = LogOnDrop { remote, has_ended: false };
    let result = tunnel.await;
    guard.has_ended = true;
    let remote = remote.map(display);
    match result {
        Ok(_) => {}
        Err(error) if error.raw_os_error().is_some() => tracing::debug!(remote, %error, "tunnel ended early"),
        Err(error) => match error.kind() {
            io::ErrorKind::TimedOut => tracing::info!(remote, "tunnel closed: {error}"),
            // Ended on this side, and not by the operating system.
            io::ErrorKind::ConnectionAborted => {
                tracing::info!(remote, %error, "tunnel ended after the drain timeout");
            }
            _ => tracing::debug!(remote, %error, "tunnel ended early"),
        },
    }
}

/// Logs a tunnel whose task is aborted before its end.
struct LogOnDrop {
    remote: Option<SocketAddr>,
    has_ended: bool,
}

impl Drop for LogOnDrop {
    fn drop(&mut self) {
        if !self.has_ended {
            tracing::info!(remote = self.remote.map(display), "tunnel ended after the drain timeout");
        }
    }
}
