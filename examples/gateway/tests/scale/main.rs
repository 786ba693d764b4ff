//! Separate binary: cost of the gateway by the number of routes, identities, thumbprints, stored certificates, idle
//! connections and cores.
//!
//! Small sizes, or with `TOWER_MTLS_LONG` those of `benches/RESULTS.md`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::{Duration, Instant};

use callers::Callers;
use support::raise_open_files;
use world::{Pki, Size, World};

/// Repetitions of a change, of which the median counts.
const CHANGES: usize = if cfg!(debug_assertions) { 3 } else { 5 };

/// Noise of a machine with other work.
const NOISE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 100 });

const LEAST: Size = Size { routes: 10, identities: 10, pins: 100, stored: 0, cores: 2 };

/// A change, with the response times of callers meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Change {
    time: Duration,
    /// 99th percentile of callers.
    p99: Duration,
    /// The same as a multiple of that just before the change.
    ratio: f64,
}

/// Measurements of one size.
#[derive(Debug, Clone, Copy)]
struct Figures {
    start: Duration,
    /// Resident memory after the start, in KiB.
    memory: u64,
    /// CPU time of a second without requests.
    idle: Duration,
    /// CPU time of a request.
    request: Duration,
    quiet: Duration,
    reload: Change,
    upload: Change,
}

fn median<T: PartialOrd + Copy>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    values[values.len() / 2]
}

fn median_change(changes: &[Change]) -> Change {
    Change {
        time: median(changes.iter().map(|change| change.time)),
        p99: median(changes.iter().map(|change| change.p99)),
        ratio: median(changes.iter().map(|change| change.ratio)),
    }
}

impl Change {
    fn new(time: Duration, before: Duration, p99: Duration) -> Self {
        Self { time, p99, ratio: p99.as_secs_f64() / before.as_secs_f64() }
    }
}

async fn measure(pki: &Pki, size: Size, requests: u32) -> Figures {
    let mut world = World::start(pki, size);
    let memory = world.running.resident_memory();
    let mut administrator = world.administrator().await;
    for index in 0..size.stored {
        world.upload(&mut administrator, index).await;
    }
    let idle = world.idle().await;
    let request = callers::cost(&world, requests, idle).await;
    let mut callers = Callers::start(&world).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mut quiet, mut reloads, mut uploads) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..CHANGES {
        let before = callers.since(Instant::now()).await;
        let from = Instant::now();
        let time = tokio::task::block_in_place(|| world.reload());
        reloads.push(Change::new(time, before, callers.since(from).await));
        quiet.push(before);
        let before = callers.since(Instant::now()).await;
        // The management listener closes idle connections.
        let mut administrator = world.administrator().await;
        let from = Instant::now();
        let time = world.upload(&mut administrator, size.stored + round).await;
        uploads.push(Change::new(time, before, callers.since(from).await));
        quiet.push(before);
    }
    Figures {
        start: world.start,
        memory,
        idle,
        request,
        quiet: median(quiet),
        reload: median_change(&reloads),
        upload: median_change(&uploads),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}

fn print_head(dimension: &str) {
    println!(
        "\n| {dimension} | start ms | MiB | idle ms/s | request us | p99 ms quiet | reload ms | p99 | upload ms | p99 |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
}

fn print(count: usize, figures: &Figures) {
    let Figures { start, memory, idle, request, quiet, reload, upload } = figures;
    let change = |change: &Change| format!("{} | {:.1}x", milliseconds(change.time), change.ratio);
    println!(
        "| {count} | {} | {} | {} | {:.0} | {} | {} | {} |",
        milliseconds(*start),
        memory / 1_024,
        milliseconds(*idle),
        request.as_secs_f64() * 1e6,
        milliseconds(*quiet),
        change(reload),
        change(upload)
    );
}

/// Measures each count, and checks the growth.
async fn grow(pki: &Pki, dimension: &str, counts: &[usize], requests: u32, sized: impl Fn(usize) -> Size) {
    print_head(dimension);
    let mut measured: Vec<(usize, Figures)> = Vec::new();
    for &count in counts {
        let figures = measure(pki, sized(count), requests).await;
        print(count, &figures);
        measured.push((count, figures));
    }
    let least = measured[0].1;
    for pair in measured.windows(2) {
        let [(fewer, before), (more, after)] = pair else { unreachable!() };
        // Proportional growth is allowed, quadratic is not.
        let factor = u32::try_from(more / fewer).unwrap();
        let of = |figures: &Figures| [figures.start, figures.reload.time, figures.upload.time];
        for ((before, after), name) in
            of(before).into_iter().zip(of(after)).zip(["start", "reload", "upload"])
        {
            let most = 2 * factor * before + NOISE;
            assert!(after <= most, "{name} with {more} {dimension}: {after:?}, with {fewer}: {before:?}");
        }
        let (request, at_least) = (after.request, least.request);
        assert!(request <= at_least * 2, "a request with {more} {dimension}: {request:?}, {at_least:?}");
        for (change, name) in [(after.reload, "reload"), (after.upload, "upload")] {
            assert!(
                change.ratio <= 10.0 || change.p99 <= NOISE,
                "callers during a {name} with {more} {dimension}: {change:?}"
            );
        }
    }
}

fn counts(few: &'static [usize], many: &'static [usize]) -> &'static [usize] {
    if is_long() { many } else { few }
}

