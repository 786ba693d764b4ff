//! A process of its own: its resident memory is measured.
//!
//! What an identity with an idle connection takes. The upstream is another process, so that its memory is not
//! counted. With `TOWER_MTLS_LONG` set, a thousand of them are measured.
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

/// Tells the other process what it is: which protocol it speaks.
const ROLE: &str = "TOWER_MTLS_UPSTREAM";

struct OtherProcess {
    child: Child,
    /// Kept open, so that it can write what tests write.
    _output: BufReader<ChildStdout>,
}

impl OtherProcess {
    fn start(certificate: &Issued, http: Http) -> (Self, String) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--nocapture"])
            .env(ROLE, format!("{http:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines = [support::pki::pem_of(&certificate.der), certificate.key_pem()];
        input.write_all(format!("{}\0{}\0", lines[0], lines[1]).as_bytes()).unwrap();
        // Its end is the sign to stop.
        child.stdin = Some(input);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let uri = output.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with("https://"));
        (Self { child, _output: output }, uri.unwrap())
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// An upstream where it was started as one; nothing otherwise.
#[test]
fn the_other_process() {
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

/// Of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn an_identity_and_its_idle_connection_take_little_memory() {
    let count = if is_long() { 1_000 } else { 50 };
    let world = World::new();
    // What is freed would be taken for the next measurement.
    let mut kept = Vec::new();
    for http in Http::BOTH {
        let (other, uri) = OtherProcess::start(&world.server, http);
        let client = world.client();
        // What is made once for all is made before.
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
        // Buffers that are kept for connections without a request would show.
        assert!(identity + pool < 256 * 1024);
        kept.push((issued, routes, other));
    }
}
