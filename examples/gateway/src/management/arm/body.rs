//! The body of a change, within limits of size and time, wiped from memory afterwards (but for what a JSON text with
//! escapes is unescaped in).

use std::{fmt, time::Duration};

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

use super::Problem;
use crate::{file, store::Upload};

/// A .pfx file of 1 MiB, which is the largest that is opened, in base64 and JSON.
const LARGEST: usize = 1536 * 1024;

/// What is read of a larger one, and thrown away: many clients read no answer before they have sent all.
const DISCARDED: usize = 8 * LARGEST;

/// How long a body may be on its way.
const LONGEST: Duration = Duration::from_secs(30);

/// Some tools leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is read of it; the rest is left alone, as by Azure.
#[derive(Deserialize)]
struct Written {
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Properties {
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Reads what is to be uploaded.
pub(super) async fn upload(body: Body) -> Result<Upload, Problem> {
    parse(&in_time(body).await?)
}

/// Reads the properties of a resource; names are told apart as Azure does, without regard to case.
///
/// A property that is null says nothing, as if it were not there; where the rest stays as it is (`is_part`) that could be
/// meant to take something away, and is refused.
pub(super) async fn properties<T: DeserializeOwned>(
    body: Body,
    known: &Names,
    is_part: bool,
) -> Result<T, Problem> {
    #[derive(Deserialize)]
    struct Resource {
        properties: Option<Map<String, Value>>,
    }
    let unread = |error: serde_json::Error| {
        Problem::validation("body", format!("The body is not the JSON of such a resource: {error}."))
    };
    let body = in_time(body).await?;
    let read: Resource = serde_json::from_slice(&body).map_err(unread)?;
    let properties =
        read.properties.ok_or_else(|| Problem::validation("properties", "properties is missing."))?;
    let mut details = Vec::new();
    if is_part {
        refuse_nulls(&properties, "", &mut details);
    }
    let properties = known.canonical(properties, "", &mut details);
    if !details.is_empty() {
        return Err(Problem::invalid(details));
    }
    serde_json::from_value(properties.into()).map_err(unread)
}

/// Complains about each property, within others too, that is null.
fn refuse_nulls(properties: &Map<String, Value>, within: &str, details: &mut Vec<(&'static str, String)>) {
    for (name, value) in properties {
        match value {
            Value::Null => {
                let problem = format!(
                    "The property {within}{name} is null, which takes nothing away: send it empty, or leave it out."
                );
                details.push(("properties", problem));
            }
            Value::Object(inside) => refuse_nulls(inside, &format!("{within}{name}."), details),
            _ => {}
        }
    }
}

/// The names of properties, those within others behind a full stop.
pub(super) struct Names {
    pub(super) known: &'static [&'static str],
    /// What clients say and what makes no difference.
    pub(super) idle: &'static [&'static str],
}

impl Names {
    /// The properties under the names that they are read by. One that nobody knows may demand something: it is refused
    /// unless it says nothing.
    fn canonical(
        &self,
        properties: Map<String, Value>,
        within: &str,
        details: &mut Vec<(&'static str, String)>,
    ) -> Map<String, Value> {
        let mut found = Map::new();
        for (name, value) in properties {
            let name = format!("{within}{name}");
            if value.is_null() || self.idle.iter().any(|idle| idle.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let Some(known) = self.known.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
                let problem = format!("The property {name} is not known here, so nothing would enforce it.");
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
                details.push(("properties", format!("The property {known} stands there twice.")));
            }
        }
        found
    }
}

async fn in_time(body: Body) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let read = time::timeout(LONGEST, read(body)).await.unwrap_or_else(|_| {
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The body did not arrive in time."))
    });
    read.map(|mut body| Zeroizing::new(file::decode(std::mem::take(&mut *body))))
}

/// All of the body, in one place that is wiped: a buffer that grows would leave copies behind.
async fn read(mut body: Body) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let too_large = || {
        let message = format!("The body is larger than {LARGEST} octets.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    };
    let told = http_body::Body::size_hint(&body).upper();
    let told = told.map_or(LARGEST, |told| usize::try_from(told).unwrap_or(usize::MAX).min(LARGEST));
    let mut whole = Zeroizing::new(Vec::with_capacity(told));
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::validation("body", "The body ended early."))?;
        let Some(data) = frame.data_ref() else { continue };
        received = received.saturating_add(data.len());
        if received <= LARGEST {
            whole.extend_from_slice(data);
        } else if received > DISCARDED {
            return Err(too_large());
        }
    }
    if received > LARGEST { Err(too_large()) } else { Ok(whole) }
}

