//! Path validation (RFC 5280, section 6).

pub(in crate::policy) mod signature;
