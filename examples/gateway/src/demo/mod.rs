//! What `gateway demo` adds to the gateway.
//!
//! The demo is the gateway itself, served from an ordinary `gateway.toml`, with a world around it that a
//! newcomer would otherwise have to build by hand:
//!
//! * [`pki`] writes throw-away certificate authorities, certificates and identities into a folder;
//! * [`backend`] runs TLS back ends that demand a client certificate and tell what they saw;
//! * [`toml`] renders the `gateway.toml` that joins the two;
//! * [`tour`] prints the `curl` lines that show it all.

use std::io;

use tokio::net::TcpListener;

pub(crate) mod backend;
mod hex;
pub(crate) mod pki;
#[cfg(test)]
mod scratch;
pub(crate) mod toml;
pub(crate) mod tour;

/// The ports the back ends take when they are free.
const PREFERRED_PORTS: [u16; 2] = [9444, 9445];

/// Binds the two back ends to 127.0.0.1: to ports 9444 and 9445 where these are free, else to any free port.
///
/// # Errors
///
/// When the preferred port and every other port of 127.0.0.1 are refused by the operating system.
pub(crate) async fn bind_back_ends() -> io::Result<[TcpListener; 2]> {
    Ok([bind(PREFERRED_PORTS[0]).await?, bind(PREFERRED_PORTS[1]).await?])
}

/// Binds to `preferred` on 127.0.0.1, or to any free port there.
async fn bind(preferred: u16) -> io::Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", preferred)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await,
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn two_demos_at_once_get_four_different_back_end_ports() {
        let one = super::bind_back_ends().await.unwrap();
        let two = super::bind_back_ends().await.unwrap();
        let ports: std::collections::HashSet<u16> =
            one.iter().chain(&two).map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 4);
    }
}
