//! Instructions per request, a measure that other load on the machine does not affect.
//!
//! Run with: cargo bench --bench instructions --all-features
//!
//! Needs valgrind: the program runs itself under callgrind. The clock is fixed, since valgrind cannot run the kernel's
//! vDSO; `SystemClock` takes 57 more instructions on Linux, x86-64. Of an accepted request, about 50 instructions find
//! the captured certificate, 30 read the clock and the verdict, and the rest moves the request and the response, whose
//! body becomes an enum of two kinds, once more.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

mod support;

use std::{env, hint::black_box, process::Command};

use tower::Layer;
use tower_mtls::{RequireCertificateLayer, certificate::ManualClock};

use support::{Keep, captured, certificate, four_rules, send};

const REQUESTS: u64 = 20_000;

fn main() {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("run"), Some(row)) => run(&row),
        _ => report(),
    }
}

fn report() {
    for (row, without) in [
        ("accept in the steady state", "bare"),
        ("accept after a policy change", "bare"),
        ("refusal", "a stranger's request, bare"),
    ] {
        println!("{row}: {} instructions over the bare service", by_request(row) - by_request(without));
    }
}

/// Counted by callgrind within [`repeat`] only.
fn by_request(row: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*repeat*"])
        .arg(env::current_exe().unwrap())
        .args(["run", row])
        .output()
        .expect("valgrind is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let (_, collected) = report.split_once("Collected : ").expect("callgrind prints its totals");
    let instructions: u64 = collected.split_whitespace().next().unwrap().parse().unwrap();
    instructions / REQUESTS
}

fn run(row: &str) {
    let caller = certificate("orders");
    let keep = Keep::default();
    let layered = || {
        let policy = four_rules(&caller).build().unwrap();
        let clock = ManualClock::new(caller.validity().not_before);
        RequireCertificateLayer::new(policy).with_clock(clock).layer(keep.clone())
    };
    keep.0.set(Some(captured(caller.clone())));
    match row {
        "bare" => {
            let mut service = keep.clone();
            repeat(|| send(black_box(&mut service), keep.0.take().unwrap()));
        }
        "accept in the steady state" => {
            let mut service = layered();
            repeat(|| send(black_box(&mut service), keep.0.take().unwrap()));
        }
        "accept after a policy change" => {
            // A certificate caches four verdicts; eight policies in turn never hit the cache.
            let mut services: Vec<_> = (0..8).map(|_| layered()).collect();
            let mut turns = (0..8).cycle();
            repeat(|| {
                let turn = turns.next().unwrap();
                send(black_box(&mut services[turn]), keep.0.take().unwrap())
            });
        }
        "a stranger's request, bare" => {
            let mut service = keep.clone();
            let stranger = certificate("stranger");
            repeat(|| send(black_box(&mut service), captured(stranger.clone())));
        }
        "refusal" => {
            let mut service = layered();
            let stranger = certificate("stranger");
            repeat(|| send(black_box(&mut service), captured(stranger.clone())));
        }
        other => unreachable!("{other}"),
    }
}

#[inline(never)]
fn repeat<T>(mut request: impl FnMut() -> T) {
    for _ in 0..REQUESTS {
        black_box(request());
    }
}
