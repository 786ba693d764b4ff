//! The certificate store: the management API by raw requests, and what requests see of a change.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod administrators;
mod apis;
mod backends;
mod command_line;
mod effective;
mod rest;
mod sdk;
mod secrets;
mod upstream_trust;
mod world;
