//! Connections that have switched to another protocol, and why they end.

use std::{fmt::Display, io};

use tower_mtls::proxy::Tunnel;

/// Runs a tunnel to its end. An end that neither side chose is told.
pub(super) async fn run(tunnel: Tunnel, remote: impl Display) {
    let mut cut = Cut(Some(remote));
    let ended = tunnel.run().await;
    let Some(remote) = cut.0.take() else { return };
    match ended {
        Ok(_) => {}
        Err(error) if is_retired(&error) => {
            tracing::info!(%remote, %error, "tunnel ended after the drain timeout");
        }
        Err(error) => tracing::debug!(%remote, %error, "tunnel ended early"),
    }
}

/// The library's word, and not the system's.
fn is_retired(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted && error.raw_os_error().is_none()
}

/// A tunnel that is dropped before its end was cut off with its listener.
struct Cut<R: Display>(Option<R>);

impl<R: Display> Drop for Cut<R> {
    fn drop(&mut self) {
        if let Some(remote) = &self.0 {
            tracing::info!(%remote, "tunnel ended after the drain timeout");
        }
    }
}
