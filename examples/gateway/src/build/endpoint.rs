//! Listeners: addresses, certificates and TLS settings.

use std::{net::SocketAddr, sync::Arc};

use tower_mtls::{Certificate, RequireCertificateLayer, ServerTls, acceptor::ClientCertificateRequest};

use super::{
    advice,
    cache::{Cache, Digest},
    files::Findings,
    key_pair, rules,
    sections::SectionsByName,
    trust::Roots,
};
use crate::{
    config::{CertificateRequest, Config, FilePath, KeyFiles, Located, ManagementConfig, quoted},
    management::{Access, Hosts, Token},
    store::CurrentStore,
};

/// An address to listen on, with its TLS settings.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: Located<SocketAddr>,
    pub(crate) tls: ServerTls,
    pub(crate) certificate: Certificate,
}

pub(super) fn listener(config: &Config, cache: &mut Cache, findings: &mut Findings) -> Option<Endpoint> {
    let request = match config.listener.client_certificate {
        CertificateRequest::Request => ClientCertificateRequest::Request,
        CertificateRequest::Off => ClientCertificateRequest::Off,
    };
    let listener = &config.listener;
    endpoint("listener", &listener.address, &listener.certificate, request, cache, findings)
}

/// Builds the management listener and its access rules.
pub(super) fn management(
    config: &Config,
    management: &ManagementConfig,
    roots: &SectionsByName<Roots>,
    store: &Arc<CurrentStore>,
    cache: &mut Cache,
    findings: &mut Findings,
) -> Option<(Endpoint, Access)> {
    let files = management.certificate.as_ref().unwrap_or(&config.listener.certificate);
    // Browsers prompt for a requested certificate.
    let request = match management.client_certificate {
        Some(_) => ClientCertificateRequest::Request,
        None => ClientCertificateRequest::Off,
    };
    let endpoint = endpoint("management", &management.address, files, request, cache, findings);
    let token = management.token_file.as_ref().map(|file| token(file, findings));
    let rules = management.client_certificate.as_ref();
    let policy = rules.map(|rules| rules::policy(rules, roots, store, findings));
    let endpoint = endpoint?;
    let access = Access::new(
        match token {
            Some(token) => Some(token?),
            None => None,
        },
        match policy {
            Some(policy) => Some(RequireCertificateLayer::new(policy?)),
            None => None,
        },
        Hosts::new(endpoint.address.ip(), &endpoint.certificate),
    );
    Some((endpoint, access))
}

fn token(file: &Located<FilePath>, findings: &mut Findings) -> Option<Token> {
    let contents = findings.read_secret(file)?;
    let token = Token::new(&contents);
    if let Err(problem) = &token {
        let problem = format!("{} {problem}", quoted(&file.written));
        findings.error(file, problem, "write a long random text into it, such as 32 bytes in hex");
    }
    token.ok()
}

/// `role` separates the TLS sessions of two listeners with the same certificate.
fn endpoint(
    role: &str,
    address: &Located<SocketAddr>,
    files: &KeyFiles,
    request: ClientCertificateRequest,
    cache: &mut Cache,
    findings: &mut Findings,
) -> Option<Endpoint> {
    let pair = key_pair::pair(files, &mut cache.identities, findings)?;
    let certificate = pair.identity.certificate();
    advice::on_listener(files.certificate(), certificate.der(), findings);
    let is_requested = [u8::from(request == ClientCertificateRequest::Request)];
    let digest = Digest::of("server", [role.as_bytes(), pair.digest.as_bytes(), &is_requested]);
    let built = cache.server_tls.get_or_build(digest, || {
        let key = pair.identity.certified_key();
        ServerTls::builder().certified_key(key).client_certificate(request).build()
    });
    match built {
        Ok(tls) => Some(Endpoint { address: address.clone(), tls, certificate: certificate.clone() }),
        Err(error) => {
            findings.error(address, error.to_string(), "check certificate and private_key");
            None
        }
    }
}
