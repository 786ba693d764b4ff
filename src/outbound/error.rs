use std::{error::Error as StdError, fmt, io, sync::Arc};

use rustls::AlertDescription;

use super::{cause::find, connection_stats::ConnectionStats};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Error of a request to an upstream.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_mtls::{MtlsClient, outbound::{ClientError, ClientErrorKind}};
///
/// fn status(error: &ClientError) -> u16 {
///     match error.kind() {
///         ClientErrorKind::ConnectTimeout | ClientErrorKind::TooManyConnections => 503,
///         _ => 502,
///     }
/// }
///
/// let client: MtlsClient<String> = MtlsClient::builder().build();
/// let error = client.oneshot(Request::get("https://orders.internal").body(String::new())?).await.unwrap_err();
/// assert!(status(&error) == 502 && !error.was_sent());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientError {
    kind: ClientErrorKind,
    stage: Stage,
    source: Option<BoxError>,
}

/// Progress of a request when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// None of it was sent.
    Unsent,
    /// It was partly sent, and the connection ended before any byte of a response.
    Unanswered,
    /// It was partly sent.
    Begun,
}

/// The kinds of [`ClientError`].
///
/// ```
/// use tower_mtls::outbound::ClientErrorKind;
///
/// assert_eq!(ClientErrorKind::Unreachable.as_str(), "unreachable");
/// assert_eq!(ClientErrorKind::NoIdentity.to_string(), "no_identity");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// No [`IdentityLayer`](super::IdentityLayer) chose an identity or anonymity. Nothing was sent.
    NoIdentity,
    /// The identity that was referred to does not exist (yet), or nothing in the request chose one. Nothing was sent.
    UnknownIdentity,
    /// An identity was chosen for an `http` URI, which cannot present it. Nothing was sent.
    PlaintextIdentity,
    /// The request's URI is not absolute, or its host is not a name or address. Nothing was sent.
    InvalidUri,
    /// The client's TLS settings cannot be used. Nothing was sent.
    Settings,
    /// The upstream cannot be reached. Nothing was sent.
    Unreachable,
    /// The connection was not established in time. Nothing was sent.
    ConnectTimeout,
    /// The connection limit was reached, and no connection became free in time. Nothing was sent.
    TooManyConnections,
    /// The upstream's certificate does not satisfy the [`UpstreamTrust`](super::UpstreamTrust). Nothing was sent.
    UpstreamNotTrusted,
    /// The upstream rejected the client certificate, or requires one. On TLS 1.3 it may report so only after the request
    /// was sent; the request is not sent again.
    IdentityRefused,
    /// The TLS handshake failed for another reason.
    Tls,
    /// The connection failed during the request; see [`ClientError::was_sent`].
    Connection,
    /// The upstream ended its response before it was complete: an error of the response body.
    Truncated,
}

impl ClientErrorKind {
    /// A stable name for logs, metrics and problem bodies, such as `unreachable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoIdentity => "no_identity",
            Self::UnknownIdentity => "unknown_identity",
            Self::PlaintextIdentity => "plaintext_identity",
            Self::InvalidUri => "invalid_uri",
            Self::Settings => "settings",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::TooManyConnections => "too_many_connections",
            Self::UpstreamNotTrusted => "back_end_not_trusted",
            Self::IdentityRefused => "identity_refused",
            Self::Tls => "tls",
            Self::Connection => "connection",
            Self::Truncated => "truncated",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::NoIdentity => "no identity was chosen; add an IdentityLayer, or IdentityLayer::anonymous()",
            Self::UnknownIdentity => "the identity that the route or the request refers to does not exist",
            Self::PlaintextIdentity => "an identity cannot be presented over http; use https",
            Self::InvalidUri => "the request's URI is not absolute, or its host is not a name or address",
            Self::Settings => "the client's TLS settings cannot be used",
            Self::Unreachable => "the upstream cannot be reached",
            Self::ConnectTimeout => "the connection to the upstream was not established in time",
            Self::TooManyConnections => "the limit of connections to the upstream is reached",
            Self::UpstreamNotTrusted => "the upstream's certificate is not trusted",
            Self::IdentityRefused => "the upstream rejected the client certificate, or requires one",
            Self::Tls => "the TLS handshake with the upstream failed",
            Self::Connection => "the connection to the upstream failed",
            Self::Truncated => "the upstream ended its response before it was complete",
        }
    }
}

impl fmt::Display for ClientErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ClientError {
    /// Creates the error of a request of which nothing was sent.
    pub(super) fn unsent(kind: ClientErrorKind) -> Self {
        Self { kind, stage: Stage::Unsent, source: None }
    }

    /// The kind of error.
    pub fn kind(&self) -> ClientErrorKind {
        self.kind
    }

    /// Returns true if any of the request was sent. If not, it can be sent again, whatever its method.
    pub fn was_sent(&self) -> bool {
        self.stage != Stage::Unsent
    }

    /// Returns true if a request with an idempotent method can be sent again: its connection ended before any byte of a
    /// response arrived, and not by a TLS alert.
    pub fn may_repeat(&self) -> bool {
        self.stage != Stage::Begun && self.kind == ClientErrorKind::Connection
    }

