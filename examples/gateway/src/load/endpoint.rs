//! What callers connect to: the listener and the management listener, with their certificates.

use std::{net::SocketAddr, sync::Arc};

use tower_mtls::{ClientCertificate, RequireCertificateLayer, ServerTls, acceptor::ClientCertificateRequest};

use super::{
    Named, advice,
    cache::{Cache, Digest},
    files::Findings,
    key_pair, rules,
    trust::Roots,
};
use crate::{
    config::{AskForCertificate, Config, FilePath, KeyFiles, Located, Management, quoted},
    management::{Access, Hosts, Token},
    store::CurrentStore,
};

/// An address to listen on, and what is shown and asked there.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: Located<SocketAddr>,
    pub(crate) tls: ServerTls,
    pub(crate) certificate: ClientCertificate,
}

/// The listener.
pub(super) fn listener(config: &Config, cache: &mut Cache, findings: &mut Findings) -> Option<Endpoint> {
    let request = match config.listener.client_certificate {
        AskForCertificate::Request => ClientCertificateRequest::Request,
        AskForCertificate::Off => ClientCertificateRequest::Off,
    };
    let listener = &config.listener;
    endpoint("listener", &listener.address, &listener.certificate, request, cache, findings)
}

/// The management listener, and whom it answers.
pub(super) fn management(
    config: &Config,
    management: &Management,
    roots: &Named<Roots>,
    store: &Arc<CurrentStore>,
    cache: &mut Cache,
    findings: &mut Findings,
) -> Option<(Endpoint, Access)> {
    let files = management.certificate.as_ref().unwrap_or(&config.listener.certificate);
    // Browsers prompt whoever is asked.
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
        findings.error(file, problem, "write a long random text into it, such as 32 octets in hex");
    }
    token.ok()
}

/// `role` keeps the sessions of two listeners apart that show the same certificate.
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
    let asks = [u8::from(request == ClientCertificateRequest::Request)];
    let digest = Digest::of("server", [role.as_bytes(), pair.digest.as_bytes(), &asks]);
    let made = cache.server_tls.get_or_make(digest, || {
        let key = pair.identity.certified_key();
        ServerTls::builder().certified_key(key).client_certificate(request).build()
    });
    match made {
        Ok(tls) => Some(Endpoint { address: address.clone(), tls, certificate: certificate.clone() }),
        Err(error) => {
            findings.error(address, error.to_string(), "check certificate and private_key");
            None
        }
    }
}
