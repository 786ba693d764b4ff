//! Key material of both sides: PEM texts ([`pem`]), certificate chains with their private keys, and the crypto provider.
//!
//! Built on [`certificate`](crate::certificate) only.
//!
//! [`ServerTls`](crate::ServerTls) and [`ClientIdentity`](crate::ClientIdentity) read a chain and a key by the same rules,
//! and report the same [`KeyPairError`].

#[cfg(any(feature = "acceptor", feature = "identity"))]
pub(crate) mod key_pair;
pub mod pem;
#[cfg(any(feature = "acceptor", feature = "identity"))]
mod provider;

#[cfg(any(feature = "acceptor", feature = "identity"))]
pub use self::key_pair::KeyPairError;
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub(crate) use self::provider::provider_or_default;
