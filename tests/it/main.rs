//! Integration tests of the library, one module per public type or subject.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod acceptor;
mod apim;
mod attacks;
mod axum_server;
mod connecting;
mod connection_limit;
mod connection_shares;
mod deadlines;
mod examples;
mod faults;
mod floods;
mod head_limits;
mod key_files;
mod last_response;
mod outbound;
mod parking;
mod pfx_limits;
mod pins;
mod pkcs12;
mod pool;
mod proxy;
mod replacement;
mod requests_in_flight;
mod retirement;
mod retry;
mod server_tls;
mod signer;
mod suites;
mod tonic;
mod truncation;
mod workers;
