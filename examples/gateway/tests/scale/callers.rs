//! Callers with kept connections, and their response times.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::JoinSet, time};

use crate::{
    support::{get, whole},
    world::{World, path, presented},
};

/// Routes that callers use, evenly spread over all.
const USED: usize = 10;

/// Callers with requests at a steady rate.
const CALLERS: usize = 4;

/// Time between two requests of a caller.
const INTERVAL: Duration = Duration::from_millis(if cfg!(debug_assertions) { 20 } else { 4 });

/// Responses of a percentile, at least.
const LEAST_RESPONSES: usize = 20;

/// Runs of [`cost`].
const RUNS: usize = 7;

pub(crate) type Caller = http1::SendRequest<Empty<Bytes>>;

/// Connects as the caller.
pub(crate) async fn connect(world: &World<'_>) -> Caller {
    let socket = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = world.pki.caller_tls().connect(name, socket).await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Paths of requests, each with its response.
pub(crate) fn requests(world: &World<'_>) -> Vec<(String, String)> {
    let of_route = |route: usize| (path(route), presented(world.size, route).to_string());
    let routes = (0..USED).map(|used| used * (world.size.routes - 1) / (USED - 1)).map(of_route);
    routes.chain([("/by".to_owned(), "0".to_owned())]).collect()
}

pub(crate) async fn send(caller: &mut Caller, (path, expected): &(String, String)) {
    caller.ready().await.unwrap();
    let (status, _, body) = whole(caller.send_request(get(path)).await.unwrap()).await;
    assert_eq!((status, &body), (200, expected), "{path}");
}

/// CPU time of the gateway per request, without that of an idle second: the least of several runs, since other work on the
/// machine only adds to it.
pub(crate) async fn cost(world: &World<'_>, count: u32, idle: Duration) -> Duration {
    let (mut caller, requests) = (connect(world).await, requests(world));
    for request in requests.iter().cycle().take(requests.len() * 2) {
        send(&mut caller, request).await;
    }
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let (before, since) = (world.cpu_time(), Instant::now());
        for request in requests.iter().cycle().take(count as usize) {
            send(&mut caller, request).await;
        }
        let idle = idle.mul_f64(since.elapsed().as_secs_f64());
        least = least.min((world.cpu_time() - before).saturating_sub(idle) / count);
    }
    least
}

/// Start and duration of a request.
type Timed = (Instant, Duration);

/// Callers that send requests at a steady rate until this is dropped.
pub(crate) struct Callers {
    times: Arc<Mutex<Vec<Timed>>>,
    calling: JoinSet<()>,
}

impl Callers {
    pub(crate) async fn start(world: &World<'_>) -> Self {
        let times = Arc::<Mutex<Vec<Timed>>>::default();
        let mut calling = JoinSet::new();
        for first in 0..CALLERS {
            let (mut caller, requests, noted) = (connect(world).await, requests(world), times.clone());
            calling.spawn(async move {
                let mut ticks = time::interval(INTERVAL);
                // On an overloaded machine requests do not queue up.
                ticks.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
                for request in requests.iter().cycle().skip(first) {
                    // The time at which the request was due: a delay counts for all requests that it delays.
                    let due = ticks.tick().await.into_std();
                    send(&mut caller, request).await;
                    noted.lock().unwrap().push((due, due.elapsed()));
                }
            });
        }
        Self { times, calling }
    }

    /// Returns the 99th percentile of the response times since `from`, of at least a second.
    pub(crate) async fn since(&mut self, from: Instant) -> Duration {
        time::sleep_until((from + Duration::from_secs(1)).into()).await;
        loop {
            assert!(self.calling.try_join_next().is_none(), "a caller failed");
            let times = self.times.lock().unwrap().clone();
            let mut since: Vec<_> =
                times.iter().filter(|(due, _)| *due >= from).map(|(_, time)| *time).collect();
            if since.len() >= LEAST_RESPONSES {
                since.sort();
                return since[since.len() * 99 / 100];
            }
            time::sleep(INTERVAL).await;
        }
    }
}
