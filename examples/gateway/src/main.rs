//! A mutual-TLS API gateway built from tower-mtls layers.

mod command;
mod config;
mod demo;
mod load;
mod path;
mod routes;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
