//! Policy documents of Azure API Management.

mod check;
mod documents;
mod revocation;
mod world;
