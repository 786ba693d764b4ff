//! tower-mtls
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "acceptor")]
pub mod acceptor;
pub mod certificate;
pub mod danger;
mod generation;
#[cfg(feature = "identity")]
pub mod identity;
#[cfg(feature = "inbound")]
pub mod inbound;
#[cfg(any(feature = "acceptor", feature = "identity"))]
mod key_pair;
#[cfg(feature = "outbound")]
pub mod outbound;
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
mod pem;
pub mod policy;
#[cfg(any(feature = "acceptor", feature = "identity"))]
mod provider;
#[cfg(feature = "proxy")]
pub mod proxy;

#[cfg(test)]
#[path = "../tests/support/pki.rs"]
mod pki;

#[cfg(all(feature = "acceptor", feature = "axum"))]
pub use acceptor::axum::capture;
#[cfg(feature = "acceptor")]
pub use acceptor::{MtlsListener, MtlsStream, ServerTls};
pub use certificate::*;
#[cfg(feature = "identity")]
pub use identity::{ClientIdentity, IdentityError, SharedIdentity};
#[cfg(feature = "inbound")]
pub use inbound::{Capture, RequireCertificate, RequireCertificateLayer, admitted};
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub use key_pair::KeyPairError;
#[cfg(feature = "outbound")]
pub use outbound::{
    BackEndTrust, ClientError, ClientErrorKind, IdentityLayer, MtlsClient, MtlsConnectorLayer,
};
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
pub use pem::PemError;
pub use policy::*;
#[cfg(feature = "proxy")]
pub use proxy::{ReverseProxy, ReverseProxyLayer, Upstream};