fn is_long() -> bool {
    std::env::var_os("TOWER_MTLS_LONG").is_some()
}

fn requests() -> u32 {
    if is_long() { 1_500 } else { 100 }
}

fn most_identities() -> usize {
    if is_long() { 10_000 } else { 100 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_routes_grows_in_proportion_and_only_at_changes() {
    let pki = Pki::new(10).await;
    let counts = counts(&[10, 100, 1_000], &[10, 100, 1_000, 10_000]);
    grow(&pki, "routes", counts, requests(), |routes| Size { routes, ..LEAST }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_identities_grows_in_proportion_and_only_at_changes() {
    let pki = Pki::new(most_identities()).await;
    let counts = counts(&[10, 100], &[10, 100, 1_000, 10_000]);
    grow(&pki, "identities", counts, requests(), |identities| Size { identities, ..LEAST }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_routes_with_identities_grows_in_proportion_and_only_at_changes() {
    let pki = Pki::new(most_identities()).await;
    let counts = counts(&[10, 500], &[10, 1_000, 10_000]);
    let size = |routes: usize| Size { routes, identities: (routes / 10).max(10), ..LEAST };
    grow(&pki, "routes with a tenth of identities", counts, requests(), size).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_thumbprints_grows_in_proportion_and_only_at_changes() {
    let pki = Pki::new(10).await;
    let counts = counts(&[100, 10_000], &[100, 10_000, 100_000, 1_000_000]);
    grow(&pki, "thumbprints", counts, requests(), |pins| Size { pins, ..LEAST }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_stored_certificates_grows_in_proportion_and_only_at_changes() {
    let pki = Pki::new(most_identities()).await;
    let counts = counts(&[10, 100], &[10, 100, 1_000, 9_000]);
    grow(&pki, "stored certificates", counts, requests(), |stored| Size { stored, ..LEAST }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_of_a_request_is_the_same_on_one_core_and_on_two() {
    let pki = Pki::new(10).await;
    print_head("cores");
    let [one, two] = [1, 2];
    let mut costs = Vec::new();
    for cores in [one, two] {
        let figures = measure(&pki, Size { cores, ..LEAST }, requests()).await;
        print(cores, &figures);
        costs.push(figures.request);
    }
    assert!(costs[1] <= 2 * costs[0] && costs[0] <= 2 * costs[1], "{costs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_take_memory_only() {
    raise_open_files();
    let pki = Pki::new(10).await;
    let world = World::start(&pki, LEAST);
    let requests = callers::requests(&world);
    let mut idle = Vec::new();
    println!("\n| idle connections | KiB each | request us | idle ms/s |\n|--:|--:|--:|--:|");
    let mut costs = Vec::new();
    for count in counts(&[10, 100], &[10, 1_000, 9_000]) {
        let (opened, memory) = (idle.len(), world.running.resident_memory());
        while idle.len() < *count {
            let mut caller = callers::connect(&world).await;
            callers::send(&mut caller, &requests[0]).await;
            idle.push(caller);
        }
        let added = u64::try_from(idle.len() - opened).unwrap();
        let each = (world.running.resident_memory().saturating_sub(memory)) / added;
        let idling = world.idle().await;
        let cost = callers::cost(&world, self::requests(), idling).await;
        println!("| {count} | {each} | {:.0} | {} |", cost.as_secs_f64() * 1e6, milliseconds(idling));
        costs.push(cost);
        assert!(each <= 256 || *count == 10, "{each} KiB of each of {count} connections");
        assert!(idling <= NOISE, "{count} idle connections: {idling:?} of each second");
    }
    assert!(costs.last().unwrap() <= &(2 * costs[0]), "{costs:?}");
}
