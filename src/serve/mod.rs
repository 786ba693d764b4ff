//! An HTTP server for callers that can be hostile: HTTP/1.1 and HTTP/2 on an [`MtlsListener`](crate::MtlsListener), with a bound for each
//! resource that a connection can occupy. The service itself bounds the size of bodies and its own time;
//! [`Serve::with_buffer_budget`] bounds the unread response bytes of all connections together.
//!
//! Built on [`acceptor`](crate::acceptor), whose listener limits connections and handshakes, and hyper. In one line:
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # async fn run(app: axum::Router, chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_mtls::{MtlsListener, ServerTls, serve};
//!
//! let tls = ServerTls::from_pem(chain, key)?;
//! serve(MtlsListener::bind("127.0.0.1:8443", tls).await?, app).await;
//! # Ok(())
//! # }
//! ```
//!
//! Each request carries the certificate that its caller presented, for
//! [`RequireCertificateLayer`](crate::RequireCertificateLayer) and [`remote_addr`](crate::remote_addr). The service of
//! tonic is its `Routes`, the service of plain hyper any `tower::Service`.
//!
//! A response with `Connection: close` ends its connection: on HTTP/2, where the field does not exist, by GOAWAY, once the
//! requests in flight have ended.
//!
//! An admitted request is judged again every second while it is in flight, and cut once it would be rejected: its
//! certificate has expired, or the policy has changed. See
//! [`allow_revoked_to_finish`](crate::RequireCertificateLayer::allow_revoked_to_finish).
//!
//! [`HttpLimits`] contains the limits. Requests over HTTP/1.1 are validated strictly before hyper parses them, so that no
//! other parser before or after this server can frame them differently.

mod activity;
mod admission;
mod buffer_budget;
mod caller_body;
mod connection;
mod delivery;
mod early_response;
mod extensions;
mod flush;
mod head_limits;
mod http2_frames;
mod http_connection;
mod input_state;
mod limits;
mod observer;
mod progress_clock;
mod recheck;
mod served_body;
mod server;
mod settings;
mod stream_limits;
mod stream_task;
mod strict_http1;
mod upload;
mod watched_io;

pub use self::{
    buffer_budget::BufferBudget,
    caller_body::CallerBody,
    extensions::ReleasedOnClose,
    head_limits::{HeadLimits, HeadRejection},
    limits::HttpLimits,
    observer::{ConnectionObserver, TimeoutKind},
    progress_clock::{Lapse, ProgressClock, ProgressLimits},
    recheck::recheck,
    server::{Serve, serve},
    stream_limits::StreamLimits,
    strict_http1::is_malformed_body,
    upload::{Upload, UploadError},
};
