//! tower-mtls
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod certificate;
pub mod danger;
mod generation;
#[cfg(feature = "inbound")]
pub mod inbound;
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
mod pem;
pub mod policy;

#[cfg(test)]
#[path = "../tests/support/pki.rs"]
mod pki;

pub use certificate::*;
#[cfg(feature = "inbound")]
pub use inbound::{Capture, RequireCertificate, RequireCertificateLayer, admitted};
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
pub use pem::PemError;
pub use policy::*;
