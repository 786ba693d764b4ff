//! What `gateway demo` adds to the gateway.
//!
//! The demo is the gateway itself, served from an ordinary `gateway.toml`, with a world around it that a
//! newcomer would otherwise have to build by hand:
//!
//! * [`pki`] writes throw-away certificate authorities, certificates and identities into a folder;
//! * [`upstream`] runs TLS upstreams that demand a client certificate and tell what they saw;
//! * [`toml`] renders the `gateway.toml` that joins the two;
//! * [`tour`] prints the `curl` lines that show it all.

use std::io;

use tokio::net::TcpListener;

mod hex;
pub(crate) mod pki;
#[cfg(test)]
mod scratch;
pub(crate) mod upstream;
#[cfg(test)]
pub(crate) use self::scratch::Scratch;
pub(crate) mod toml;
pub(crate) mod tour;

/// The ports the upstreams take when they are free; the last two if the gateway is to have some of the others.
const PREFERRED_PORTS: [u16; 4] = [9444, 9445, 9446, 9447];

/// Binds the two upstreams to 127.0.0.1: to ports 9444 and 9445 where these are free, else to any free port;
/// but never to one that is `taken`: the gateway itself is to listen there.
///
/// # Errors
///
/// When the preferred port and every other port of 127.0.0.1 are refused by the operating system.
pub(crate) async fn bind_upstreams(taken: [u16; 2]) -> io::Result<[TcpListener; 2]> {
    let mut preferred = PREFERRED_PORTS.into_iter().filter(|port| !taken.contains(port));
    let mut next = || preferred.next().unwrap_or_default();
    Ok([bind(next(), taken).await?, bind(next(), taken).await?])
}

/// Binds to `preferred` on 127.0.0.1, or to any free port there but those that are `taken`.
async fn bind(preferred: u16, taken: [u16; 2]) -> io::Result<TcpListener> {
    if let Ok(listener) = TcpListener::bind(("127.0.0.1", preferred)).await {
        return Ok(listener);
    }
    // Those that will not do are dropped only after another one has been found.
    let mut others = Vec::new();
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        if !taken.contains(&listener.local_addr()?.port()) {
            return Ok(listener);
        }
        others.push(listener);
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn two_demos_at_once_get_four_different_upstream_ports() {
        let one = super::bind_upstreams([0, 0]).await.unwrap();
        let two = super::bind_upstreams([0, 0]).await.unwrap();
        let ports: std::collections::HashSet<u16> =
            one.iter().chain(&two).map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 4);
    }

    #[tokio::test]
    async fn upstreams_leave_the_gateways_port_alone() {
        for taken in super::PREFERRED_PORTS.windows(2) {
            for listener in super::bind_upstreams([taken[0], taken[1]]).await.unwrap() {
                assert!(!taken.contains(&listener.local_addr().unwrap().port()));
            }
        }
    }
}
