//! Path validation (RFC 5280, section 6).
#![allow(dead_code)]

mod der;
mod key;
pub(in crate::policy) mod signature;
