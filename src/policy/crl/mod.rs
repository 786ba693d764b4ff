//! Certificate revocation lists (RFC 5280, sections 5 and 6.3).
//!
//! A list is parsed once; its signature is verified once, with the key of the first issuer that a valid chain or the trust
//! anchors bring. Then it is indexed. Until then it is not used, and its encoding is kept.

mod entries;
mod error;
mod extensions;
mod limitation;
mod list;
mod point_name;
mod proof;
mod read;
mod replacement;
mod revocation;
mod scope;
mod serials;
mod status;
#[cfg(test)]
pub(in crate::policy) mod tests;

pub use self::{
    error::RevocationListError,
    limitation::RevocationListLimitation,
    list::RevocationList,
    replacement::ReplacementError,
    revocation::{Revocation, RevocationMode},
};
pub(in crate::policy) use self::{
    scope::are_points,
    status::{Issuer, Status, Subject, UnknownReason},
};
