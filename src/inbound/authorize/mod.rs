//! An asynchronous decision after the rules.

mod authorization;
mod future;
mod layer;
mod service;

pub use self::{future::AuthorizeFuture, layer::AuthorizeLayer, service::Authorize};
