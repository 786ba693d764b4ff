//! What a certificate says: facts only, no decision and no HTTP.
//!
//! [`Certificate`] is parsed once per connection and shared by every request on it. What a caller
//! [presented](Presented) (nothing, bytes that cannot be read, or a certificate) is kept apart from what a
//! layer admitted.

mod clock;
#[cfg(feature = "apim")]
mod dotnet;
mod error;
mod general_name;
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
mod verdict_cache;

#[cfg(feature = "apim")]
pub(crate) use self::dotnet::{DotNetForms, hex};
pub(crate) use self::name::{SingleValue, is_plain_text, same_text};
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub(crate) use self::spki::subject_public_key_info;
pub(crate) use self::verdict_cache::VerdictCache;
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
