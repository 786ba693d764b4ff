//! Separate binary: its resident memory is measured.
//!
//! Memory of an identity with an idle connection. The upstream is a child process, so that its memory is not counted.
//! With `TOWER_MTLS_LONG` set, a thousand identities are measured.
#![cfg(all(target_os = "linux", feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

use tower::Layer;
use tower_mtls::{ClientIdentity, IdentityLayer};

use self::support::{
    Http, is_long,
    pki::{Issued, Leaf},
    upstream::Upstream,
    world::{Route, World, ask, identity},
};

/// The variable that tells the child process its protocol.
const ROLE: &str = "TOWER_MTLS_UPSTREAM";

struct UpstreamProcess {
    child: Child,
    /// Kept open, so that the child can write the output of the test harness.
    _output: BufReader<ChildStdout>,
}

impl UpstreamProcess {
    fn start(certificate: &Issued, http: Http) -> (Self, String) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "upstream_process", "--nocapture"])
            .env(ROLE, format!("{http:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines = [support::pki::pem_of(&certificate.der), certificate.key_pem()];
        input.write_all(format!("{}\0{}\0", lines[0], lines[1]).as_bytes()).unwrap();
        // The end of its standard input stops the child.
        child.stdin = Some(input);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let uri = output.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with("https://"));
        (Self { child, _output: output }, uri.unwrap())
    }
}

impl Drop for UpstreamProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// An upstream if started as a child process; nothing otherwise.
#[test]
fn upstream_process() {
    let Ok(http) = env::var(ROLE) else { return };
    let http = if http == "One" { Http::One } else { Http::Two };
    let mut input = BufReader::new(std::io::stdin());
    let mut pem = || {
        let mut text = Vec::new();
        input.read_until(0, &mut text).unwrap();
        text.pop();
        String::from_utf8(text).unwrap()
    };
    let (certificate, key) = (pem(), pem());
    let issued = Issued {
        der: pem::parse(certificate).unwrap().into_contents(),
        chain: Vec::new(),
        key: rcgen::KeyPair::from_pem(&key).unwrap(),
    };
    let upstream = Upstream::builder(&issued).http(http).forgetful().start();
    println!("\n{}", upstream.uri("/"));
    let _ = input.read(&mut [0]);
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn identity_with_an_idle_connection_takes_little_memory() {
    let count = if is_long() { 1_000 } else { 50 };
    let world = World::new();
    // Freed memory would be reused by the next measurement.
    let mut kept = Vec::new();
    for http in Http::BOTH {
        let (other, uri) = UpstreamProcess::start(&world.server, http);
        let client = world.client();
        // One-time allocations happen before the measurement.
        let first = IdentityLayer::new(world.identity("first")).layer(client.clone());
        ask(&first, &uri).await;

        let issued: Vec<_> =
            (0..count).map(|number| world.clients.issue(&Leaf::client(&format!("route-{number}")))).collect();
        let mut identities: Vec<ClientIdentity> = Vec::with_capacity(count);
        let before = resident();
        identities.extend(issued.iter().map(identity));
        let known = resident();
        let routes: Vec<Route> = identities
            .into_iter()
            .map(|identity| IdentityLayer::new(identity).layer(client.clone()))
            .collect();
        for route in &routes {
            ask(route, &uri).await;
        }
        let connected = resident();
        let each = |more: usize, less: usize| more.saturating_sub(less) / count;
        let (identity, pool) = (each(known, before), each(connected, known));
        println!(
            "{http:?}: {identity} bytes for an identity, {pool} bytes for its pool with an idle connection"
        );
        // Buffers kept for connections without a request would show.
        assert!(identity + pool < 256 * 1024);
        kept.push((issued, routes, other));
    }
}
