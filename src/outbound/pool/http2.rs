//! HTTP/2 connections, shared by many requests.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http2},
    rt::{Executor, Read, Write},
};
use hyper_util::rt::TokioTimer;
use tokio::time::Instant;

use super::{
    availability::Availability,
    connection_guard::ConnectionGuard,
    connection_use::{Claim, ConnectionUse},
    handover::Handover,
    stream_users::StreamUsers,
};
use crate::{
    generation::Generation,
    outbound::{ClientError, connection_stats::ConnectionStats},
};

/// Limit of a response head in bytes, counted as RFC 9113, section 6.5.2.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// Streams used of one connection, unless the upstream sets a lower limit; beyond, another connection is opened.
const STREAMS: usize = 100;

/// Flow-control window of a stream in bytes. The connection's window is the sum of all streams', so that callers that
/// do not read their responses do not block others.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;

/// Stream limit reported by h2 before the first SETTINGS frame.
const UNKNOWN_LIMIT: usize = STREAMS + 1;

/// Number of times that the limit is polled after the first byte of the upstream.
const MAX_POLLS: usize = 100;

pub(super) struct Http2<B> {
    sender: http2::SendRequest<B>,
    handover: Handover,
    stats: ConnectionStats,
    in_flight: AtomicUsize,
    users: StreamUsers,
    /// Concurrent streams that the upstream allows; 0 before the first SETTINGS frame, when one is used.
    limit: Arc<AtomicUsize>,
    /// True after the first request; before, it is reserved for the requests that waited for it.
    is_used: AtomicBool,
    /// True if a request used it since the last sweep.
    is_fresh: AtomicBool,
    /// The last sweep that found it in use.
    idle_since: Mutex<Instant>,
    availability: Arc<Availability>,
}

/// A reserved stream; dropping it frees the stream.
pub(super) struct Stream<B> {
    connection: Arc<Http2<B>>,
    /// None without limits.
    share: Option<Generation>,
}

pub(super) async fn open<T, B>(
    io: T,
    stats: ConnectionStats,
    guard: ConnectionGuard,
    availability: Arc<Availability>,
) -> Result<Arc<Http2<B>>, ClientError>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let guard = Arc::new(guard);
    let tasks = Tasks { guard: guard.clone(), is_connected: Arc::default() };
    let mut builder = http2::Builder::new(tasks.clone());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_max_send_streams(UNKNOWN_LIMIT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) =
        builder.handshake(io).await.map_err(|error| ClientError::opening(error, &stats))?;
    tasks.is_connected.store(true, Ordering::Relaxed);
    let limit = Arc::new(AtomicUsize::new(0));
    let handover = Handover::default();
    let driven = handover.drive(connection);
    let shared = Arc::new(Http2 {
        sender,
        handover,
        stats: stats.clone(),
        in_flight: AtomicUsize::new(0),
        users: StreamUsers::default(),
        limit: limit.clone(),
        is_used: AtomicBool::new(false),
        is_fresh: AtomicBool::new(true),
        idle_since: Mutex::new(Instant::now()),
        availability: availability.clone(),
    });
    let of_task = guard.clone();
    guard.force_close().spawn(async move {
        // At its end requests that wait for a stream look for another connection.
        let _guard = NotifyOnDrop(availability.clone());
        {
            let mut connection = pin!(driven);
            let mut polls = 0;
            loop {
                let driven = poll_fn(|cx| {
                    let polled = connection.as_mut().poll(cx);
                    let allowed = connection.connection().map(|it| it.current_max_send_streams());
                    if let Some(allowed) = allowed.filter(|allowed| *allowed != UNKNOWN_LIMIT) {
                        let allowed = allowed.clamp(1, STREAMS);
                        if limit.swap(allowed, Ordering::Relaxed) < allowed {
                            availability.notify_all();
                        }
                    }
                    polled
                });
                let is_unknown = limit.load(Ordering::Relaxed) == 0;
                tokio::select! {
                    biased;
                    _ = driven => break,
                    () = settings_arrived(&stats, polls), if is_unknown && polls < MAX_POLLS => polls += 1,
                }
            }
        }
        drop(of_task);
    });
    Ok(shared)
}

