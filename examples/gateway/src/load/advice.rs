//! What is odd about certificates that can be read and used all the same.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use tower_mtls::DistinguishedName;
use x509_parser::{
    certificate::X509Certificate,
    extensions::ExtendedKeyUsage,
    prelude::{FromDer, X509Version},
};

use super::files::Findings;
use crate::config::{FilePath, Located, quoted};

/// Warns of certificates among CAs that are none: whoever holds the key of one could sign others.
pub(super) fn on_authorities(file: &Located<FilePath>, pem: &[u8], findings: &mut Findings) {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let parsed = chain.iter().filter_map(|der| X509Certificate::from_der(der).ok());
    let mut odd = parsed.filter(|(_, certificate)| is_no_authority(certificate)).map(|(_, odd)| odd);
    let Some(first) = odd.next() else { return };
    let others = match odd.count() {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    };
    let name = quoted(&subject(&first));
    let problem = format!("{}: {name}{others} is not a CA's certificate", quoted(&file.written));
    findings.warning(
        file,
        problem,
        "name the certificate of the CA that signed it: whoever holds this one's key could sign others",
    );
}

/// Version 1 knows no CAs, and one that signed itself stands for nobody else.
fn is_no_authority(certificate: &X509Certificate<'_>) -> bool {
    let is_authority =
        certificate.basic_constraints().is_ok_and(|found| found.is_some_and(|found| found.value.ca));
    certificate.version() == X509Version::V3 && certificate.issuer() != certificate.subject() && !is_authority
}

/// Warns of what keeps clients from accepting the listener's certificate.
pub(super) fn on_listener(file: &Located<FilePath>, leaf: &[u8], findings: &mut Findings) {
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return };
    if leaf.subject_alternative_name().is_ok_and(|names| names.is_none()) {
        findings.warning(
            file,
            "the certificate has no subject alternative name, and clients look for the host nowhere else",
            "issue it with the host's name as subject alternative name",
        );
    }
    if let Ok(Some(usage)) = leaf.extended_key_usage()
        && !serves(usage.value)
    {
        findings.warning(
            file,
            "the certificate's extended key usage does not allow server authentication, so clients refuse it",
            "issue it with the extended key usage serverAuth",
        );
    }
}

fn serves(usage: &ExtendedKeyUsage<'_>) -> bool {
    usage.server_auth || usage.any
}

/// The subject as rules write it.
fn subject(certificate: &X509Certificate<'_>) -> String {
    match DistinguishedName::from_der(certificate.subject().as_raw()) {
        Ok(name) => name.to_string(),
        Err(_) => certificate.subject().to_string(),
    }
}
