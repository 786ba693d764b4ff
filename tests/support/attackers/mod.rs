//! Attackers: connections that are held as long as a server allows, at each stage of a connection.
//!
//! A group reports its open connections as the kernel has them on the server's side, so that a connection counts until
//! the server has closed it, even if its attacker reads nothing.

mod flood;
mod kernel;
mod stage;
mod target;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::client::TlsStream;

use super::raw_http2;

pub use self::{
    flood::Flood,
    stage::Stage,
    target::{Paths, Protocol, Target},
};

/// Time between the bytes of a slow attacker, if not stated.
pub const PACE: Duration = Duration::from_millis(100);

/// Interval at which the kernel's connections are read.
const POLL: Duration = Duration::from_millis(20);

/// One attacker of a group.
#[derive(Clone)]
pub struct Attacker {
    target: Target,
    protocol: Protocol,
    source: Ipv4Addr,
    /// Time between the bytes of a slow attacker.
    pace: Duration,
    has_small_buffers: bool,
    group: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// TCP connections so far.
    connected: AtomicUsize,
    /// Attackers that have reached their stage.
    reached: AtomicUsize,
    /// Received GOAWAYs with ENHANCE_YOUR_CALM.
    calmed: AtomicUsize,
}

/// Attackers that hold connections until the group is dropped.
pub struct Attackers {
    tasks: JoinSet<()>,
    size: usize,
    address: SocketAddr,
    sources: Vec<Ipv4Addr>,
    has_small_buffers: bool,
    group: Arc<Counts>,
}

impl Attackers {
    /// Opens `size` connections at once from 127.0.0.2.
    pub fn start(target: &Target, protocol: Protocol, stage: Stage, size: usize) -> Self {
        Self::start_from(&[Ipv4Addr::new(127, 0, 0, 2)], target, protocol, stage, size)
    }

    /// Opens connections from these source addresses in turn. All attackers of a server must have other addresses than
    /// its good callers.
    pub fn start_from(
        sources: &[Ipv4Addr],
        target: &Target,
        protocol: Protocol,
        stage: Stage,
        size: usize,
    ) -> Self {
        let mut attackers = Self::new(target, sources);
        for index in 0..size {
            attackers.add(target, protocol, stage, sources[index % sources.len()], PACE);
        }
        attackers
    }

    /// A group without attackers.
    pub fn new(target: &Target, sources: &[Ipv4Addr]) -> Self {
        let (tasks, group) = (JoinSet::new(), Arc::default());
        let (address, sources) = (target.address, sources.to_vec());
        Self { tasks, size: 0, address, sources, has_small_buffers: true, group }
    }

    /// Reads responses into buffers of the system's size: smaller ones accept more bytes late, by retransmissions.
    pub fn with_default_buffers(mut self) -> Self {
        self.has_small_buffers = false;
        self
    }

    /// Starts an attacker. `pace` is the time between its bytes.
    pub fn add(
        &mut self,
        target: &Target,
        protocol: Protocol,
        stage: Stage,
        source: Ipv4Addr,
        pace: Duration,
    ) {
        let (target, group) = (target.clone(), self.group.clone());
        let has_small_buffers = self.has_small_buffers;
        let attacker = Attacker { target, protocol, source, pace, has_small_buffers, group };
        self.size += 1;
        self.tasks.spawn(async move {
            // An error is an end of the connection, by any means.
            let _ = stage.run(attacker).await;
        });
    }

    /// Returns true if all attackers have reached their stage once.
    pub fn have_reached(&self) -> bool {
        self.group.reached.load(Ordering::SeqCst) >= self.size
    }

    /// Waits until all attackers have reached their stage once.
    pub async fn reached(&self) {
        super::eventually("the attackers to reach their stage", || self.have_reached()).await;
    }

    /// Returns the number of open connections, as the server has them.
    pub fn open(&self) -> usize {
        kernel::connections(self.address, &self.sources)
    }

    /// Returns the number of open connections from this source address.
    pub fn open_from(&self, source: Ipv4Addr) -> usize {
        kernel::connections(self.address, &[source])
    }

    /// Returns the number of TCP connections so far.
    pub fn connected(&self) -> usize {
        self.group.connected.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that were closed by GOAWAY with ENHANCE_YOUR_CALM.
    pub fn calmed(&self) -> usize {
        self.group.calmed.load(Ordering::SeqCst)
    }

    /// Waits until the server has closed all connections. None: not within `time`.
    pub async fn freed(&self, time: Duration) -> Option<Duration> {
        let start = Instant::now();
        while self.open() > 0 {
            if start.elapsed() > time {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
        Some(start.elapsed())
    }

    /// Ends all attackers, which close their connections.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }
}

impl Attacker {
    /// Counts this attacker as one that has reached its stage.
    fn reach(&self) {
        self.group.reached.fetch_add(1, Ordering::SeqCst);
    }

    /// An HTTP/2 request without a body.
    fn get(&self, stream: u32, path: &str) -> Vec<u8> {
        if self.target.is_grpc { raw_http2::grpc(stream, path) } else { raw_http2::get(stream, path) }
    }

    /// The head of an HTTP/2 request with a body.
    fn post(&self, stream: u32, path: &str) -> Vec<u8> {
        if self.target.is_grpc {
            raw_http2::grpc_request(stream, path, false)
        } else {
            raw_http2::request(stream, "POST", path, false)
        }
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        self.connect(false).await
    }

    async fn connect(&self, is_narrow: bool) -> io::Result<TcpStream> {
        let socket = self.target.connect(self.source, is_narrow).await?;
        self.group.connected.fetch_add(1, Ordering::SeqCst);
        Ok(socket)
    }

    async fn tls(&self) -> io::Result<TlsStream<TcpStream>> {
        self.target.handshake(self.tcp().await?, self.protocol).await
    }

    /// A connection for reading a response slowly or not at all.
    async fn reader_tls(&self) -> io::Result<TlsStream<TcpStream>> {
        self.target.handshake(self.connect(self.has_small_buffers).await?, self.protocol).await
    }
}
