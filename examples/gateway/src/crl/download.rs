//! One download: bounded in time and size, over TLS, without redirects.

use std::{error::Error, fmt};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt};
use tower_mtls::{
    MtlsClient,
    outbound::{ClientError, UpstreamBody},
};

use super::Source;

/// Client of all downloads.
pub(super) type Client = MtlsClient<Empty<Bytes>>;

/// Error of a download.
#[derive(Debug)]
pub(super) enum DownloadError {
    Timeout,
    Client(ClientError),
    /// The URL cannot be requested.
    Request(http::Error),
    /// The response is a redirect, which is not followed.
    Redirect(StatusCode),
    Status(StatusCode),
    TooLarge,
    /// The list is invalid, or must not replace the current one.
    Invalid(String),
}

impl DownloadError {
    /// Stable name for the log.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Client(error) => error.kind().as_str(),
            Self::Request(_) => "invalid_uri",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Invalid(_) => "invalid",
        }
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("not complete within crl_timeout"),
            Self::Client(error) => match error.source() {
                Some(cause) => write!(f, "the request to the CRL server failed: {error}: {cause}"),
                None => write!(f, "the request to the CRL server failed: {error}"),
            },
            Self::Request(error) => error.fmt(f),
            Self::Redirect(status) => {
                write!(f, "{status}: redirects are not followed; configure the final URL")
            }
            Self::Status(status) => status.fmt(f),
            Self::TooLarge => f.write_str("larger than crl_max_size"),
            Self::Invalid(problem) => f.write_str(problem),
        }
    }
}

/// Downloads the lists of a source.
pub(super) async fn download(client: Client, source: &Source) -> Result<Vec<u8>, DownloadError> {
    let download = async {
        let request = Request::get(source.url.uri().map_err(DownloadError::Request)?)
            .header(header::ACCEPT, "application/pkix-crl, */*")
            .body(Empty::new())
            .map_err(DownloadError::Request)?;
        let response = source.layer.layer(client).oneshot(request).await.map_err(DownloadError::Client)?;
        read(response, source.max_size).await
    };
    tokio::time::timeout(source.timeout, download).await.unwrap_or(Err(DownloadError::Timeout))
}

/// Reads a response of at most `max_size` bytes.
async fn read(response: Response<UpstreamBody>, max_size: usize) -> Result<Vec<u8>, DownloadError> {
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(DownloadError::Redirect(status)),
        status => return Err(DownloadError::Status(status)),
    }
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
    if length > max_size {
        return Err(DownloadError::TooLarge);
    }
    let mut body = response.into_body();
    let mut contents = Vec::with_capacity(length);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(DownloadError::Client)?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max_size - contents.len() {
            return Err(DownloadError::TooLarge);
        }
        contents.extend_from_slice(&data);
    }
    Ok(contents)
}
