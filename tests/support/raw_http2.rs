//! HTTP/2 frame by frame, for callers that violate the protocol or stall.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::in_time;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A received frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The connection preface, with this initial window of each stream.
pub fn preface(window: u32) -> Vec<u8> {
    let settings = [&[0, 4], &window.to_be_bytes()[..]].concat();
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &settings)].concat()
}

/// A request with the mandatory fields only.
pub fn request(stream: u32, method: &str, path: &str, ends: bool) -> Vec<u8> {
    // Literals without indexing (RFC 7541, section 6.2.2), with names of the static table.
    let literal =
        |name: u8, value: &str| [&[name, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let block = [literal(2, method), vec![0x87], literal(4, path), literal(1, "localhost")].concat();
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &block)
}

/// A complete request without a message that claims to be gRPC.
pub fn grpc(stream: u32, path: &str) -> Vec<u8> {
    grpc_request(stream, path, true)
}

/// A request that claims to be gRPC. `ends`: without a message.
pub fn grpc_request(stream: u32, path: &str, ends: bool) -> Vec<u8> {
    let request = request(stream, "POST", path, ends);
    let content_type = [&[0x0f, 0x10, 16], &b"application/grpc"[..]].concat();
    frame(HEADERS, request[4], stream, &[&request[9..], &content_type].concat())
}

/// `GET` of this path.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    request(stream, "GET", path, true)
}

/// Increases the window of a stream, or of the connection (0).
pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// Reads the next frame; None: the connection has ended.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes(id), payload })
}

/// Reads up to and including the first frame of this kind.
pub async fn read_until(stream: &mut TlsStream<TcpStream>, kind: u8) -> Frame {
    loop {
        let frame = in_time("a frame", read(stream)).await.expect("the connection has ended");
        if frame.kind == kind {
            return frame;
        }
    }
}

/// Acknowledges settings and pings, but updates no window, until the connection ends; returns the duration.
pub async fn end(stream: &mut TlsStream<TcpStream>) -> Duration {
    let start = Instant::now();
    while let Some(received) = in_time("a frame", read(stream)).await {
        let answer = match (received.kind, received.flags & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &received.payload),
            _ => continue,
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.flush().await;
    }
    start.elapsed()
}
