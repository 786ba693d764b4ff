//! Connections of hyper. Between its requests an HTTP/1.1 connection releases its buffers.

use std::{
    error::Error,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::Body;
use hyper::{
    body::Incoming,
    rt::bounds::Http2ServerConnExec,
    server::conn::{
        http1::{self, Parts, UpgradeableConnection},
        http2,
    },
    service::HttpService,
};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{HeadLimits, stream_task::StreamExecutor, watched_io::WatchedIo};
use crate::acceptor::MtlsStream;

/// Minimum size of hyper's buffer.
const MIN_BUFFER: usize = 8 * 1024;

/// Number of bytes by which the part of a head that exceeds its limits is completed, at most.
const MAX_COMPLETION: usize = 64;

/// Maximum number of concurrent HTTP/2 streams: the minimum that RFC 9113, section 6.5.2 recommends.
const MAX_STREAMS: u32 = 100;

/// Response buffer of one HTTP/2 stream, in bytes.
const SEND_BUFFER: usize = 32 * 1024;

/// Interval of HTTP/2 keep-alive pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Time within which the caller must acknowledge a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// HTTP/2 receive window of a stream, in bytes.
const STREAM_WINDOW: u32 = 64 * 1024;

/// HTTP/2 receive window of a connection, in bytes. It exceeds a stream's, so that a few bodies that upstreams do not
/// read do not block the others.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

/// Socket of a connection.
pub(super) type CallerIo = TokioIo<WatchedIo<MtlsStream>>;

/// An HTTP connection.
#[expect(clippy::large_enum_variant, reason = "a box costs an allocation for each HTTP/1.1 connection")]
pub(super) enum HttpConnection<S: HttpService<Incoming>> {
    Http1(Http1Connection<S>),
    Http2(Pin<Box<http2::Connection<CallerIo, S, StreamExecutor>>>),
}

/// An HTTP/1.1 connection.
pub(super) struct Http1Connection<S: HttpService<Incoming>> {
    limits: HeadLimits,
    state: Http1State<S>,
}

#[expect(clippy::large_enum_variant, reason = "both have the state of the socket")]
enum Http1State<S: HttpService<Incoming>> {
    /// Waits for the first byte of a request, without buffers.
    Parked(CallerIo, S),
    Open(UpgradeableConnection<CallerIo, S>),
    Ended,
}

impl<S, B> HttpConnection<S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    StreamExecutor: Http2ServerConnExec<S::Future, B>,
{
    /// Serves HTTP/1.1 on the socket.
    pub(super) fn http1(io: CallerIo, service: S, limits: HeadLimits) -> Self {
        Self::Http1(Http1Connection { limits, state: Http1State::Parked(io, service) })
    }

    /// Serves HTTP/2 on the socket.
    pub(super) fn http2(io: CallerIo, service: S, limits: HeadLimits) -> Self {
        let mut builder = http2::Builder::new(StreamExecutor);
        builder
            .timer(TokioTimer::new())
            // Larger ones get an empty 431 of hyper, much larger ones end the connection.
            .max_header_list_size(u32::try_from(limits.max_size.saturating_mul(2)).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Self::Http2(Box::pin(builder.serve_connection(io, service)))
    }

    /// Ready once the connection has ended, or has been upgraded.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Http1(connection) => connection.poll(cx),
            Self::Http2(connection) => connection.as_mut().poll(cx),
        }
    }

    /// Ends the connection after its requests in flight.
    pub(super) fn graceful_shutdown(&mut self) {
        match self {
            Self::Http1(connection) => connection.graceful_shutdown(),
            Self::Http2(connection) => connection.as_mut().graceful_shutdown(),
        }
    }

    /// Releases the buffers of an HTTP/1.1 connection until its next byte.
    ///
    /// Must be called between requests: after the response of the last one is written, and after its last byte has arrived.
    pub(super) fn park(&mut self) {
        if let Self::Http1(connection) = self {
            connection.park();
        }
    }
}

impl<S, B> Http1Connection<S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        if let Http1State::Parked(io, _) = &mut self.state {
            match ready!(io.inner_mut().poll_readable(cx)) {
                Ok(()) => self.open(),
                // The socket is closed.
                Err(_) => self.state = Http1State::Ended,
            }
        }
        match &mut self.state {
            Http1State::Open(connection) => Pin::new(connection).poll(cx),
            Http1State::Parked(..) | Http1State::Ended => Poll::Ready(Ok(())),
        }
    }

    fn open(&mut self) {
        let state = mem::replace(&mut self.state, Http1State::Ended);
        self.state = match state {
            Http1State::Parked(io, service) => {
                let mut builder = http1::Builder::new();
                // `Activity` times heads, and distinguishes a late head from an idle connection.
                builder
                    .header_read_timeout(None)
                    .max_headers(self.limits.max_fields)
                    .max_buf_size((self.limits.max_size.saturating_add(MAX_COMPLETION)).max(MIN_BUFFER));
                Http1State::Open(builder.serve_connection(io, service).with_upgrades())
            }
            state => state,
        };
    }

    fn graceful_shutdown(&mut self) {
        self.open();
        if let Http1State::Open(connection) = &mut self.state {
            Pin::new(connection).graceful_shutdown();
        }
    }

    fn park(&mut self) {
        let state = mem::replace(&mut self.state, Http1State::Ended);
        let (parts, state) = match state {
            Http1State::Open(connection) => (connection.into_parts(), Http1State::Ended),
            state => (None, state),
        };
        self.state = state;
        if let Some(Parts { io, read_buf, service, .. }) = parts {
            self.state = Http1State::Parked(io, service);
            // The rest of a body that hyper has not decoded: it must not be read as a request. Empty lines are ignored.
            if read_buf.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                self.graceful_shutdown();
            }
        }
    }
}
