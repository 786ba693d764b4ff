//! An HTTP/2 connection, which many requests share.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body::Body;
use hyper::{
    client::conn::http2,
    rt::{Executor, Read, Write},
};
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;

use super::{availability::Availability, connection::Open};
use crate::outbound::{ClientError, stream::ConnectionStats};

/// The largest head of an answer on HTTP/2, as HTTP/2 counts it.
const LARGEST_HEAD: u32 = 64 * 1024;

/// How many streams of an HTTP/2 connection are used where the upstream sets no lower limit; then another
/// connection is made.
const STREAMS: usize = 100;

/// How much of an answer's body may be on its way on HTTP/2. All streams of a connection have room for as much
/// at the same time: callers that do not read their answers hold up nobody else's.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;

/// What stands for the number of streams until the upstream has said it.
const UNKNOWN: usize = STREAMS + 1;

/// How often it is looked for once the upstream has said anything.
const LOOKS: usize = 100;

pub(super) struct Http2<B> {
    sender: http2::SendRequest<B>,
    facts: ConnectionStats,
    in_flight: AtomicUsize,
    /// How many streams the upstream allows at a time; 0 until it has said so, and then one is used.
    limit: Arc<AtomicUsize>,
    /// It has had a request: before, it belongs to those who waited for it.
    is_used: AtomicBool,
    /// It has had a request since it was last looked over.
    is_fresh: AtomicBool,
    /// Since when it was found idle, as far as that was looked at.
    idle_since: Mutex<Instant>,
    returned: Arc<Availability>,
}

/// A place on an HTTP/2 connection, until it is dropped.
pub(super) struct Stream<B>(Arc<Http2<B>>);

pub(super) async fn open<T, B>(
    io: T,
    facts: ConnectionStats,
    open: Open,
    returned: Arc<Availability>,
) -> Result<Arc<Http2<B>>, ClientError>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let open = Arc::new(open);
    let tasks = Tasks { open: open.clone(), is_connected: Arc::default() };
    let mut builder = http2::Builder::new(tasks.clone());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD)
        .initial_max_send_streams(UNKNOWN)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) =
        builder.handshake(io).await.map_err(|error| ClientError::opening(error, &facts))?;
    tasks.is_connected.store(true, Ordering::Relaxed);
    let limit = Arc::new(AtomicUsize::new(0));
    let shared = Arc::new(Http2 {
        sender,
        facts: facts.clone(),
        in_flight: AtomicUsize::new(0),
        limit: limit.clone(),
        is_used: AtomicBool::new(false),
        is_fresh: AtomicBool::new(true),
        idle_since: Mutex::new(Instant::now()),
        returned: returned.clone(),
    });
    let held = open.clone();
    open.cut().spawn(async move {
        // At the end whoever waits for a stream looks elsewhere.
        let _last = Last(returned.clone());
        {
            let mut connection = pin!(connection);
            let mut looks = 0;
            loop {
                let driven = poll_fn(|cx| {
                    let polled = connection.as_mut().poll(cx);
                    let allowed = connection.current_max_send_streams();
                    if allowed != UNKNOWN {
                        let allowed = allowed.clamp(1, STREAMS);
                        if limit.swap(allowed, Ordering::Relaxed) < allowed {
                            returned.all();
                        }
                    }
                    polled
                });
                let is_unknown = limit.load(Ordering::Relaxed) == 0;
                tokio::select! {
                    biased;
                    _ = driven => break,
                    () = look(&facts, looks), if is_unknown && looks < LOOKS => looks += 1,
                }
            }
        }
        drop(held);
    });
    Ok(shared)
}

/// The first that an upstream says is how many streams it allows. Another task reads it, at about the time at
/// which this ends.
async fn look(facts: &ConnectionStats, looks: usize) {
    match looks {
        0 => facts.first_octets().await,
        _ => tokio::task::yield_now().await,
    }
}

/// Runs what hyper splits off an HTTP/2 connection. The connection itself, which hyper starts in its handshake,
/// ends when it is cut off; everything else ends with it.
#[derive(Clone)]
struct Tasks {
    open: Arc<Open>,
    is_connected: Arc<AtomicBool>,
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        if self.is_connected.load(Ordering::Relaxed) {
            tokio::spawn(task);
            return;
        }
        let open = self.open.clone();
        self.open.cut().spawn(async move {
            task.await;
            drop(open);
        });
    }
}

/// Tells everyone who waits that a connection has ended.
struct Last(Arc<Availability>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.all();
    }
}

impl<B> Http2<B> {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the upstream has said how many streams it allows.
    pub(super) fn is_settled(&self) -> bool {
        self.limit.load(Ordering::Relaxed) > 0
    }

    /// Why the upstream wants nothing of us, if it said so in place of how many streams it allows.
    pub(super) fn refused(&self) -> Option<ClientError> {
        (!self.is_settled()).then(|| ClientError::refused(&self.facts))?
    }

    /// Takes it that an upstream which says nothing allows the usual number.
    pub(super) fn settle(&self) {
        let _ = self.limit.compare_exchange(0, STREAMS, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether it has ever had a request.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Whether it has no request at the moment, and was used, or has waited in vain for a while.
    pub(super) fn is_idle(&self, unused: Duration) -> bool {
        let is_old = || self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= unused;
        self.in_flight.load(Ordering::SeqCst) == 0 && (self.is_used() || is_old())
    }

    /// Looks over it: whether it has had no request for this long. Only here the clock is asked.
    pub(super) fn is_idle_for(&self, time: Duration, now: Instant) -> bool {
        let mut since = self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_fresh.swap(false, Ordering::Relaxed) || self.in_flight.load(Ordering::SeqCst) > 0 {
            *since = now;
        }
        self.in_flight.load(Ordering::SeqCst) == 0 && now.saturating_duration_since(*since) >= time
    }

    /// A place for one more request. Called with the pool's state locked, so places are not given twice.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<Stream<B>> {
        let is_free = self.in_flight.load(Ordering::SeqCst) < self.limit.load(Ordering::Relaxed).max(1);
        (is_free && !self.is_closed()).then(|| {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            self.is_used.store(true, Ordering::Relaxed);
            self.is_fresh.store(true, Ordering::Relaxed);
            Stream(self.clone())
        })
    }
}

impl<B> Stream<B> {
    pub(super) fn sender(&self) -> http2::SendRequest<B> {
        self.0.sender.clone()
    }

    pub(super) fn facts(&self) -> &ConnectionStats {
        &self.0.facts
    }
}

impl<B> Drop for Stream<B> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.returned.one();
    }
}
