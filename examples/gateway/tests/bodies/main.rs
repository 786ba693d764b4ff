//! What a message's body goes through: length, speed, trailers, and every way to end too early.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aborts;
mod early;
mod flow;
mod framing;
mod large;
#[path = "../support/mod.rs"]
mod support;
mod trailers;
mod truncated;
mod upstreams;
