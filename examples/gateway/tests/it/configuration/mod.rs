//! The configuration file, and the files that it refers to.

mod authorities;
mod ca_files;
mod certificate_rules;
mod check;
mod identities;
