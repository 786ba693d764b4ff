//! Reading of request bodies, with limits on size and time. Bodies are wiped from memory afterwards, except for the
//! buffer in which JSON escapes are decoded.

use std::time::Duration;

use axum::body::Body;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::StatusCode;
use http_body_util::BodyExt;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};
use tokio::time;
use zeroize::Zeroizing;

use super::ApiError;
use crate::{file, store::CertificateUpload};

/// Maximum size of a body in bytes: a .pfx file of 1 MiB, the maximum, in base64 and JSON.
const MAX_SIZE: usize = 1536 * 1024;

/// Maximum number of bytes that are read and discarded of a larger body: many clients send it completely before they
/// read the response.
const MAX_DISCARDED: usize = 8 * MAX_SIZE;

/// Maximum time for receiving a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Base64 with optional padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Body of a certificate upload. Other properties are ignored, as in Azure.
#[derive(Deserialize)]
struct CertificateBody {
    properties: Option<CertificateProperties>,
}

#[derive(Deserialize)]
struct CertificateProperties {
    data: Option<Secret>,
    password: Option<Secret>,
    #[serde(rename = "keyVault")]
    key_vault: Option<IgnoredAny>,
}

struct Secret(Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Reads the properties of a resource. Names are case-insensitive, as in Azure.
///
/// A null property is ignored. In a partial update (`is_part`) it is rejected, since it could be meant to remove the
/// value.
pub(super) fn properties<T: DeserializeOwned>(
    body: &[u8],
    known: &PropertyNames,
    is_part: bool,
) -> Result<T, ApiError> {
    #[derive(Deserialize)]
    struct Resource {
        properties: Option<Map<String, Value>>,
    }
    let invalid = |error: serde_json::Error| {
        ApiError::validation("body", format!("The body is not valid JSON for this resource: {error}."))
    };
    let read: Resource = serde_json::from_slice(body).map_err(invalid)?;
    let properties =
        read.properties.ok_or_else(|| ApiError::validation("properties", "properties is missing."))?;
    let mut details = Vec::new();
    if is_part {
        refuse_nulls(&properties, "", &mut details);
    }
    let properties = known.canonical(properties, "", &mut details);
    if !details.is_empty() {
        return Err(ApiError::invalid(details));
    }
    serde_json::from_value(properties.into()).map_err(invalid)
}

/// Reports each null property, including nested ones.
fn refuse_nulls(properties: &Map<String, Value>, within: &str, details: &mut Vec<(&'static str, String)>) {
    for (name, value) in properties {
        match value {
            Value::Null => {
                let problem = format!(
                    "The property {within}{name} is null, which does not remove it: send it empty, or leave it out."
                );
                details.push(("properties", problem));
            }
            Value::Object(inside) => refuse_nulls(inside, &format!("{within}{name}."), details),
            _ => {}
        }
    }
}

/// Reports each text that is longer than its maximum, in characters.
pub(super) fn check_lengths(
    texts: &[(&'static str, &Option<String>, usize)],
    details: &mut Vec<(&'static str, String)>,
) {
    for (name, text, max) in texts {
        if text.as_ref().is_some_and(|text| text.chars().count() > *max) {
            details.push((name, format!("{name} is longer than {max} characters.")));
        }
    }
}

/// Property names of a resource; nested names are separated by `.`.
pub(super) struct PropertyNames {
    pub(super) known: &'static [&'static str],
    /// Properties that clients send and that have no effect.
    pub(super) ignored: &'static [&'static str],
}

impl PropertyNames {
    /// Converts the names to their canonical case. An unknown property is rejected, since it could be a restriction that
    /// would not be enforced.
    fn canonical(
        &self,
        properties: Map<String, Value>,
        within: &str,
        details: &mut Vec<(&'static str, String)>,
    ) -> Map<String, Value> {
        let mut found = Map::new();
        for (name, value) in properties {
            let name = format!("{within}{name}");
            if value.is_null() || self.ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let Some(known) = self.known.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
                let problem = format!("The property {name} is not supported.");
                details.push(("properties", problem));
                continue;
            };
            let inner = format!("{known}.");
            let value = match value {
                Value::Object(inside) if self.known.iter().any(|known| known.starts_with(&inner)) => {
                    self.canonical(inside, &inner, details).into()
                }
                other => other,
            };
            let own = known.strip_prefix(within).unwrap_or(known);
            if found.insert(own.to_owned(), value).is_some() {
                details.push(("properties", format!("The property {known} occurs twice.")));
            }
        }
        found
    }
}

/// Receives a body within [`READ_TIMEOUT`].
pub(super) async fn receive(body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let read = time::timeout(READ_TIMEOUT, read(body)).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeout",
            "The body was not received in time.",
        ))
    });
    read.map(|mut body| Zeroizing::new(file::decode(std::mem::take(&mut *body))))
}

