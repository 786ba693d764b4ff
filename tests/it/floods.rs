//! Floods of HTTP/2 frames, and header blocks that do not end, beyond those of the attack table.
#![cfg(all(feature = "serve", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::client::TlsStream;
use tower::service_fn;
use tower_mtls::{
    MtlsListener, ServerTls,
    serve::{self, CallerBody, HttpLimits, TimeoutKind},
};

use crate::support::{
    Http, Tls,
    caller::Caller,
    eventually, in_time,
    observed::{Observed, OpenExchange},
    pki::{Authority, Leaf},
    raw_http2::{
        self, ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GO_AWAY, HEADERS,
        PADDED, PING, RST_STREAM, SETTINGS, frame, get, preface, request, window_update,
    },
};

const HEAD_TIMEOUT: Duration = Duration::from_millis(300);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) root: Authority,
    caller: Caller,
    observed: Arc<Observed>,
    /// Requests for `/wait` in flight.
    waiting: Arc<AtomicUsize>,
}

impl World {
    /// Serves `/wait`, which never responds, `/down/N` with N bytes, and others with "served".
    pub(crate) async fn start() -> Self {
        let root = Authority::root("Server Root");
        let server = root.issue(&Leaf::server());
        let tls = ServerTls::from_pem(server.chain_pem(), server.key_pem()).unwrap();
        let listener = MtlsListener::bind("127.0.0.1:0", tls).await.unwrap();
        let address = listener.local_addr();
        let waiting = Arc::new(AtomicUsize::new(0));
        let service_waiting = waiting.clone();
        let service = service_fn(move |request: Request<CallerBody>| {
            let waiting = service_waiting.clone();
            async move {
                let path = request.uri().path().to_owned();
                if path == "/wait" {
                    let _waiting = OpenExchange::begin(&waiting);
                    // Released only if the request is dropped.
                    let _ = request.into_body().collect().await;
                    std::future::pending::<()>().await;
                }
                let size = path.strip_prefix("/down/").map(|size| size.parse().unwrap());
                let body = size.map_or_else(|| Bytes::from_static(b"served"), |size| vec![b'x'; size].into());
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        let observed = Arc::new(Observed::default());
        let limits = HttpLimits::default().with_head_timeout(HEAD_TIMEOUT);
        let serving = serve::serve(listener, service).with_limits(limits).with_observer(observed.clone());
        tokio::spawn(serving.into_future());
        let caller = Caller::new(&root, None, Tls::V13, Http::Two);
        Self { address, root, caller, observed, waiting }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.caller.handshake(self.address).await.unwrap()
    }

    fn requests_in_flight(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn closed(&self) -> Vec<TimeoutKind> {
        self.observed.timed_out()
    }
}

/// Reads until the connection ends. Returns the error code of the last GOAWAY.
async fn end(stream: &mut TlsStream<TcpStream>) -> Option<u32> {
    let mut code = None;
    while let Some(Frame { kind, payload, .. }) = in_time("a frame or the end", raw_http2::read(stream)).await
    {
        if kind == GO_AWAY {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    code
}

/// Sends a request, and reads its whole response. Responds to each DATA with `reaction`.
async fn download(stream: &mut TlsStream<TcpStream>, id: u32, path: &str, reaction: &[u8]) -> usize {
    stream.write_all(&get(id, path)).await.unwrap();
    stream.flush().await.unwrap();
    let mut length = 0;
    loop {
        let received = in_time("a frame", raw_http2::read(stream)).await.expect("the connection is open");
        assert_ne!(received.kind, GO_AWAY, "{received:?}");
        if received.kind == DATA && received.stream == id {
            length += received.payload.len();
            if received.flags & END_STREAM != 0 {
                return length;
            }
            stream.write_all(reaction).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

#[tokio::test]
async fn flood_ends_its_connection_by_goaway_and_no_other() {
    let floods = [
        ("PING with ACK", frame(PING, ACK, 0, &[7; 8])),
        ("unknown frames", frame(0xfa, 0, 0, b"unknown")),
        ("WINDOW_UPDATE of a stream", window_update(1, 1)),
        ("RST_STREAM of a closed stream", frame(RST_STREAM, 0, 3, &[0, 0, 0, 8])),
        ("DATA of padding", frame(DATA, PADDED, 1, &[0])),
        (
            "empty CONTINUATION",
            [frame(HEADERS, 0, 5, &[]), frame(CONTINUATION, 0, 5, &[]).repeat(9)].concat(),
        ),
    ];
    let world = World::start().await;
    let mut good = world.connect().await;
    good.write_all(&preface(65_535)).await.unwrap();
    for (number, (name, flood)) in floods.into_iter().enumerate() {
        let mut attacker = world.connect().await;
        let requests = [preface(65_535), request(1, "POST", "/wait", false)].concat();
        attacker.write_all(&requests).await.unwrap();
        eventually("the request", || world.requests_in_flight() == 1).await;
        download(&mut attacker, 3, "/", &[]).await;
        let start = Instant::now();
        // Fails once the connection has ended.
        let _ = attacker.write_all(&flood.repeat(5_000)).await;
        let _ = attacker.flush().await;
        eventually("the end of the request", || world.requests_in_flight() == 0).await;
        assert_eq!(end(&mut attacker).await, Some(ENHANCE_YOUR_CALM), "{name}");
        drop(attacker);
        eventually("the end of the connection", || world.observed.open() == 1).await;
        assert!(start.elapsed() < Duration::from_secs(5), "{name}: {:?}", start.elapsed());
        assert_eq!(world.closed(), vec![TimeoutKind::Flood; number + 1], "{name}");
        assert_eq!(download(&mut good, 2 * number as u32 + 1, "/", &[]).await, 6, "{name}");
    }
}

#[tokio::test]
async fn flood_on_an_unread_connection_ends_it_after_a_second() {
    let world = World::start().await;
    let mut attacker = world.connect().await;
    let windows = window_update(0, 0x4000_0000);
    attacker.write_all(&[preface(0x4000_0000), windows, get(1, "/down/50000000")].concat()).await.unwrap();
    attacker.flush().await.unwrap();
    // The response fills the socket before the flood.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    let _ = in_time("the flood", attacker.write_all(&window_update(0, 1).repeat(2_000_000))).await;
    eventually("the end of the connection", || world.observed.open() == 0).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(world.closed(), [TimeoutKind::Flood]);
}

#[tokio::test]
async fn client_that_pings_and_updates_windows_for_each_frame_is_not_a_flood() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.write_all(&[preface(65_535), window_update(0, 10_000_000)].concat()).await.unwrap();
    let reaction = [frame(PING, 0, 0, &[7; 8]), window_update(0, 16_384), window_update(1, 16_384)].concat();
    assert_eq!(download(&mut client, 1, "/down/50000000", &reaction).await, 50_000_000);
    // Small messages.
    let reaction = [frame(PING, 0, 0, &[7; 8]), window_update(0, 6), window_update(1, 6)].concat();
    for number in 1..3_000 {
        assert_eq!(download(&mut client, 2 * number + 1, "/", &reaction).await, 6);
        client.write_all(&reaction).await.unwrap();
    }
}

#[tokio::test]
async fn header_block_that_does_not_end_closes_its_connection() {
    let block = [0x82, 0x87, 0x84];
    let partial = frame(HEADERS, END_HEADERS | END_STREAM, 5, &block);
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]);
    for (name, bytes) in [
        ("HEADERS without END_HEADERS", frame(HEADERS, END_STREAM, 5, &block)),
        ("part of HEADERS", partial[..11].to_vec()),
        ("part of a frame's head", partial[..3].to_vec()),
        ("part of SETTINGS", settings[..12].to_vec()),
    ] {
        let world = World::start().await;
        let mut attacker = world.connect().await;
        attacker.write_all(&[preface(65_535), request(1, "GET", "/wait", true)].concat()).await.unwrap();
        eventually("the request", || world.requests_in_flight() == 1).await;
        attacker.write_all(&bytes).await.unwrap();
        attacker.flush().await.unwrap();
        let start = Instant::now();
        end(&mut attacker).await;
        let elapsed = start.elapsed();
        assert!(elapsed >= HEAD_TIMEOUT - Duration::from_millis(50), "{name}: {elapsed:?}");
        assert!(elapsed < Duration::from_secs(5), "{name}: {elapsed:?}");
        eventually("the end of the request", || world.requests_in_flight() == 0).await;
        assert_eq!(world.closed(), [TimeoutKind::Head], "{name}");
    }
}
