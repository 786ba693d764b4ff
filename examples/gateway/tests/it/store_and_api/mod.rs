//! The certificate store: the management API by raw requests, and the effect of changes on requests.

mod administrators;
mod apis;
mod backends;
mod command_line;
mod effective;
mod policies;
mod rest;
mod sdk;
mod upstream_trust;
pub(crate) mod world;
