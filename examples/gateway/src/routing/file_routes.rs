//! Routes of the configuration file.

use std::{collections::BTreeMap, sync::Arc};

use tower_mtls::{ClientIdentity, UpstreamTrust, policy::Revocation};

use super::{expiry::Expiry, handshake_rule::HandshakeRule, layers::Client, route::Route};
use crate::store::{CertificateUse, DocumentCertificates};

/// Routes of one configuration file, and the values that they are built from.
#[derive(Debug)]
pub(crate) struct FileRoutes {
    /// The listener's requirement, judged before routing.
    pub(crate) handshake_rule: HandshakeRule,
    /// In the order of the file.
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) client: Client,
    pub(crate) identities: BTreeMap<String, ClientIdentity>,
    /// By the digests of their settings.
    pub(crate) trusts: BTreeMap<[u8; 32], UpstreamTrust>,
    pub(crate) expiries: Vec<Expiry>,
    /// References of the routes to certificates of the store.
    pub(crate) uses: Vec<CertificateUse>,
    /// Certificates of the file and of the store, for policy documents.
    pub(crate) deployed: DocumentCertificates,
    /// CRLs of each set of CAs, for metrics.
    pub(crate) revocations: BTreeMap<String, Revocation>,
}
