//! Policy documents: decisions about requests, and errors at load.
#![cfg(all(feature = "apim", feature = "aws-lc-rs"))]

mod backends;
mod convert;
mod corpus;
mod explain;
mod fuzz;
mod load;
mod middleware;
mod reviewed;
mod snippets;
mod unproven;
mod validate;
mod world;