/// Reads the body into one buffer that is wiped; a growing buffer would leave copies behind.
async fn read(mut body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let too_large = || {
        let message = format!("The body is larger than {MAX_SIZE} bytes.");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    };
    let announced = http_body::Body::size_hint(&body).upper();
    let capacity =
        announced.map_or(MAX_SIZE, |size| usize::try_from(size).unwrap_or(usize::MAX).min(MAX_SIZE));
    let mut whole = Zeroizing::new(Vec::with_capacity(capacity));
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::validation("body", "The body is incomplete."))?;
        let Some(data) = frame.data_ref() else { continue };
        received = received.saturating_add(data.len());
        if received <= MAX_SIZE {
            whole.extend_from_slice(data);
        } else if received > MAX_DISCARDED {
            return Err(too_large());
        }
    }
    if received > MAX_SIZE { Err(too_large()) } else { Ok(whole) }
}

/// Reads a certificate upload.
pub(super) fn upload(body: &[u8]) -> Result<CertificateUpload, ApiError> {
    // The parser's message would repeat the secret.
    let parsed: CertificateBody = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let form = "{\"properties\": {\"data\": \"BASE64\", \"password\": \"...\"}}";
        let message = format!("The body is not JSON like {form}: line {line}, column {column}.");
        ApiError::validation("body", message)
    })?;
    let Some(CertificateProperties { data, password, key_vault }) = parsed.properties else {
        return Err(ApiError::validation("properties", "properties is missing."));
    };
    let Some(Secret(data)) = data.filter(|data| !data.0.is_empty()) else {
        let message = match key_vault {
            Some(_) => "Key Vault is not supported: send the certificate in properties.data, in base64.",
            None => "properties.data is missing: send the .pfx file or the certificate, in base64.",
        };
        return Err(ApiError::validation("data", message));
    };
    let text = data.trim_start_matches('\u{feff}').trim_start();
    let data = if text.starts_with("-----BEGIN ") { unencoded(text) } else { decode(&data)? };
    let password = password.map_or_else(Zeroizing::default, |password| password.0);
    Ok(CertificateUpload { data, password })
}

/// PEM is not encoded again.
fn unencoded(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// Decodes base64, with or without line breaks.
fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    bare.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut data = Zeroizing::new(Vec::with_capacity(bare.len()));
    let decoded = BASE64.decode_vec(&*bare, &mut data);
    decoded.map_err(|_| ApiError::validation("data", "properties.data is not base64."))?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_base64_or_pem() {
        for (data, expected) in [
            ("aGVsbG8=", "hello"),
            ("aGVsbG8", "hello"),
            ("aGVs\\r\\nbG8=\\n", "hello"),
            ("-----BEGIN CERTIFICATE-----\\nx", "-----BEGIN CERTIFICATE-----\nx"),
            ("\u{feff}-----BEGIN CERTIFICATE-----\\nx", "-----BEGIN CERTIFICATE-----\nx"),
        ] {
            let body = format!("{{\"properties\":{{\"data\":\"{data}\",\"password\":null,\"other\":1}}}}");
            let upload = upload(body.as_bytes()).ok().unwrap();
            assert_eq!((&**upload.data, &**upload.password), (expected.as_bytes(), ""), "{data}");
        }
    }

    #[tokio::test]
    async fn body_can_begin_with_a_byte_order_mark() {
        let text = "\u{feff}{\"properties\":{\"data\":\"aGVsbG8=\"}}";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in [text.as_bytes().to_vec(), utf16] {
            let upload = upload(&receive(Body::from(body)).await.ok().unwrap()).ok().unwrap();
            assert_eq!(&**upload.data, b"hello");
        }
    }

    #[tokio::test]
    async fn errors_do_not_repeat_the_body() {
        for (body, part) in [
            ("", "not JSON like"),
            ("{\"properties\":{\"data\":[\"hunter2\"]}}", "not JSON like"),
            ("{\"properties\":{\"password\":\"hunter2\"}}", "data is missing"),
            ("{\"properties\":{\"data\":\"\",\"password\":\"hunter2\"}}", "data is missing"),
            ("{\"properties\":{\"data\":\"hunter2!\"}}", "not base64"),
            (
                "{\"properties\":{\"keyVault\":{\"secretIdentifier\":\"hunter2\"}}}",
                "Key Vault is not supported",
            ),
            ("{}", "properties is missing"),
        ] {
            let problem = upload(body.as_bytes()).err().unwrap();
            let shown = format!("{problem:?}");
            assert!(shown.contains(part) && !shown.contains("hunter2"), "{body}: {shown}");
        }
        let large = receive(Body::from(vec![b' '; MAX_SIZE + 1])).await.err().unwrap();
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
