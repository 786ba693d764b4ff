//! Who uses which certificate: what would break if it were not there.

use tower_mtls::identity::IdentityReference;

use super::{Entry, Purpose};

/// Everything that refers to certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses(Vec<Use>);

/// Somebody refers to a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    /// Who does, for people.
    pub(crate) by: String,
    pub(crate) of: IdentityReference,
    /// Whether it shows the certificate to backends; if not, any will do.
    pub(crate) needs_key: bool,
}

impl Uses {
    pub(crate) fn new(all: Vec<Use>) -> Self {
        Self(all)
    }

    /// Those that find this entry. To be among the callers of the store is not to be used.
    pub(super) fn of(&self, entry: &Entry) -> Vec<&Use> {
        self.0.iter().filter(|one| one.finds(entry)).collect()
    }

    /// Those that find `present`, and would not find `next` in its place.
    pub(super) fn broken_by(&self, present: &Entry, next: &Entry) -> Vec<&Use> {
        let loses_key = present.purpose == Purpose::Identity && next.purpose != Purpose::Identity;
        self.0.iter().filter(|one| one.finds(present) && (loses_key || !one.finds(next))).collect()
    }
}

impl Use {
    fn finds(&self, entry: &Entry) -> bool {
        let is_meant = match &self.of {
            IdentityReference::Id(id) => **id == *entry.id,
            IdentityReference::Thumbprint(thumbprint) => {
                let certificate = &entry.certificate;
                [certificate.sha1_thumbprint(), certificate.sha256_thumbprint()].contains(thumbprint)
            }
            _ => false,
        };
        is_meant && (!self.needs_key || entry.purpose == Purpose::Identity)
    }
}
