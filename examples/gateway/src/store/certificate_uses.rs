//! Uses of certificates by routes, APIs, backends and policies.

use tower_mtls::identity::IdentityReference;

use super::{CertificateEntry, ChangeError, EntryPurpose};

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

    /// Returns the users of this entry. Membership (`in_store`) does not count as use.
    pub(crate) fn users(&self, entry: &CertificateEntry) -> Vec<String> {
        self.users_if(|certificate_use| certificate_use.matches(entry))
    }

    /// Rejects the removal of an entry that is in use.
    pub(crate) fn check_removal(&self, entry: &CertificateEntry) -> Result<(), ChangeError> {
        let users = self.users(entry);
        if users.is_empty() { Ok(()) } else { Err(ChangeError::InUse(users)) }
    }

    /// Rejects a replacement that breaks uses of the current entry.
    pub(crate) fn check_replacement(
        &self,
        current: &CertificateEntry,
        replacement: &CertificateEntry,
    ) -> Result<(), ChangeError> {
        let loses_key =
            current.purpose == EntryPurpose::Identity && replacement.purpose != EntryPurpose::Identity;
        let users = self.users_if(|certificate_use| {
            certificate_use.matches(current) && (loses_key || !certificate_use.matches(replacement))
        });
        let reason = match replacement.purpose {
            EntryPurpose::Caller => "The new certificate has no private key.",
            EntryPurpose::Identity => "The new certificate has another thumbprint.",
        };
        if users.is_empty() { Ok(()) } else { Err(ChangeError::BreaksUses { users, reason }) }
    }

    fn users_if(&self, is_counted: impl Fn(&CertificateUse) -> bool) -> Vec<String> {
        let counted = self.0.iter().filter(|certificate_use| is_counted(certificate_use));
        counted.map(|certificate_use| certificate_use.user.clone()).collect()
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