/// Completes at about the time at which another task reads the first SETTINGS frame.
async fn settings_arrived(stats: &ConnectionStats, polls: usize) {
    match polls {
        0 => stats.first_bytes().await,
        _ => tokio::task::yield_now().await,
    }
}

/// Executor of an HTTP/2 connection. The connection task, which hyper spawns in its handshake, is aborted on a forced
/// close; all other tasks end with it.
#[derive(Clone)]
struct Tasks {
    guard: Arc<ConnectionGuard>,
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
        let guard = self.guard.clone();
        self.guard.force_close().spawn(async move {
            task.await;
            drop(guard);
        });
    }
}

/// Wakes all waiters when a connection ends.
struct NotifyOnDrop(Arc<Availability>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_all();
    }
}

impl<B> Http2<B> {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Returns true if the stream limit is known.
    pub(super) fn is_settled(&self) -> bool {
        self.limit.load(Ordering::Relaxed) > 0
    }

    /// Returns the alert that the upstream sent in place of its SETTINGS.
    pub(super) fn refused(&self) -> Option<ClientError> {
        (!self.is_settled()).then(|| ClientError::refused(&self.stats))?
    }

    /// Assumes the default stream limit for an upstream that sends no SETTINGS.
    pub(super) fn assume_settings(&self) {
        let _ = self.limit.compare_exchange(0, STREAMS, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns true if it ever had a request.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Returns true if it has no request in flight, and was used or has been unused for `unused`.
    pub(super) fn is_idle(&self, unused: Duration) -> bool {
        let is_old = || self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= unused;
        self.in_flight.load(Ordering::SeqCst) == 0 && (self.is_used() || is_old())
    }

    /// Returns true if it had no request for `time`. Called by sweeps.
    pub(super) fn is_idle_for(&self, time: Duration, now: Instant) -> bool {
        let mut since = self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_fresh.swap(false, Ordering::Relaxed) || self.in_flight.load(Ordering::SeqCst) > 0 {
            *since = now;
        }
        self.in_flight.load(Ordering::SeqCst) == 0 && now.saturating_duration_since(*since) >= time
    }

    /// Keeps the new connection for the share that opened it.
    pub(super) fn keep_for(&self, used: ConnectionUse) {
        self.users.reserve(used);
    }

    /// Ends the uses of shares without streams. Called under the pool's lock.
    pub(super) fn end_reserved(&self) {
        self.users.end_reserved();
    }

    /// Reserves a stream, if the request's share may use the connection. Called under the pool's lock, so that no stream
    /// is reserved twice.
    pub(super) fn reserve(self: &Arc<Self>, claim: &mut Claim<'_>) -> Option<Stream<B>> {
        let allowed = self.limit.load(Ordering::Relaxed).max(1);
        let is_free = self.in_flight.load(Ordering::SeqCst) < allowed;
        if !is_free || self.is_closed() || !self.users.begin(claim) {
            return None;
        }
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.is_used.store(true, Ordering::Relaxed);
        self.is_fresh.store(true, Ordering::Relaxed);
        let share = claim.share();
        if share.is_some() && in_flight < allowed {
            // Requests that could not begin the use of the connection can join it.
            self.availability.notify_one();
        }
        Some(Stream { connection: self.clone(), share })
    }
}

impl<B> Stream<B> {
    /// Sends a request.
    pub(super) fn send(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + use<B>
    where
        B: Body + 'static,
    {
        let Http2 { sender, handover, .. } = &*self.connection;
        let mut sender = sender.clone();
        handover.hand_over(|| sender.try_send_request(request))
    }

    pub(super) fn stats(&self) -> &ConnectionStats {
        &self.connection.stats
    }
}

impl<B> Drop for Stream<B> {
    fn drop(&mut self) {
        let Http2 { in_flight, users, availability, .. } = &*self.connection;
        in_flight.fetch_sub(1, Ordering::SeqCst);
        if let Some(share) = self.share {
            users.end(share);
        }
        availability.notify_one();
    }
}
