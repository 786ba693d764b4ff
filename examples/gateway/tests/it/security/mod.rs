//! Unproven certificates, and secrets at rest.

mod secrets;
mod unproven;
mod upstream_spiffe;
