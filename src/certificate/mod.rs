//! Facts of certificates: names, validity, keys, thumbprints. No decisions and no HTTP.
//!
//! The lowest room of the library: it imports no other.
//!
//! A [`Certificate`] is parsed once and shared by requests and connections. [`Presented`] is what a client sent in the
//! TLS handshake: nothing, an unreadable certificate, or a certificate. It is not yet admitted by a layer.

mod cache_words;
mod clock;
mod error;
mod extensions;
mod general_name;
mod hex;
mod name;
mod parsed;
mod presented;
mod public_key;
mod serial;
mod spiffe;
mod spki;
mod thumbprint;
mod thumbprint_list;
mod time;
mod usage;

pub(crate) use self::cache_words::CacheWords;
#[cfg(feature = "apim")]
pub(crate) use self::hex::Hex;
#[cfg(feature = "trust")]
pub(crate) use self::name::is_oid;
pub(crate) use self::name::{SingleValue, is_plain_text, same_text};
#[cfg(any(feature = "acceptor", feature = "trust"))]
pub(crate) use self::public_key::{RSA_BITS_MAX, RSA_BITS_MIN, key_algorithm_name};
#[cfg(feature = "acceptor")]
pub(crate) use self::spki::key_algorithm;
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub(crate) use self::spki::subject_public_key_info;
pub use self::{
    clock::{Clock, ManualClock, SystemClock},
    error::CertificateError,
    general_name::GeneralName,
    name::{Attribute, DistinguishedName, NameParseError},
    parsed::Certificate,
    presented::Presented,
    public_key::KeyKind,
    serial::{SerialNumber, SerialNumberParseError},
    spiffe::{SpiffeId, SpiffeIdParseError, SpiffeTrustDomain},
    thumbprint::{Thumbprint, ThumbprintParseError},
    thumbprint_list::ThumbprintListError,
    time::{Timestamp, Validity},
    usage::{ExtendedKeyUsage, KeyUsage},
};
