//! Identities that are replaced under load: no request fails, and none that started after the replacement uses the
//! old one. `TOWER_MTLS_LONG` runs a thousand replacements under a million requests.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::{sync::Semaphore, task::JoinSet};
use tower::Layer;
use tower_mtls::{IdentityLayer, Shared};

use crate::support::{
    Http, Tls, eventually, every_version, is_long,
    pki::Leaf,
    upstream::{Facts, Peer},
    world::{Route, World, ask, identity, thumbprint},
};

const CLIENTS: usize = 200;

/// Connections that the clients need at a time: an HTTP/2 connection carries up to a hundred requests.
fn base(http: Http) -> usize {
    match http {
        Http::One => CLIENTS,
        Http::Two => CLIENTS / 100,
    }
}

/// The number of the identity that the upstream saw.
fn number(facts: &Facts) -> usize {
    let name = facts.subject.strip_prefix("CN=orders-").unwrap();
    name.strip_suffix(",O=Contoso").unwrap().parse().unwrap()
}

/// State shared by the task that replaces the identity and the clients.
struct SharedState {
    route: Route,
    uri: String,
    /// The last identity whose replacement has returned.
    published: AtomicUsize,
    /// One permit for each response.
    answered: Semaphore,
    total: AtomicUsize,
    is_over: AtomicBool,
}

impl SharedState {
    async fn call(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            let expected = self.published.load(Ordering::SeqCst);
            let seen = number(&ask(&self.route, &self.uri).await);
            assert!(seen >= expected, "{seen} was seen after {expected} was published");
            self.total.fetch_add(1, Ordering::Relaxed);
            self.answered.add_permits(1);
        }
    }
}

/// Replaces the identity after each group of responses; returns the number of answered requests.
async fn replace_while_they_call(tls: Tls, http: Http, replacements: usize, answers: usize) -> usize {
    let world = World::new();
    let upstream = world.upstream().tls(tls).http(http).forgetful().start();
    let shared = Shared::new(world.identity("orders-0"));
    let state = Arc::new(SharedState {
        route: IdentityLayer::new(shared.clone()).layer(world.client()),
        uri: upstream.uri("/"),
        published: AtomicUsize::new(0),
        answered: Semaphore::new(0),
        total: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    });
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let state = state.clone();
        clients.spawn(async move { state.call().await });
    }
    let (directing, certificates) = (state.clone(), world.clients);
    let mut replacer = tokio::spawn(async move {
        for number in 1..=replacements {
            let permits = directing.answered.acquire_many(u32::try_from(answers).unwrap()).await;
            permits.unwrap().forget();
            let issued = certificates.issue(&Leaf::client(&format!("orders-{number}")));
            shared.replace(identity(&issued));
            directing.published.store(number, Ordering::SeqCst);
        }
        // All clients have been seen with the last identity.
        directing.answered.acquire_many(2 * CLIENTS as u32).await.unwrap().forget();
        directing.is_over.store(true, Ordering::SeqCst);
    });
    // A failing client ends the test.
    while let Some(client) = clients.join_next().await {
        client.inspect_err(|_| replacer.abort()).unwrap();
    }
    (&mut replacer).await.unwrap();

    let last = format!("CN=orders-{replacements},O=Contoso");
    let is_of_the_last =
        |(connection, peer): (usize, &Arc<Peer>)| upstream.is_closed(connection) || peer.subject == last;
    eventually("the end of the old connections", || {
        upstream.open() <= base(http) && upstream.peers().iter().enumerate().all(is_of_the_last)
    })
    .await;
    let total = state.total.load(Ordering::Relaxed);
    println!(
        "{tls:?} {http:?}: {total} requests, {replacements} replacements, 0 failed, 0 under an old identity, {} \
         connections made, {} open, {:.1?}",
        upstream.peers().len(),
        upstream.open(),
        begun.elapsed(),
    );
    drop(state);
    eventually("closed connections", || upstream.open() == 0).await;
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_neither_fail_nor_use_an_old_identity_during_replacement() {
    let (replacements, answers) = if is_long() { (1_000, 260) } else { (40, 50) };
    let mut total = 0;
    for (tls, http) in every_version() {
        total += replace_while_they_call(tls, http, replacements, answers).await;
    }
    println!("{total} requests in total");
    assert!(total >= 4 * replacements * answers);
    assert!(total >= 1_000_000 || !is_long());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identities_to_one_upstream_are_never_mixed_up() {
    let (identities, rounds) = if is_long() { (1_000, 20) } else { (200, 3) };
    const CALLERS: usize = 50;
    let world = World::new();
    for http in Http::BOTH {
        let upstream = world.upstream().http(http).forgetful().start();
        let client = world.client();
        let routes: Arc<[(Route, String)]> = (0..identities)
            .map(|number| {
                let identity = world.identity(&format!("route-{number}"));
                let expected = thumbprint(&identity);
                (IdentityLayer::new(identity).layer(client.clone()), expected)
            })
            .collect();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (routes, uri) = (routes.clone(), upstream.uri("/"));
            callers.spawn(async move {
                for step in (caller..identities * rounds).step_by(CALLERS) {
                    // All upstreams in a random order.
                    let (route, expected) = &routes[step.wrapping_mul(7_919) % routes.len()];
                    assert_eq!(ask(route, &uri).await.certificate, *expected);
                }
            });
        }
        callers.join_all().await;
        let connections = upstream.peers().len();
        println!(
            "{http:?}: {} requests under {identities} identities, 0 under another's, {connections} connections",
            identities * rounds,
        );
        assert!(connections >= identities);
    }
}
