//! A mutual-TLS API gateway built from tower-mtls layers.

mod build;
mod command;
mod config;
mod crl;
mod demo;
mod edge;
mod file;
mod host;
mod log;
mod management;
mod routing;
#[cfg(test)]
mod scratch;
mod server;
mod status;
mod store;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // mimalloc uses huge pages, which stay resident although most of their blocks have been freed.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    command::run()
}
