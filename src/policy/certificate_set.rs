use std::{collections::HashSet, fmt};

use super::Answer;
use crate::certificate::Certificate;

/// "Is the very certificate in that set?": a store of callers' certificates, for
/// [`Rule::member_of`](super::Rule::member_of).
///
/// Asked on every request, so a change is effective at once; it must answer out of memory and not block.
/// Whole certificates are compared, not their thumbprints or names. A set that cannot answer says
/// [`Answer::CannotTell`], which refuses the caller.
pub trait CertificateSet: fmt::Debug + Send + Sync + 'static {
    /// Whether the certificate is a member.
    fn contains(&self, certificate: &Certificate) -> Answer;

    /// What explanations call the set.
    fn name(&self) -> String {
        "the set".into()
    }
}

/// DER-encoded certificates.
impl CertificateSet for HashSet<Vec<u8>> {
    fn contains(&self, certificate: &Certificate) -> Answer {
        Self::contains(self, certificate.der()).into()
    }
}

impl<S: CertificateSet> CertificateSet for std::sync::Arc<S> {
    fn contains(&self, certificate: &Certificate) -> Answer {
        S::contains(self, certificate)
    }

    fn name(&self) -> String {
        S::name(self)
    }
}
