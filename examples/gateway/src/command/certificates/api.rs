//! The management API, asked.

use std::{path::Path, time::Duration};

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
use tower_mtls::{ClientErrorKind, IdentityLayer, MtlsClient, UpstreamTrust, outbound::IdentityService};
use zeroize::Zeroizing;

use crate::file::decode;

/// There is one service; what it is called makes no difference.
const SERVICE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/gateway/providers/\
                       Microsoft.ApiManagement/service/gateway";

const VERSION: &str = "2024-05-01";

/// The largest answer, and how long one may take.
const LARGEST: usize = 16 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(60);

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A gateway, and what it takes to ask it.
pub(super) struct Api {
    client: IdentityService<MtlsClient<Full<Bytes>>>,
    authority: String,
    service: String,
    authorization: Option<HeaderValue>,
}

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The gateway could not be asked.
    Unasked(String),
    /// The gateway said no.
    Refused(String),
}

/// What the gateway said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) etag: Option<String>,
    /// JSON, or null.
    pub(super) body: Value,
}

impl Api {
    pub(super) fn new(url: &Uri, token_file: Option<&Path>, ca: Option<&Path>) -> Result<Self, Failure> {
        let authority = url.authority().filter(|_| url.scheme() == Some(&Scheme::HTTPS));
        let authority =
            authority.ok_or_else(|| Failure::Unasked(format!("--url {url}: write https://HOST:PORT")))?;
        let service = match url.path().trim_end_matches('/') {
            "" => SERVICE.to_owned(),
            path => path.to_owned(),
        };
        let authorization = token_file.map(authorization).transpose().map_err(Failure::Unasked)?;
        let trust = match ca {
            None => UpstreamTrust::system().map_err(|error| error.to_string()),
            Some(file) => {
                let unusable = |error: String| format!("--ca {}: {error}", file.display());
                let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()));
                pem.and_then(|pem| UpstreamTrust::from_pem(pem).map_err(|error| unusable(error.to_string())))
            }
        };
        let layer = IdentityLayer::anonymous().with_trust(trust.map_err(Failure::Unasked)?);
        let client = layer.layer(MtlsClient::builder().build());
        Ok(Self { client, authority: authority.to_string(), service, authorization })
    }

    /// Asks for a certificate, or for all of them.
    pub(super) async fn ask(
        &self,
        method: Method,
        id: Option<&str>,
        query: &[(&str, &str)],
        if_match: Option<&str>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Answer, Failure> {
        let unasked = |problem: String| Failure::Unasked(format!("https://{}: {problem}", self.authority));
        let id = id.map(|id| format!("/{}", utf8_percent_encode(id, SEGMENT))).unwrap_or_default();
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let query = pairs.append_pair("api-version", VERSION).extend_pairs(query).finish();
        let path = format!("{}/certificates{id}?{query}", self.service);
        let uri = Uri::builder().scheme("https").authority(self.authority.as_str());
        let uri =
            uri.path_and_query(path.parse::<PathAndQuery>().map_err(|error| unasked(error.to_string()))?);
        let mut request =
            Request::builder().method(method).uri(uri.build().map_err(|error| unasked(error.to_string()))?);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(if_match) = if_match {
            // A shell takes the quotes away.
            let is_bare = if_match != "*" && !if_match.contains('"');
            let tag = if is_bare { format!("\"{if_match}\"") } else { if_match.to_owned() };
            request = request.header(header::IF_MATCH, tag);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from_owner(Wiped(body))).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|error| unasked(error.to_string()))?;
        let asked = time::timeout(LONGEST, self.exchange(request)).await;
        asked.unwrap_or_else(|_| Err("no answer in time".into())).map_err(unasked)?.checked()
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = self.client.clone().oneshot(request).await.map_err(|error| match error.kind() {
            ClientErrorKind::UpstreamNotTrusted => {
                format!(
                    "the listener's certificate is not trusted (name its CA with --ca): {}",
                    causes(&error)
                )
            }
            ClientErrorKind::Unreachable => {
                format!(
                    "no management listener can be reached there (name it with --url): {}",
                    causes(&error)
                )
            }
            _ => causes(&error),
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?.to_bytes();
        let etag = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer { status: head.status, etag: etag.map(str::to_owned), body })
    }
}

impl Answer {
    /// Itself, if it is not a refusal.
    fn checked(self) -> Result<Self, Failure> {
        if self.status.is_success() {
            return Ok(self);
        }
        let told = self.body["error"]["message"].as_str().map(|told| told.trim_end().replace("\r\n", "\n  "));
        let told = told.unwrap_or_else(|| match self.status {
            StatusCode::UNAUTHORIZED => {
                "the token is missing or wrong; name its file with --token-file".into()
            }
            StatusCode::FORBIDDEN => "the gateway asks for a client certificate here".into(),
            status => format!("the gateway answered {status}; is this its management listener?"),
        });
        let remedy = match self.body["error"]["code"].as_str() {
            Some("PreconditionFailed") if told.contains("exists") => " (--replace, or --if-match ETAG)",
            Some("ValidationError") if told.contains("password is missing") => " (--password-file FILE)",
            Some("Unauthorized") => " (--token-file FILE)",
            _ => "",
        };
        Err(Failure::Refused(format!("{told}{remedy}")))
    }
}

/// The header with the token of this file.
fn authorization(file: &Path) -> Result<HeaderValue, String> {
    let unusable = |problem: String| format!("--token-file {}: {problem}", file.display());
    let contents = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let contents = Zeroizing::new(decode(contents));
    let token = std::str::from_utf8(&contents).map_err(|error| unusable(error.to_string()))?;
    let field = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut value = HeaderValue::from_str(&field).map_err(|_| unusable("it holds no token".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Octets that are wiped when the last holder lets go of them.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// An error with what is behind it.
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
