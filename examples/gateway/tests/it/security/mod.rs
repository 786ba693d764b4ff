//! Unproven certificates, and secrets at rest.

mod memory;
mod secrets;
mod unproven;
mod upstream_spiffe;
