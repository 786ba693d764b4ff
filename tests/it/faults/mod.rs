//! Upstreams that close, reset or stall at every point of an exchange: no POST arrives twice, every request ends in a
//! response or an error, and no connection stays open. `TOWER_MTLS_LONG` runs ten times as many.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

mod http1;
mod http2;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::{task::JoinSet, time::timeout};
use tower::{Layer, ServiceExt};
use tower_mtls::{IdentityLayer, MtlsClient, outbound::ClientError};

use crate::support::{Http, eventually, is_long, random::Random, raw::Raw, world::World};

/// How the upstream ends a connection, or keeps it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Sends `close_notify` and reads on.
    Notify,
    /// FIN without `close_notify`.
    Close,
    /// RST.
    Reset,
    Stall,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Notify, Self::Close, Self::Reset, Self::Stall];
}

/// Arrived requests and applied faults.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    arrived: HashMap<usize, usize>,
    done: BTreeMap<String, usize>,
}

impl Record {
    fn arrived(&self, id: usize) {
        *self.0.lock().unwrap().arrived.entry(id).or_default() += 1;
    }

    fn done(&self, what: String) {
        *self.0.lock().unwrap().done.entry(what).or_default() += 1;
    }
}

/// The target of a numbered request.
fn target(id: usize) -> String {
    format!("/{id:06}")
}

fn body_of(id: usize) -> Bytes {
    Bytes::from(vec![b'a' + (id % 26) as u8; 20_000])
}

/// The response to it.
fn answer_to(id: usize) -> String {
    format!("{id:06}").repeat(500)
}

const AT_A_TIME: usize = 16;

/// The longest time of an exchange: longer than any that is answered.
const MAX_EXCHANGE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Outcome {
    answered: usize,
    failed: usize,
    given_up: usize,
}

async fn post_all(world: &World, upstream: &Raw, record: &Record) -> Outcome {
    let posts = if is_long() { 10_000 } else { 1_000 };
    let client: MtlsClient<Full<Bytes>> = MtlsClient::builder()
        .trust(world.trust())
        .with_connect_timeout(MAX_EXCHANGE / 4)
        .with_handshake_timeout(MAX_EXCHANGE / 4)
        .with_idle_timeout(Duration::from_secs(2))
        .build_repeating();
    let route = IdentityLayer::new(world.identity("orders")).layer(client.clone());
    let mut senders = JoinSet::new();
    for sender in 0..AT_A_TIME {
        let (route, base) = (route.clone(), upstream.uri(""));
        senders.spawn(async move {
            let mut outcome = Outcome::default();
            for id in (sender..posts).step_by(AT_A_TIME) {
                let request = Request::post(format!("{base}{}", target(id))).body(Full::new(body_of(id)));
                let exchange = async {
                    let response = route.clone().oneshot(request.unwrap()).await?;
                    assert_eq!(response.status(), 200);
                    let body = response.into_body().collect().await;
                    Ok::<_, ClientError>(body.map(|body| body.to_bytes()))
                };
                match timeout(MAX_EXCHANGE, exchange).await {
                    // A response that arrives is complete.
                    Ok(Ok(Ok(body))) => {
                        assert_eq!(body, answer_to(id));
                        outcome.answered += 1;
                    }
                    Ok(_) => outcome.failed += 1,
                    Err(_) => outcome.given_up += 1,
                }
            }
            outcome
        });
    }
    let mut total = Outcome::default();
    for outcome in senders.join_all().await {
        total.answered += outcome.answered;
        total.failed += outcome.failed;
        total.given_up += outcome.given_up;
    }
    // The client still exists; its connections are idle, and end.
    eventually("closed connections", || upstream.open() == 0).await;
    drop(client);

    let inner = record.0.lock().unwrap();
    let duplicated = inner.arrived.values().filter(|times| **times > 1).count();
    println!(
        "{posts} POSTs: {total:?}, {} arrived, {duplicated} duplicated, over {} connections",
        inner.arrived.len(),
        upstream.accepted()
    );
    for (what, times) in &inner.done {
        println!("{times:6} x {what}");
    }
    assert_eq!(duplicated, 0);
    assert_eq!(total.answered + total.failed + total.given_up, posts);
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn post_arrives_at_most_once_at_any_faulty_http_1_upstream() {
    let world = World::new();
    let record = Record::default();
    let recording = record.clone();
    let upstream = Raw::start(&world.server, Http::One, move |number, stream, tls| {
        http1::Exchange::new(number, recording.clone()).run(stream, tls)
    });
    let outcome = post_all(&world, &upstream, &record).await;
    assert!(outcome.answered > 300 && outcome.failed > 100 && outcome.given_up > 10, "{outcome:?}");
    let done = record.0.lock().unwrap().done.len();
    assert_eq!(done, http1::Point::ALL.len() * Fault::ALL.len(), "each fault occurs at each point");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn post_arrives_at_most_once_at_any_faulty_http_2_upstream() {
    let world = World::new();
    let record = Record::default();
    let recording = record.clone();
    let upstream = Raw::start(&world.server, Http::Two, move |number, stream, tls| {
        http2::serve(number, recording.clone(), stream, tls)
    });
    let outcome = post_all(&world, &upstream, &record).await;
    assert!(outcome.answered > 300 && outcome.failed > 100 && outcome.given_up > 10, "{outcome:?}");
}

/// For both protocols: an error of the client's side.
fn gone() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
