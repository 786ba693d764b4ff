//! Certificates of the parties, and TLS settings that require certificates of both sides.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::pki::{Authority, Leaf, pem_of};

/// Writes `ca.pem`, and chain and key of `proxy`, `upstream`, `identity` and `caller`.
pub(crate) fn write(folder: &Path) {
    let ca = Authority::root("Contoso Issuing CA");
    fs::write(folder.join("ca.pem"), pem_of(ca.der())).unwrap();
    let leaves = [
        ("proxy", Leaf::server()),
        ("upstream", Leaf::server()),
        ("identity", Leaf::client("gateway")),
        ("caller", Leaf::client("caller")),
    ];
    for (name, leaf) in leaves {
        let issued = ca.issue(&leaf);
        fs::write(folder.join(format!("{name}.pem")), issued.chain_pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), issued.key_pem()).unwrap();
    }
}

pub(crate) fn client(folder: &Path, name: &str, protocols: &[&str]) -> Arc<ClientConfig> {
    let (chain, key) = key_pair(folder, name);
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder =
        builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots(folder));
    let mut config = builder.with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = alpn(protocols);
    Arc::new(config)
}

pub(crate) fn server(folder: &Path, name: &str, protocols: &[&str]) -> Arc<ServerConfig> {
    let (chain, key) = key_pair(folder, name);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = Arc::new(roots(folder));
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn(protocols);
    Arc::new(config)
}

/// The leaf's certificate.
pub(crate) fn certificate(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap()
}

fn key_pair(folder: &Path, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
    (chain.map(Result::unwrap).collect(), key)
}

fn roots(folder: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(folder, "ca")).unwrap();
    roots
}

fn alpn(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}
