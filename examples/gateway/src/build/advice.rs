//! Warnings about certificates that are usable, but likely not the intended ones.

use tower_mtls::{
    certificate::{Clock, DistinguishedName, SystemClock, Timestamp},
    keys::pem,
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::ExtendedKeyUsage,
    prelude::{FromDer, X509Version},
};

use super::files::Findings;
use crate::config::{FilePath, Located, quoted};

/// Purpose of a file of CAs.
#[derive(Debug, Clone, Copy)]
pub(super) enum CaUse {
    Callers { allow_expired: bool },
    Upstreams,
}

/// Remaining lifetime of a CA below which a warning is reported.
const SOON_DAYS: i64 = 30;

/// Problem of a leaf certificate among CAs: an error among clients' CAs, a warning among upstreams'.
pub(super) const LEAF: &str = "is not a CA certificate";

pub(super) const LEAF_REMEDY: &str =
    "name the certificate of the CA that issued it, or list this one in thumbprint or thumbprint_file";

const UPSTREAM_LEAF_REMEDY: &str =
    "name the certificate of the CA that signed it: the owner of this certificate's key could sign others";

/// Warns about leaf certificates among upstreams' CAs, whose key owners could sign others, and about CAs that have
/// expired, are not valid yet, or expire soon.
pub(super) fn on_authorities(file: &Located<FilePath>, pem: &[u8], usage: CaUse, findings: &mut Findings) {
    let chain = pem::certificates(pem).unwrap_or_default();
    let parsed: Vec<_> =
        chain.iter().filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, read)| read)).collect();
    let mut warn = |odd: &dyn Fn(&X509Certificate<'_>) -> bool,
                    problem: &dyn Fn(&X509Certificate<'_>) -> String,
                    remedy| {
        let mut odd = parsed.iter().filter(|certificate| odd(certificate));
        let Some(first) = odd.next() else { return };
        let others = match odd.count() {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        let name = quoted(&subject(first));
        findings.warning(
            file,
            format!("{}: {name}{others} {}", quoted(&file.written), problem(first)),
            remedy,
        );
    };
    match usage {
        CaUse::Upstreams => warn(&is_leaf, &|_| LEAF.to_owned(), UPSTREAM_LEAF_REMEDY),
        CaUse::Callers { .. } => warn(
            &lacks_key_cert_sign,
            &|_| {
                "must not sign certificates (key usage without keyCertSign), so chains to it are rejected"
                    .to_owned()
            },
            "name a CA with keyCertSign",
        ),
    }
    let now = SystemClock.now();
    let soon = now.plus(SOON_DAYS * 86_400);
    let (not_before, not_after) = (
        |ca: &X509Certificate<'_>| Timestamp::from_unix(ca.validity().not_before.timestamp()),
        |ca: &X509Certificate<'_>| Timestamp::from_unix(ca.validity().not_after.timestamp()),
    );
    let unusable = match usage {
        CaUse::Callers { allow_expired: false } => {
            "chains to it are rejected; name a CA that is valid, or write allow_expired_ca = true"
        }
        CaUse::Callers { allow_expired: true } => "chains to it are accepted (allow_expired_ca); renew it",
        CaUse::Upstreams => "renew it",
    };
    warn(&|ca| not_after(ca) < now, &|ca| format!("expired at {}", not_after(ca)), unusable);
    warn(&|ca| now < not_before(ca), &|ca| format!("is not valid before {}", not_before(ca)), unusable);
    warn(
        &|ca| (now..=soon).contains(&not_after(ca)),
        &|ca| format!("expires at {}", not_after(ca)),
        "renew it, and name the old and the new one until callers have changed",
    );
}

/// Whether this is a leaf certificate that another one signed. Version 1 has no mark of CAs.
fn is_leaf(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V3
        && certificate.issuer() != certificate.subject()
        && !is_authority(certificate)
}

fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate.basic_constraints().is_ok_and(|found| found.is_some_and(|found| found.value.ca))
}

/// Whether this is a CA whose key usage does not include keyCertSign.
fn lacks_key_cert_sign(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage();
    is_authority(certificate)
        && usage.is_ok_and(|found| found.is_some_and(|usage| !usage.value.key_cert_sign()))
}

/// Warns about a listener's certificate that clients would reject.
pub(super) fn on_listener(file: &Located<FilePath>, leaf: &[u8], findings: &mut Findings) {
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return };
    if leaf.subject_alternative_name().is_ok_and(|names| names.is_none()) {
        findings.warning(
            file,
            "the certificate has no subject alternative name, which clients compare with the host",
            "issue it with the host's name as subject alternative name",
        );
    }
    if let Ok(Some(usage)) = leaf.extended_key_usage()
        && !allows_server_auth(usage.value)
    {
        findings.warning(
            file,
            "the certificate's extended key usage does not allow server authentication, so clients reject it",
            "issue it with the extended key usage serverAuth",
        );
    }
}

fn allows_server_auth(usage: &ExtendedKeyUsage<'_>) -> bool {
    usage.server_auth || usage.any
}

/// The subject in the form of rules.
fn subject(certificate: &X509Certificate<'_>) -> String {
    match DistinguishedName::from_der(certificate.subject().as_raw()) {
        Ok(name) => name.to_string(),
        Err(_) => certificate.subject().to_string(),
    }
}
