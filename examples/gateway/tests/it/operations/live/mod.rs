//! Changes of trust and configuration, on the next request of every open connection and resumed session, and on requests
//! in flight.
#![cfg(unix)]

mod crl_issuer;
mod matrix;
mod requests_in_flight;
mod upstream;
mod world;
