//! Connections that have switched to another protocol.

use std::{fmt::Display, io};

use tower_mtls::proxy::Tunnel;

/// Runs a tunnel to its end, and logs an end that neither side initiated.
pub(super) async fn run(tunnel: Tunnel, remote: impl Display) {
    let mut guard = LogOnDrop(Some(remote));
    let result = tunnel.run().await;
    let Some(remote) = guard.0.take() else { return };
    match result {
        Ok(_) => {}
        Err(error) if is_retired(&error) => {
            tracing::info!(%remote, %error, "tunnel ended after the drain timeout");
        }
        Err(error) => tracing::debug!(%remote, %error, "tunnel ended early"),
    }
}

/// Returns true if the library ended the tunnel, and not the operating system.
fn is_retired(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted && error.raw_os_error().is_none()
}

/// Logs a tunnel that is dropped before its end, with its listener.
struct LogOnDrop<R: Display>(Option<R>);

impl<R: Display> Drop for LogOnDrop<R> {
    fn drop(&mut self) {
        if let Some(remote) = &self.0 {
            tracing::info!(%remote, "tunnel ended after the drain timeout");
        }
    }
}
