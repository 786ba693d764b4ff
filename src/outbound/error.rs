use std::{error::Error as StdError, fmt, io};

use rustls::AlertDescription;

use super::{cause::find, stream::alert_of};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request could not be sent to a back end, or its answer not be received.
#[derive(Debug)]
pub struct ClientError {
    kind: ClientErrorKind,
    source: Option<BoxError>,
}

/// The kinds of [`ClientError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// No [`IdentityLayer`](super::IdentityLayer) chose an identity, nor anonymity. Nothing was sent.
    NoIdentity,
    /// An identity was chosen for an `http` URI, which cannot present it. Nothing was sent.
    PlaintextIdentity,
    /// The request's URI is not absolute, or its host is no name. Nothing was sent.
    InvalidUri,
    /// The client's TLS settings cannot be used. Nothing was sent.
    Settings,
    /// The back end cannot be reached. Nothing was sent.
    Unreachable,
    /// The connection was not made in time. Nothing was sent.
    ConnectTimeout,
    /// The back end's certificate does not prove what its trust demands. Nothing was sent.
    BackEndNotTrusted,
    /// The back end refused our certificate, or the lack of one. On TLS 1.3 it may say so only after the
    /// request was sent; it is not sent again.
    IdentityRefused,
    /// The TLS handshake failed for another reason.
    Tls,
    /// The connection failed after the request was begun.
    Connection,
}

impl ClientErrorKind {
    /// A stable name for logs, metrics and problem bodies, such as `unreachable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoIdentity => "no_identity",
            Self::PlaintextIdentity => "plaintext_identity",
            Self::InvalidUri => "invalid_uri",
            Self::Settings => "settings",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::BackEndNotTrusted => "back_end_not_trusted",
            Self::IdentityRefused => "identity_refused",
            Self::Tls => "tls",
            Self::Connection => "connection",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::NoIdentity => "no identity was chosen; add an IdentityLayer, or IdentityLayer::anonymous()",
            Self::PlaintextIdentity => "an identity cannot be presented over http; use https",
            Self::InvalidUri => "the request's URI is not absolute, or its host is no name",
            Self::Settings => "the client's TLS settings cannot be used",
            Self::Unreachable => "the back end cannot be reached",
            Self::ConnectTimeout => "the connection to the back end was not made in time",
            Self::BackEndNotTrusted => "the back end's certificate is not trusted",
            Self::IdentityRefused => "the back end refused our certificate",
            Self::Tls => "the TLS handshake with the back end failed",
            Self::Connection => "the connection to the back end failed",
        }
    }
}

impl fmt::Display for ClientErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ClientError {
    pub(super) fn new(kind: ClientErrorKind, source: Option<BoxError>) -> Self {
        Self { kind, source }
    }

    /// The kind of error.
    pub fn kind(&self) -> ClientErrorKind {
        self.kind
    }

    /// What went wrong while a connection was made.
    pub(super) fn connecting(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let kind = match find::<rustls::Error>(&*source) {
            Some(error) => kind_of(error),
            None if is_timeout(&*source) => ClientErrorKind::ConnectTimeout,
            None => ClientErrorKind::Unreachable,
        };
        Self::new(kind, Some(source))
    }

    /// What went wrong with a request: the connector's own error if it is one.
    pub(super) fn sending(error: hyper_util::client::legacy::Error) -> Self {
        if let Some(connecting) = find::<Self>(&error) {
            return Self::new(connecting.kind, Some(error.into()));
        }
        let kind = match find::<rustls::Error>(&error) {
            Some(rustls) => kind_of(rustls),
            // HTTP/2 passes on only that the connection is gone.
            None => match error.connect_info().and_then(alert_of) {
                Some(alert) => kind_of(&rustls::Error::AlertReceived(alert)),
                None => ClientErrorKind::Connection,
            },
        };
        Self::new(kind, Some(error.into()))
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn kind_of(error: &rustls::Error) -> ClientErrorKind {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            ClientErrorKind::BackEndNotTrusted
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
