//! The configuration file, and the files that it refers to.

mod authorities;
mod check;
mod identities;
