//! Listeners: addresses, certificates and TLS settings.

use std::{net::SocketAddr, sync::Arc};

use tower_mtls::{
    Certificate, RequireCertificateLayer, ServerTls, TrustAnchors, acceptor::ClientCertificateRequest,
};

use super::{
    advice,
    cache::{Cache, Digest},
    files::Findings,
    key_pair, rules,
    sections::SectionsByName,
    thumbprint_lists::ThumbprintLists,
    trust::Roots,
};
use crate::{
    config::{CertificateRequest, Config, FilePath, KeyFiles, Located, ManagementConfig, quoted},
    management::{Access, Hosts, Token},
    routing::HandshakeRule,
    store::CurrentStore,
};

/// An address to listen on, with its TLS settings.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: Located<SocketAddr>,
    pub(crate) tls: ServerTls,
    pub(crate) certificate: Certificate,
}

/// Builds the listener for callers, and the requirement that it judges on each request.
pub(super) fn listener(
    config: &Config,
    roots: &SectionsByName<Roots>,
    cache: &mut Cache,
    findings: &mut Findings,
) -> Option<(Endpoint, HandshakeRule)> {
    let listener = &config.listener;
    let trust = listener.handshake.trust.as_ref().map(|name| roots.get(name.as_str())?.as_ref());
    let certificates = match listener.handshake.request.value {
        CertificateRequest::Request => ClientCertificates::Request,
        CertificateRequest::Require => ClientCertificates::Require(trust.flatten()),
        CertificateRequest::Off => ClientCertificates::Off,
    };
    let endpoint =
        endpoint("listener", &listener.address, &listener.certificate, certificates, cache, findings)?;
    let rule = match (listener.handshake.request.value, trust) {
        (CertificateRequest::Require, Some(roots)) => HandshakeRule::Trust(roots?.anchors.clone()),
        (CertificateRequest::Require, None) => HandshakeRule::Certificate,
        (CertificateRequest::Request | CertificateRequest::Off, _) => HandshakeRule::None,
    };
    Some((endpoint, rule))
}

/// Client certificates in the handshakes of a listener.
#[derive(Clone, Copy)]
enum ClientCertificates<'a> {
    Request,
    /// With a chain to these roots, if any.
    Require(Option<&'a Roots>),
    Off,
}

impl<'a> ClientCertificates<'a> {
    fn request(self) -> ClientCertificateRequest {
        match self {
            Self::Request => ClientCertificateRequest::Request,
            Self::Require(_) => ClientCertificateRequest::Require,
            Self::Off => ClientCertificateRequest::Off,
        }
    }

    fn roots(self) -> Option<&'a Roots> {
        if let Self::Require(roots) = self { roots } else { None }
    }
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
    let certificates = match management.client_certificate {
        Some(_) => ClientCertificates::Request,
        None => ClientCertificates::Off,
    };
    let endpoint = endpoint("management", &management.address, files, certificates, cache, findings);
    let token = management.token_file.as_ref().map(|file| token(file, findings));
    let rules = management.client_certificate.as_ref();
    let mut lists = ThumbprintLists::new(&mut cache.thumbprints);
    let policy = rules.map(|rules| rules::policy(rules, roots, store, &mut lists, findings));
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

/// `role` separates the TLS sessions of two listeners with the same certificate. Changed roots are another `ServerTls`, with
/// other ticket keys: no session of the old ones is resumed.
fn endpoint(
    role: &str,
    address: &Located<SocketAddr>,
    files: &KeyFiles,
    certificates: ClientCertificates<'_>,
    cache: &mut Cache,
    findings: &mut Findings,
) -> Option<Endpoint> {
    let pair = key_pair::pair(files, &mut cache.identities, findings)?;
    let certificate = pair.identity.certificate();
    advice::on_listener(files.certificate(), certificate.der(), findings);
    let (request, roots) = (certificates.request(), certificates.roots());
    let request_code: &[u8] = match certificates {
        ClientCertificates::Off => b"off",
        ClientCertificates::Request => b"request",
        ClientCertificates::Require(_) => b"require",
    };
    let roots_digest = roots.map_or(&[][..], |roots| roots.digest.as_bytes());
    let parts = [role.as_bytes(), pair.digest.as_bytes(), request_code, roots_digest];
    let built = cache.server_tls.get_or_build(Digest::of("server", parts), || {
        let tls =
            ServerTls::builder().certified_key(pair.identity.certified_key()).client_certificate(request);
        match roots {
            Some(roots) => tls.client_trust(TrustAnchors::clone(&roots.anchors)).build(),
            None => tls.build(),
        }
    });
    match built {
        Ok(tls) => Some(Endpoint { address: address.clone(), tls, certificate: certificate.clone() }),
        Err(error) => {
            findings.error(address, error.to_string(), "check certificate and private_key");
            None
        }
    }
}
