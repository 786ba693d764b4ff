//! Uses of certificates by routes, APIs, backends and policies.

use tower_mtls::identity::IdentityReference;

use super::{CertificateEntry, EntryPurpose};

/// All uses of certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct CertificateUses(Vec<CertificateUse>);

/// A reference to a certificate.
#[derive(Debug, Clone)]
pub(crate) struct CertificateUse {
    /// Name of the user, for display.
    pub(crate) user: String,
    pub(crate) reference: IdentityReference,
    /// True if the certificate is presented to upstreams, which needs its private key.
    pub(crate) needs_key: bool,
}

impl CertificateUses {
    pub(crate) fn new(all: Vec<CertificateUse>) -> Self {
        Self(all)
    }

    /// Returns the uses of this entry. Membership (`in_store`) does not count as use.
    pub(super) fn of(&self, entry: &CertificateEntry) -> Vec<&CertificateUse> {
        self.0.iter().filter(|certificate_use| certificate_use.matches(entry)).collect()
    }

    /// Returns the uses of `current` that `replacement` would break.
    pub(super) fn broken_by(
        &self,
        current: &CertificateEntry,
        replacement: &CertificateEntry,
    ) -> Vec<&CertificateUse> {
        let loses_key =
            current.purpose == EntryPurpose::Identity && replacement.purpose != EntryPurpose::Identity;
        let is_broken = |certificate_use: &&CertificateUse| {
            certificate_use.matches(current) && (loses_key || !certificate_use.matches(replacement))
        };
        self.0.iter().filter(is_broken).collect()
    }
}

impl CertificateUse {
    fn matches(&self, entry: &CertificateEntry) -> bool {
        let is_referenced = match &self.reference {
            IdentityReference::Id(id) => **id == *entry.id,
            IdentityReference::Thumbprint(thumbprint) => {
                let certificate = &entry.certificate;
                [certificate.sha1_thumbprint(), certificate.sha256_thumbprint()].contains(thumbprint)
            }
            _ => false,
        };
        is_referenced && (!self.needs_key || entry.purpose == EntryPurpose::Identity)
    }
}