fn parse(body: &[u8]) -> Result<Upload, Problem> {
    // The parser's own words would repeat what it found.
    let written: Written = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = "{\"properties\": {\"data\": \"BASE64\", \"password\": \"...\"}}";
        let message = format!("The body is not JSON like {what}: line {line}, column {column}.");
        Problem::validation("body", message)
    })?;
    let Some(Properties { data, password, key_vault }) = written.properties else {
        return Err(Problem::validation("properties", "properties is missing."));
    };
    let Some(Secret(data)) = data.filter(|data| !data.0.is_empty()) else {
        let message = match key_vault {
            Some(_) => "This gateway has no Key Vault: send the certificate in properties.data, in base64.",
            None => "properties.data is missing: the .pfx file or the certificate, in base64.",
        };
        return Err(Problem::validation("data", message));
    };
    let text = data.trim_start_matches('\u{feff}').trim_start();
    let data = if text.starts_with("-----BEGIN ") { as_it_is(text) } else { decode(&data)? };
    let password = password.map_or_else(Zeroizing::default, |password| password.0);
    Ok(Upload { data, password })
}

/// PEM is text already.
fn as_it_is(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// Base64 with or without line breaks.
fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    bare.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut data = Zeroizing::new(Vec::with_capacity(bare.len()));
    let decoded = BASE64.decode_vec(&*bare, &mut data);
    decoded.map_err(|_| Problem::validation("data", "properties.data is not base64."))?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_in_base64_or_as_pem() {
        for (data, expected) in [
            ("aGVsbG8=", "hello"),
            ("aGVsbG8", "hello"),
            ("aGVs\\r\\nbG8=\\n", "hello"),
            ("-----BEGIN CERTIFICATE-----\\nx", "-----BEGIN CERTIFICATE-----\nx"),
            ("\u{feff}-----BEGIN CERTIFICATE-----\\nx", "-----BEGIN CERTIFICATE-----\nx"),
        ] {
            let body = format!("{{\"properties\":{{\"data\":\"{data}\",\"password\":null,\"other\":1}}}}");
            let upload = parse(body.as_bytes()).ok().unwrap();
            assert_eq!((&**upload.data, &**upload.password), (expected.as_bytes(), ""), "{data}");
        }
    }

    #[tokio::test]
    async fn a_body_may_begin_with_a_byte_order_mark() {
        let text = "\u{feff}{\"properties\":{\"data\":\"aGVsbG8=\"}}";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in [text.as_bytes().to_vec(), utf16] {
            let upload = upload(Body::from(body)).await.ok().unwrap();
            assert_eq!(&**upload.data, b"hello");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_without_repeating_it() {
        for (body, part) in [
            ("", "not JSON like"),
            ("{\"properties\":{\"data\":[\"hunter2\"]}}", "not JSON like"),
            ("{\"properties\":{\"password\":\"hunter2\"}}", "data is missing"),
            ("{\"properties\":{\"data\":\"\",\"password\":\"hunter2\"}}", "data is missing"),
            ("{\"properties\":{\"data\":\"hunter2!\"}}", "not base64"),
            ("{\"properties\":{\"keyVault\":{\"secretIdentifier\":\"hunter2\"}}}", "no Key Vault"),
            ("{}", "properties is missing"),
        ] {
            let problem = upload(Body::from(body)).await.err().unwrap();
            let shown = format!("{problem:?}");
            assert!(shown.contains(part) && !shown.contains("hunter2"), "{body}: {shown}");
        }
        let large = upload(Body::from(vec![b' '; LARGEST + 1])).await.err().unwrap();
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
