//! Policy documents: what they decide about requests, and what is refused at load.
#![cfg(all(feature = "apim", feature = "aws-lc-rs"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "support/pki.rs"]
mod pki;

#[path = "apim/backends.rs"]
mod backends;
#[path = "apim/convert.rs"]
mod convert;
#[path = "apim/corpus.rs"]
mod corpus;
#[path = "apim/explain.rs"]
mod explain;
#[path = "apim/fuzz.rs"]
mod fuzz;
#[path = "apim/load.rs"]
mod load;
#[path = "apim/middleware.rs"]
mod middleware;
#[path = "apim/reviewed.rs"]
mod reviewed;
#[path = "apim/snippets.rs"]
mod snippets;
#[path = "apim/unproven.rs"]
mod unproven;
#[path = "apim/validate.rs"]
mod validate;
#[path = "apim/world.rs"]
mod world;
