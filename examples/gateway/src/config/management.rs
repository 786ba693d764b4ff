//! `[management]`: where the gateway itself is asked, and by whom.

use std::net::SocketAddr;

use super::client_certificate::{CertificateRules, MANAGEMENT_KEYS};
use super::key_files::KeyFiles;
use super::listener::{self, Listener};
use super::located::{FilePath, Located};
use super::route::DefinedNames;
use super::section::Section;

/// The keys of `[management]`.
pub(crate) const KEYS: &[&str] =
    &["address", "certificate", "private_key", "pfx", "password_file", "token_file", "client_certificate"];

/// The keys that name a certificate and its key.
const KEY_FILES: &[&str] = &["certificate", "private_key", "pfx", "password_file"];

/// The management listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManagementConfig {
    /// Where it listens.
    pub(crate) address: Located<SocketAddr>,
    /// Its certificate; none: the listener's.
    pub(crate) certificate: Option<KeyFiles>,
    /// The file with the token that callers must name.
    pub(crate) token_file: Option<Located<FilePath>>,
    /// What a caller's certificate must fulfil.
    pub(crate) client_certificate: Option<Located<CertificateRules>>,
}

impl ManagementConfig {
    /// Reads the section.
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
        let asks_for = ["token_file", "client_certificate"].map(|name| section.has_similar(name));
        if asks_for == [false, false] {
            let remedy = "add token_file = \"FILE\", or [management.client_certificate]";
            report.absent(line, &key, "asks for neither a token nor a certificate", remedy);
        }
        let token_file = section.file("token_file");
        let client_certificate = section
            .nested("client_certificate", MANAGEMENT_KEYS, |rules| CertificateRules::read(rules, names));
        section.finish();
        let is_whole = is_own == certificate.is_some();
        is_whole.then_some(Self { address: address?, certificate, token_file, client_certificate })
    }

    /// Refuses the listener's own place.
    pub(crate) fn refuse_address_of(&self, listener: &Listener, section: &Section<'_, '_>) {
        let (own, other) = (&self.address, &listener.address);
        if own.value == other.value && own.port() != 0 {
            let problem = format!("is the listener's address too (line {})", other.line);
            section.report.error(own.line, &own.key, problem, "choose another port");
        }
    }
}
