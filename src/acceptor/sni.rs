//! Server certificates by the name that the caller sends (SNI).

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    client::verify_server_name,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{DnsName, ServerName};

use super::ServerTlsError;

/// Chooses a certificate by SNI: exact name, then wildcard, then the default one.
pub(super) struct SniResolver {
    default: Arc<dyn ResolvesServerCert>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl SniResolver {
    pub(super) fn new(default: Arc<dyn ResolvesServerCert>) -> Self {
        Self { default, by_name: HashMap::new() }
    }

    /// Adds the certificate for a DNS name, or for all names with one label in place of `*`.
    pub(super) fn add(&mut self, name: &str, key: Arc<CertifiedKey>) -> Result<(), ServerTlsError> {
        let name = name.to_ascii_lowercase();
        let example = match name.strip_prefix("*.") {
            Some(parent) => format!("any.{parent}"),
            None => name.clone(),
        };
        let Ok(example) = DnsName::try_from(example) else { return Err(ServerTlsError::InvalidName(name)) };
        let is_covered = key.cert.first().is_some_and(|leaf| {
            ParsedCertificate::try_from(leaf)
                .and_then(|leaf| verify_server_name(&leaf, &ServerName::DnsName(example)))
                .is_ok()
        });
        if !is_covered {
            return Err(ServerTlsError::NameNotCovered(name));
        }
        self.by_name.insert(name, key);
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let exact = self.by_name.get(name);
        let wildcard = || self.by_name.get(&format!("*.{}", name.split_once('.')?.1));
        exact.or_else(wildcard).cloned()
    }
}

impl ResolvesServerCert for SniResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().filter(|_| !self.by_name.is_empty());
        match name.and_then(|name| self.find(&name.to_ascii_lowercase())) {
            Some(key) => Some(key),
            None => self.default.resolve(hello),
        }
    }
}

impl fmt::Debug for SniResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SniResolver").field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}
