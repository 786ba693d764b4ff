//! Required and unproven certificates, and secrets at rest.

mod memory;
mod require;
mod revocation;
mod secrets;
mod unproven;
mod upstream_spiffe;
