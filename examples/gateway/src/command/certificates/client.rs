//! Client of the management API.

use std::{fs::File, path::Path, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri, header,
    uri::{PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time;
use tower::{Layer, ServiceExt};
use tower_mtls::{
    IdentityLayer, MtlsClient, UpstreamTrust,
    outbound::{ClientErrorKind, IdentityService},
};
use zeroize::Zeroizing;

use crate::file::{decode, read_all};

/// Path of the service; the gateway ignores the names in it.
const SERVICE_PATH: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/gateway/providers/\
                       Microsoft.ApiManagement/service/gateway";

const VERSION: &str = "2024-05-01";

/// Maximum size of a response in bytes.
const MAX_RESPONSE_SIZE: usize = 16 * 1024 * 1024;

/// Maximum size of a token file in bytes.
const MAX_TOKEN_FILE_SIZE: usize = 64 * 1024;
/// Maximum time of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client with its credentials.
pub(super) struct ManagementClient {
    client: IdentityService<MtlsClient<Full<Bytes>>>,
    authority: String,
    service_path: String,
    authorization: Option<HeaderValue>,
}

#[derive(Debug)]
pub(super) enum CommandError {
    /// The request was not sent, or failed.
    Failed(String),
    /// The gateway rejected the request.
    Rejected(String),
}

pub(super) struct ApiResponse {
    pub(super) status: StatusCode,
    pub(super) etag: Option<String>,
    /// JSON, or null.
    pub(super) body: Value,
}

impl ManagementClient {
    pub(super) fn new(url: &Uri, token_file: Option<&Path>, ca: Option<&Path>) -> Result<Self, CommandError> {
        let authority = url.authority().filter(|_| url.scheme() == Some(&Scheme::HTTPS));
        let authority = authority.ok_or_else(|| {
            CommandError::Failed(format!("--url {url}: not an https URL; use https://HOST:PORT"))
        })?;
        let service_path = match url.path().trim_end_matches('/') {
            "" => SERVICE_PATH.to_owned(),
            path => path.to_owned(),
        };
        let authorization = token_file.map(authorization).transpose().map_err(CommandError::Failed)?;
        let trust = match ca {
            None => UpstreamTrust::system().map_err(|error| error.to_string()),
            Some(file) => {
                let unusable = |error: String| format!("--ca {}: {error}", file.display());
                let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()));
                pem.and_then(|pem| UpstreamTrust::from_pem(pem).map_err(|error| unusable(error.to_string())))
            }
        };
        let layer = IdentityLayer::anonymous().with_trust(trust.map_err(CommandError::Failed)?);
        let client = layer.layer(MtlsClient::builder().build());
        Ok(Self { client, authority: authority.to_string(), service_path, authorization })
    }

    /// Sends a request for a certificate, or for the list of all.
    pub(super) async fn send(
        &self,
        method: Method,
        id: Option<&str>,
        query: &[(&str, &str)],
        if_match: Option<&str>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<ApiResponse, CommandError> {
        let failed = |problem: String| CommandError::Failed(format!("https://{}: {problem}", self.authority));
        let id = id.map(|id| format!("/{}", utf8_percent_encode(id, SEGMENT))).unwrap_or_default();
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let query = pairs.append_pair("api-version", VERSION).extend_pairs(query).finish();
        let path = format!("{}/certificates{id}?{query}", self.service_path);
        let uri = Uri::builder().scheme("https").authority(self.authority.as_str());
        let uri =
            uri.path_and_query(path.parse::<PathAndQuery>().map_err(|error| failed(error.to_string()))?);
        let mut request =
            Request::builder().method(method).uri(uri.build().map_err(|error| failed(error.to_string()))?);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(if_match) = if_match {
            // The shell removes the quotes.
            let is_bare = if_match != "*" && !if_match.contains('"');
            let tag = if is_bare { format!("\"{if_match}\"") } else { if_match.to_owned() };
            request = request.header(header::IF_MATCH, tag);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from_owner(ZeroizingBytes(body))).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let response = time::timeout(REQUEST_TIMEOUT, self.exchange(request)).await;
        response.unwrap_or_else(|_| Err("the request timed out".into())).map_err(failed)?.checked()
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<ApiResponse, String> {
        let response = self.client.clone().oneshot(request).await.map_err(|error| match error.kind() {
            ClientErrorKind::UpstreamNotTrusted => {
                format!("the listener's certificate is not trusted; set its CA with --ca: {}", causes(&error))
            }
            ClientErrorKind::Unreachable => {
                format!(
                    "cannot connect to the management listener; set its URL with --url: {}",
                    causes(&error)
                )
            }
            _ => causes(&error),
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_SIZE)
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let etag = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(ApiResponse { status: head.status, etag: etag.map(str::to_owned), body })
    }
}

impl ApiResponse {
    /// Returns the response if it is a success.
    fn checked(self) -> Result<Self, CommandError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let message =
            self.body["error"]["message"].as_str().map(|text| text.trim_end().replace("\r\n", "\n  "));
        let message = message.unwrap_or_else(|| match self.status {
            StatusCode::UNAUTHORIZED => {
                "the token is missing or invalid; set its file with --token-file".into()
            }
            StatusCode::FORBIDDEN => "the gateway requires a client certificate".into(),
            status => format!("unexpected response {status}; check that --url is the management listener"),
        });
        let remedy = match self.body["error"]["code"].as_str() {
            Some("PreconditionFailed") if message.contains("exists") => " (--replace, or --if-match ETAG)",
            Some("ValidationError") if message.contains("password is missing") => " (--password-file FILE)",
            Some("Unauthorized") => " (--token-file FILE)",
            _ => "",
        };
        Err(CommandError::Rejected(format!("{message}{remedy}")))
    }
}

/// Reads the token file; returns the value of the Authorization header.
fn authorization(file: &Path) -> Result<HeaderValue, String> {
    let unusable = |problem: String| format!("--token-file {}: {problem}", file.display());
    let contents = File::open(file).and_then(|opened| read_all(opened, 4096, MAX_TOKEN_FILE_SIZE));
    let contents = decode(contents.map_err(|error| unusable(error.to_string()))?);
    let token = std::str::from_utf8(&contents).map_err(|error| unusable(error.to_string()))?;
    let field = Zeroizing::new(format!("Bearer {}", token.trim()).into_bytes());
    let field = Bytes::from_owner(ZeroizingBytes(field));
    let mut value =
        HeaderValue::from_maybe_shared(field).map_err(|_| unusable("it does not contain a token".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Bytes that are erased on drop.
struct ZeroizingBytes(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for ZeroizingBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Formats an error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.ends_with(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}
