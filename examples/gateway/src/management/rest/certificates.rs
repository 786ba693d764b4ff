//! Certificate resources.

use std::sync::Arc;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Value, json};
use tower_mtls::{
    apim::dotnet_name,
    certificate::{DistinguishedName, Timestamp},
};
use zeroize::Zeroizing;

use super::{
    ApiError,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    request::ApiRequest,
    resource::{ChangeRequest, Collection, EditResult, Resource},
};
use crate::store::{
    CertificateEntry, CertificateUpload, EntryPurpose, Id, Item, Revision, Settings, UploadedCertificate,
};

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

/// A certificate.
pub(super) struct CertificateResource(Id);

impl Resource for CertificateResource {
    const NOUN: &'static str = "certificate";

    type Input = UploadedCertificate;
    type Value = Arc<CertificateEntry>;

    fn new(id: Option<Id>) -> Option<Self> {
        id.map(Self)
    }

    fn item(&self) -> Item {
        Item::Certificate(self.0.clone())
    }

    fn value(&self, settings: &Settings) -> Option<Arc<CertificateEntry>> {
        settings.certificates.get(&self.0).map(|stored| stored.value.clone())
    }

    fn tag(entry: &Arc<CertificateEntry>) -> Revision {
        entry.revision
    }

    /// Builds the resource of an entry, without its key and password.
    fn print(request: &ApiRequest, id: &str, entry: &Arc<CertificateEntry>) -> Result<Value, ApiError> {
        let certificate = &entry.certificate;
        let validity = certificate.validity();
        // Azure's format.
        let date = |moment: Timestamp| moment.to_string().replace('Z', "+00:00");
        let properties = json!({
            "subject": name(certificate.subject()),
            "thumbprint": certificate.sha1_thumbprint().to_string(),
            "expirationDate": date(validity.not_after),
            // Not in Azure's API.
            "sha256Thumbprint": certificate.sha256_thumbprint().to_string(),
            "issuer": name(certificate.issuer()),
            "notBefore": date(validity.not_before),
            "hasPrivateKey": entry.purpose == EntryPurpose::Identity,
            "usedBy": request.routing.load().uses.users(entry),
            "created": date(entry.created),
            "updated": date(entry.updated),
        });
        Ok(request.resource(&format!("/certificates/{id}"), "certificates", id, properties))
    }

    async fn read(&self, change: &ChangeRequest, body: &[u8]) -> Result<UploadedCertificate, ApiError> {
        let upload = upload(body)?;
        let rejected = |error| ApiError::from_change(error, &Self::title(&self.0));
        // Fails early, before the file is decrypted.
        let current = self.value(&change.request.settings());
        change.condition.check(current.map(|current| current.revision)).map_err(rejected)?;
        change.request.store.open_upload(upload).await.map_err(rejected)
    }

    fn put(
        &self,
        change: &ChangeRequest,
        input: &UploadedCertificate,
        settings: &mut Settings,
    ) -> EditResult {
        change.request.store.put_certificate(settings, &self.0, input)
    }

    fn remove(&self, settings: &mut Settings) -> EditResult {
        settings.certificates.remove(&self.0);
        Ok(())
    }

    /// Rejects the name of an identity of the configuration file: policies refer to that one.
    fn certificate(entry: &Arc<CertificateEntry>) -> Option<&CertificateEntry> {
        Some(entry)
    }
}

impl Collection for CertificateResource {
    const FIELDS: &'static FilterFields =
        &FilterFields { texts: &["name", "subject", "thumbprint"], has_expiration: true };

    fn all(request: &ApiRequest, query: &ListQuery) -> Vec<(String, Arc<CertificateEntry>)> {
        let settings = request.settings();
        let all = settings.certificates.iter().filter(|_| !query.only_failed);
        all.map(|(id, stored)| (id.to_string(), stored.value.clone())).collect()
    }

    fn filter_values(id: &str, entry: &Arc<CertificateEntry>) -> FilterValues {
        let certificate = &entry.certificate;
        let (subject, thumbprint) = (name(certificate.subject()), certificate.sha1_thumbprint().to_string());
        let expiration = Some(certificate.validity().not_after);
        FilterValues { texts: vec![id.to_owned(), subject, thumbprint], expiration }
    }
}

/// Formats a name as .NET and Azure do.
fn name(name: &DistinguishedName) -> String {
    dotnet_name(name).unwrap_or_else(|| name.to_string())
}

/// Reads a certificate upload.
fn upload(body: &[u8]) -> Result<CertificateUpload, ApiError> {
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
    use axum::body::Body;

    use super::{
        super::resource::{MAX_SIZE, receive},
        *,
    };

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
        assert_eq!(large.status, http::StatusCode::PAYLOAD_TOO_LARGE);
    }
}
