//! `[listener]`: address, server certificate and client-certificate request.

use std::net::SocketAddr;

use super::entry::checked;
use super::key_files::KeyFiles;
use super::located::Located;
use super::section::Section;

pub(crate) const KEYS: &[&str] =
    &["address", "certificate", "private_key", "pfx", "password_file", "client_certificate", "client_trust"];

/// The section `[listener]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerConfig {
    /// The address to listen on.
    pub(crate) address: Located<SocketAddr>,
    /// The server's certificate.
    pub(crate) certificate: KeyFiles,
    /// Client certificates in the handshake.
    pub(crate) handshake: HandshakeCertificates,
}

/// Client certificates in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandshakeCertificates {
    /// Whether a certificate is requested or required.
    pub(crate) request: Located<CertificateRequest>,
    /// The set of CAs in which chains must end, if any: with [`CertificateRequest::Require`] only.
    pub(crate) trust: Option<Located<String>>,
}

/// Whether the TLS handshake requests or requires a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CertificateRequest {
    /// A certificate is requested from every caller; each route decides whether it needs one. The default.
    #[default]
    Request,
    /// A certificate is required: other handshakes fail.
    Require,
    /// No certificate is requested.
    Off,
}

impl ListenerConfig {
    /// Reads the section. The settings of the handshake are returned even if the rest is invalid.
    pub(crate) fn read(mut section: Section<'_, '_>) -> (Option<Self>, HandshakeCertificates) {
        let address = address(&mut section, "127.0.0.1:8443");
        let certificate = KeyFiles::read(&mut section);
        let handshake = HandshakeCertificates::read(&mut section);
        section.finish();
        let listener = address.zip(certificate).map(|(address, certificate)| Self {
            address,
            certificate,
            handshake: handshake.clone(),
        });
        (listener, handshake)
    }
}

impl HandshakeCertificates {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let options = [
            ("request", CertificateRequest::Request),
            ("require", CertificateRequest::Require),
            ("off", CertificateRequest::Off),
        ];
        let (line, key) = (section.line, section.key_of("client_certificate"));
        let is_stated = section.has("client_certificate");
        let choice = section.choice("client_certificate", &options);
        // An invalid value has been reported.
        let is_known = choice.is_some() || !is_stated;
        let request = choice.unwrap_or_else(|| Located { value: CertificateRequest::default(), line, key });
        let trust = section.string("client_trust");
        if let Some(trust) =
            trust.as_ref().filter(|_| is_known && request.value != CertificateRequest::Require)
        {
            let problem = match request.value {
                CertificateRequest::Off => "has no effect beside client_certificate = \"off\"",
                _ => "has no effect without client_certificate = \"require\"",
            };
            let remedy = "write client_certificate = \"require\", or remove client_trust";
            section.report.error(trust.line, &trust.key, problem, remedy);
        }
        Self { request, trust }
    }
}

/// Takes the address to listen on; `example` is a possible value.
pub(crate) fn address(section: &mut Section<'_, '_>, example: &str) -> Option<Located<SocketAddr>> {
    let report = section.report;
    let text = section.required("address", example)?;
    let remedy = "write an IP address and port such as 127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443";
    checked(report, text, remedy, |text| text.parse().map_err(|_| "is not an IP address with a port"))
}
