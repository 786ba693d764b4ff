//! Instructions and allocations per request, by layer: the gateway and a bare proxy of hyper and rustls.
//!
//! Run with: cargo bench --bench requests --all-features [-- [--functions N] [--gateway FILE] | -- --train FILE]
//!
//! Needs valgrind: both proxies run under callgrind, with one worker; the caller and the upstream run outside of it.
//! The gateway judges chain, dates, issuer and thumbprint of each request, with its default limits; the bare proxy
//! judges the chain, once per connection. The caller sends requests one after the other on one connection.
//!
//! 2,000 requests count, after 200 others, so that neither the start nor the handshakes count. The kernel is not
//! counted. Instructions belong to the crate or room of their source file, also
//! where they are inlined elsewhere; those of the standard library belong to the function that they are inlined into.
//! An allocation belongs to the innermost function outside of the standard library and `bytes`.
//!
//! The bench fails if the gateway's figures are above those of `ceilings.txt` by more than the noise of a run. Ceilings
//! may only fall. With `--functions N`, it prints the N functions with the most instructions, and the N sites with the
//! most allocations; with `--gateway FILE`, it counts that program instead of one that it builds. The profiles of
//! callgrind are in the folder `callgrind` of the target folder.
//!
//! With `--train FILE`, it counts nothing: it runs FILE, a gateway built with `-Cprofile-generate`, outside of valgrind
//! under the load of `training.rs`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

mod bare_proxy;
mod ceilings;
mod peers;
#[path = "../../tests/support/pki.rs"]
mod pki;
mod profile;
mod proxy;
mod source;
mod table;
mod tls;
mod training;

use std::{env, fs, path::Path, process::ExitCode};

use self::{
    profile::Profile,
    proxy::{Program, Scene},
};

// The gateway's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests before those that count.
const WARM_UP: usize = 200;

/// Requests that count.
const REQUESTS: usize = 2_000;

/// The protocol between the caller and the proxy. That to the upstream is HTTP/1.1.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    pub(crate) fn alpn(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }

    /// The name in the table and in the file of ceilings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
        }
    }
}

/// Figures of both proxies for one protocol.
pub(crate) struct Comparison {
    pub(crate) protocol: Protocol,
    pub(crate) gateway: Profile,
    pub(crate) bare: Profile,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["bare-proxy", folder, upstream] = *arguments {
        bare_proxy::run(Path::new(folder), upstream.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let option = |name| arguments.iter().skip_while(|argument| **argument != name).nth(1);
    if let Some(gateway) = option("--train") {
        training::run(Path::new(gateway));
        return ExitCode::SUCCESS;
    }
    let functions = option("--functions").map(|number| number.parse::<usize>().unwrap());
    let gateway = option("--gateway").map(Path::new);

    let scene = Scene::new(gateway);
    let comparisons = Protocol::ALL.map(|protocol| Comparison {
        protocol,
        gateway: scene.profile(Program::Gateway, protocol),
        bare: scene.profile(Program::BareProxy, protocol),
    });
    print!("{}", table::layers(&comparisons));
    for Comparison { protocol, gateway, bare } in &comparisons {
        for (program, profile) in [(Program::Gateway, gateway), (Program::BareProxy, bare)] {
            if let Some(limit) = functions {
                print!("{}", table::functions(&format!("{program}, {}", protocol.name()), profile, limit));
            }
        }
    }
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ceilings::FILE)).unwrap();
    let exceeded = ceilings::check(&text, &comparisons);
    if exceeded { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
