//! The environment of `gateway demo`. Imports no other room.
//!
//! The demo runs the gateway with an ordinary `gateway.toml`, and provides:
//!
//! * [`pki`]: certificate authorities, certificates and identities, written into a folder;
//! * [`upstream`]: TLS upstreams that require a client certificate and return what they received;
//! * [`toml`]: the `gateway.toml`;
//! * [`tour`]: `curl` commands to try.

use std::io;

use tokio::net::TcpListener;

pub(crate) mod pki;
pub(crate) mod toml;
pub(crate) mod tour;
pub(crate) mod upstream;

/// Preferred ports of the upstreams. The last two are used if the gateway's ports are among the others.
const PREFERRED_PORTS: [u16; 4] = [9444, 9445, 9446, 9447];

/// Binds the two upstreams to 127.0.0.1: to ports 9444 and 9445 if these are free, else to any free port except
/// `taken`, the gateway's.
///
/// # Errors
///
/// The operating system allows neither the preferred port nor another one.
pub(crate) async fn bind_upstreams(taken: [u16; 2]) -> io::Result<[TcpListener; 2]> {
    let mut preferred = PREFERRED_PORTS.into_iter().filter(|port| !taken.contains(port));
    let mut next = || preferred.next().unwrap_or_default();
    Ok([bind(next(), taken).await?, bind(next(), taken).await?])
}

/// Binds to `preferred` on 127.0.0.1, or to any free port except `taken`.
async fn bind(preferred: u16, taken: [u16; 2]) -> io::Result<TcpListener> {
    if let Ok(listener) = TcpListener::bind(("127.0.0.1", preferred)).await {
        return Ok(listener);
    }
    // Unsuitable listeners are kept until a suitable one is found, so that their ports are not offered again.
    let mut unsuitable = Vec::new();
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        if !taken.contains(&listener.local_addr()?.port()) {
            return Ok(listener);
        }
        unsuitable.push(listener);
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn two_concurrent_demos_get_four_different_upstream_ports() {
        let one = super::bind_upstreams([0, 0]).await.unwrap();
        let two = super::bind_upstreams([0, 0]).await.unwrap();
        let ports: std::collections::HashSet<u16> =
            one.iter().chain(&two).map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 4);
    }

    #[tokio::test]
    async fn upstreams_do_not_bind_the_gateways_ports() {
        for taken in super::PREFERRED_PORTS.windows(2) {
            for listener in super::bind_upstreams([taken[0], taken[1]]).await.unwrap() {
                assert!(!taken.contains(&listener.local_addr().unwrap().port()));
            }
        }
    }
}
