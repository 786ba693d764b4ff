//! Shared by the integration tests: certificates, a client, servers that are joined on drop, and an upstream that
//! records its callers.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    missing_docs,
    missing_debug_implementations,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "shared by test files, each using its own part"
)]

#[cfg(target_os = "linux")]
pub mod attackers;
pub mod caller;
pub mod der;
mod folder;
#[cfg(feature = "serve")]
pub mod observed;
pub mod pki;
pub mod random;
pub mod raw;
pub mod raw_http2;
pub mod server;
pub mod upstream;
mod wait;
#[cfg(feature = "outbound")]
pub mod world;

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use rustls::{
    SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use self::pki::Issued;
pub use self::{
    folder::Folder,
    wait::{eventually, in_time},
};

pub type Body = BoxBody<Bytes, Infallible>;

pub fn empty() -> Body {
    Empty::new().boxed()
}

pub fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed()
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// True if the long run is requested by `TOWER_MTLS_LONG`.
pub fn is_long() -> bool {
    std::env::var_os("TOWER_MTLS_LONG").is_some()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    V12,
    V13,
}

impl Tls {
    pub const BOTH: [Self; 2] = [Self::V12, Self::V13];

    pub fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static V12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        static V13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::V12 => &V12,
            Self::V13 => &V13,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

impl Http {
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub fn alpn(self) -> Vec<u8> {
        match self {
            Self::One => b"http/1.1".to_vec(),
            Self::Two => b"h2".to_vec(),
        }
    }
}

/// All pairs of TLS and HTTP version.
pub fn every_version() -> impl Iterator<Item = (Tls, Http)> {
    Tls::BOTH.into_iter().flat_map(|tls| Http::BOTH.into_iter().map(move |http| (tls, http)))
}

/// The issued chain with its own key.
pub fn certified(issued: &Issued) -> Arc<CertifiedKey> {
    with_key_of(issued, issued)
}

/// A chain with the key of `owner`, which can be a wrong one.
pub fn with_key_of(issued: &Issued, owner: &Issued) -> Arc<CertifiedKey> {
    let chain = std::iter::once(&issued.der)
        .chain(&issued.chain)
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(owner.key.serialize_der()));
    let key = provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(chain, key))
}
