//! `[management]`: the listener for health, metrics, REST API and portal.

use std::net::SocketAddr;

use super::client_certificate::{CertificateRules, MANAGEMENT_KEYS};
use super::defined_names::DefinedNames;
use super::key_files::KeyFiles;
use super::listener::{self, ListenerConfig};
use super::located::{FilePath, Located};
use super::section::Section;

pub(crate) const KEYS: &[&str] =
    &["address", "certificate", "private_key", "pfx", "password_file", "token_file", "client_certificate"];

/// The keys that name a certificate and its key.
const KEY_FILES: &[&str] = &["certificate", "private_key", "pfx", "password_file"];

/// The management listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManagementConfig {
    /// The address to listen on.
    pub(crate) address: Located<SocketAddr>,
    /// Its certificate; None: that of the listener.
    pub(crate) certificate: Option<KeyFiles>,
    /// The file with the bearer token that callers must send.
    pub(crate) token_file: Option<Located<FilePath>>,
    /// Requirements for a caller's certificate.
    pub(crate) client_certificate: Option<Located<CertificateRules>>,
}

impl ManagementConfig {
    pub(crate) fn read(mut section: Section<'_, '_>, names: &DefinedNames) -> Option<Self> {
        let report = section.report;
        let (line, key) = (section.line, section.key.clone());
        let address = listener::address(&mut section, "127.0.0.1:9443");
        if let Some(address) = address.as_ref().filter(|address| !address.ip().is_loopback()) {
            let remedy = "listen on 127.0.0.1 or [::1], or let a firewall guard this port";
            report.warning(address.line, &address.key, "can be reached from other machines", remedy);
        }
        let is_own = KEY_FILES.iter().any(|name| section.has_similar(name));
        let certificate = if is_own { KeyFiles::read(&mut section) } else { None };
        let is_guarded = ["token_file", "client_certificate"].iter().any(|name| section.has_similar(name));
        if !is_guarded {
            let remedy = "add token_file = \"FILE\", or [management.client_certificate]";
            report.missing(line, &key, "requires neither a token nor a certificate", remedy);
        }
        let token_file = section.file("token_file");
        let client_certificate = section
            .nested("client_certificate", MANAGEMENT_KEYS, |rules| CertificateRules::read(rules, names));
        section.finish();
        let is_whole = is_own == certificate.is_some();
        is_whole.then_some(Self { address: address?, certificate, token_file, client_certificate })
    }

    /// Rejects the address of the listener.
    pub(crate) fn reject_address_of(&self, listener: &ListenerConfig, section: &Section<'_, '_>) {
        let (own, other) = (&self.address, &listener.address);
        if own.value == other.value && own.port() != 0 {
            let problem = format!("is also the address of the listener (line {})", other.line);
            section.report.error(own.line, &own.key, problem, "choose another port");
        }
    }
}
