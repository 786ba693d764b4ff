//! `[listener]`: address, server certificate and client-certificate request.

use std::net::SocketAddr;

use super::entry::checked;
use super::key_files::KeyFiles;
use super::located::Located;
use super::section::Section;

pub(crate) const KEYS: &[&str] =
    &["address", "certificate", "private_key", "pfx", "password_file", "client_certificate"];

/// The section `[listener]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerConfig {
    /// The address to listen on.
    pub(crate) address: Located<SocketAddr>,
    /// The server's certificate.
    pub(crate) certificate: KeyFiles,
    /// Whether the handshake requests a client certificate.
    pub(crate) client_certificate: CertificateRequest,
}

/// Whether the TLS handshake requests a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CertificateRequest {
    /// A certificate is requested from every caller; each route decides whether it needs one. The default.
    #[default]
    Request,
    /// No certificate is requested.
    Off,
}

impl ListenerConfig {
    /// Reads the section. The request mode is returned even if the rest is invalid.
    pub(crate) fn read(mut section: Section<'_, '_>) -> (Option<Self>, CertificateRequest) {
        let options = [("request", CertificateRequest::Request), ("off", CertificateRequest::Off)];
        let address = address(&mut section, "127.0.0.1:8443");
        let certificate = KeyFiles::read(&mut section);
        let client_certificate =
            section.choice("client_certificate", &options).map(|choice| choice.value).unwrap_or_default();
        section.finish();
        let listener = address.zip(certificate);
        let listener =
            listener.map(|(address, certificate)| Self { address, certificate, client_certificate });
        (listener, client_certificate)
    }
}

/// Takes the address to listen on; `example` is a possible value.
pub(crate) fn address(section: &mut Section<'_, '_>, example: &str) -> Option<Located<SocketAddr>> {
    let report = section.report;
    let text = section.required("address", example)?;
    let remedy = "write an IP address and port such as 127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443";
    checked(report, text, remedy, |text| text.parse().map_err(|_| "is not an IP address with a port"))
}
