//! Policy documents: decisions about requests, and errors at load.
#![cfg(all(feature = "apim", feature = "aws-lc-rs"))]

mod backends;
mod comparisons;
mod convert;
mod corpus;
mod explain;
mod forms;
mod fuzz;
mod guard;
mod judge_proofs;
mod load;
mod middleware;
mod names;
mod proof;
mod request;
mod revocation;
mod selection;
mod shadow;
mod snippets;
mod texts;
mod unproven;
mod validate;
mod values;
mod world;