    /// Creates the error of a connection that could not be established.
    pub(super) fn connecting(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let kind = match find::<rustls::Error>(&*source) {
            Some(error) => kind_of(error),
            None if is_timeout(&*source) => ClientErrorKind::ConnectTimeout,
            None => ClientErrorKind::Unreachable,
        };
        Self { kind, stage: Stage::Unsent, source: Some(source) }
    }

    /// Creates the error of one of the requests that shared a connection attempt.
    pub(super) fn shared(error: Arc<Self>) -> Self {
        Self { kind: error.kind, stage: error.stage, source: Some(error.into()) }
    }

    /// Creates the error of a connection that an alert ended before it carried a request.
    pub(super) fn refused(stats: &ConnectionStats) -> Option<Self> {
        let alert = rustls::Error::AlertReceived(stats.alert()?);
        Some(Self { kind: kind_of(&alert), stage: Stage::Unsent, source: Some(alert.into()) })
    }

    /// Creates the error of a failed HTTP handshake.
    pub(super) fn opening(error: hyper::Error, stats: &ConnectionStats) -> Self {
        Self::sending(error, stats, false).before_the_request()
    }

    /// Marks the request as not sent.
    pub(super) fn before_the_request(mut self) -> Self {
        self.stage = Stage::Unsent;
        self
    }

    /// Creates the error of a response with ambiguous framing.
    pub(super) fn framed_twice() -> Self {
        let source = "the framing of the response is ambiguous or unsupported";
        Self { kind: ClientErrorKind::Connection, stage: Stage::Begun, source: Some(source.into()) }
    }

    /// Creates the error of a response body.
    pub(super) fn receiving(error: hyper::Error) -> Self {
        let kind =
            if is_from_upstream(&error) { ClientErrorKind::Truncated } else { ClientErrorKind::Connection };
        Self { kind, stage: Stage::Begun, source: Some(error.into()) }
    }

    /// Creates the error of a response that ended early without an error.
    pub(super) fn short() -> Self {
        let source = "the stream was reset before the end of the response";
        Self { kind: ClientErrorKind::Truncated, stage: Stage::Begun, source: Some(source.into()) }
    }

    /// Returns the innermost cause, for the log.
    pub(super) fn root_cause(&self) -> String {
        let causes =
            std::iter::successors(Some(self as &(dyn StdError + 'static)), |error| (*error).source());
        let text = causes.last().map_or_else(String::new, ToString::to_string);
        match find::<io::Error>(self) {
            Some(error) if error.kind() == io::ErrorKind::UnexpectedEof && text.contains("close_notify") => {
                "the upstream closed the connection without TLS close_notify; if it never sends one, allow that for this \
                 upstream (IdentityLayer::allow_missing_close_notify; upstream_close = \"lenient\" in the route)"
                    .to_owned()
            }
            _ => text,
        }
    }

    /// Creates the error of a request that was being sent. `is_silent`: no byte of a response arrived.
    pub(super) fn sending(error: hyper::Error, stats: &ConnectionStats, is_silent: bool) -> Self {
        let kind = match find::<rustls::Error>(&error) {
            Some(rustls) => kind_of(rustls),
            // HTTP/2 reports only that the connection ended.
            None => match stats.alert() {
                Some(alert) => kind_of(&rustls::Error::AlertReceived(alert)),
                None => ClientErrorKind::Connection,
            },
        };
        let stage = if is_silent && is_dead(&error) { Stage::Unanswered } else { Stage::Begun };
        Self { kind, stage, source: Some(error.into()) }
    }
}

/// Returns true if the upstream ended the connection or the stream, or violated its framing.
fn is_from_upstream(error: &hyper::Error) -> bool {
    match find::<h2::Error>(error) {
        Some(stream) => stream.is_io() || stream.is_remote() || stream.is_library(),
        None => find::<io::Error>(error).is_some(),
    }
}

/// Returns true if the connection ended, or its HTTP/2 stream was not processed (RFC 9113, section 8.7).
fn is_dead(error: &hyper::Error) -> bool {
    // Such as an error of the request body.
    if error.is_user() {
        return false;
    }
    if let Some(stream) = find::<h2::Error>(error) {
        return stream.is_io()
            || (stream.is_go_away() && stream.is_remote())
            || stream.reason() == Some(h2::Reason::REFUSED_STREAM);
    }
    error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || find::<io::Error>(error).is_some()
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.source.as_deref() {
            // The shared error has the same message.
            Some(source) => match source.downcast_ref::<Arc<Self>>() {
                Some(shared) => shared.source(),
                None => Some(source as _),
            },
            None => None,
        }
    }
}

fn kind_of(error: &rustls::Error) -> ClientErrorKind {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            ClientErrorKind::UpstreamNotTrusted
        }
        rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired
            | Alert::NoCertificate,
        ) => ClientErrorKind::IdentityRefused,
        _ => ClientErrorKind::Tls,
    }
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
