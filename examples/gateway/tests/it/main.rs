//! Integration tests of the gateway, one module per page of its documentation.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod attacks;
mod azure_api_management;
mod configuration;
mod documents;
mod gateway;
mod operations;
mod portal;
mod proxying;
mod security;
mod store_and_api;
