//! Connections as the kernel has them.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use socket2::{SockFilter, SockRef};
use tokio::net::TcpStream;

/// Returns the number of a server's connections from these addresses that the server has not closed.
pub(super) fn connections(server: SocketAddr, sources: &[Ipv4Addr]) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", server.port());
    let remote = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (source, _) = remote.split_once(':')?;
        let source = Ipv4Addr::from(u32::from_str_radix(source, 16).ok()?.to_ne_bytes());
        // ESTABLISHED and CLOSE_WAIT: the server's side is open.
        let is_open = ["01", "08"].contains(&state) && local.ends_with(&port) && sources.contains(&source);
        is_open.then(|| remote.to_owned())
    };
    // A table that changes while it is read can have a line twice.
    let lines = table.lines().skip(1).filter(|line| line.contains(&port));
    lines.filter_map(remote).collect::<HashSet<_>>().len()
}

/// Discards all further packets to this socket, acknowledgements included, as if its host had vanished.
pub(super) fn vanish(socket: &TcpStream) {
    // BPF: return 0, the number of bytes to keep.
    SockRef::from(socket).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).unwrap();
}
