use std::{collections::HashSet, fmt};

use super::Answer;
use crate::certificate::Certificate;

/// A set of client certificates, for [`Rule::member_of`](super::Rule::member_of).
///
/// Looked up on every request, so a change is effective at once; the lookup must not block. Whole certificates are
/// compared, not thumbprints or names. Return [`Answer::CannotTell`] if the lookup fails: the client is rejected.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let orders = rcgen::generate_simple_self_signed(vec![])?;
/// # let billing = rcgen::generate_simple_self_signed(vec![])?;
/// use std::collections::HashSet;
/// use tower_mtls::{Certificate, policy::{Answer, CertificateSet}};
///
/// let set = HashSet::from([orders.cert.der().to_vec()]);
/// let (orders, billing) = (Certificate::from_der(orders.cert.der())?, Certificate::from_der(billing.cert.der())?);
/// assert_eq!(CertificateSet::contains(&set, &orders), Answer::Holds);
/// assert_eq!(CertificateSet::contains(&set, &billing), Answer::Fails);
/// # Ok(())
/// # }
/// ```
pub trait CertificateSet: fmt::Debug + Send + Sync + 'static {
    /// Returns [`Answer::Holds`] if the certificate is a member.
    fn contains(&self, certificate: &Certificate) -> Answer;

    /// Name of the set in explanations.
    fn name(&self) -> String {
        "the set".into()
    }
}

/// A set of DER-encoded certificates.
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
