//! Connection establishment. Concurrent requests share one attempt until the upstream is known to speak HTTP/1.1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body::Body;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    AttemptResult, Claim, PendingAttempt, Pool, Protocol, State, availability::Waiting, connection::Opened,
    connection_guard::ConnectionGuard, connection_use::ConnectionUse, http2::Http2, lease::Lease,
};
use crate::outbound::{ClientError, ClientErrorKind};

/// Connections that the upstream may close without a response while one request waits.
const MAX_SILENT_CLOSES: usize = 8;

/// How long requests wait for the first SETTINGS frame of a new HTTP/2 connection.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(1);

/// Delay before a second attempt starts beside a slow one: of several servers behind one address, a single one may
/// stall.
const HEDGE_DELAY: Duration = Duration::from_secs(1);

/// Next step for a request without a connection.
enum ConnectStep<B> {
    /// Wait until the request's share may use another connection.
    AwaitTurn,
    /// Open a connection for this request alone: HTTP/1.1.
    Dial,
    /// Wait for the shared attempt.
    JoinAttempt(AttemptResult),
    /// Wait for the SETTINGS of a new connection.
    AwaitSettings(Arc<Http2<B>>),
}

impl<B> Pool<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Returns a new connection, or one that became free meanwhile.
    pub(in crate::outbound) async fn connect(
        self: &Arc<Self>,
        mut claim: Claim<'_>,
    ) -> Result<Lease<B>, ClientError> {
        let since = Instant::now();
        let waiting = self.availability.wait(claim.share());
        // Kept over all steps, and with it the place in the queue.
        let mut turn = None;
        let silent_closes = self.state().silent_closes;
        let mut joined: Option<AttemptResult> = None;
        loop {
            let change = waiting.change();
            if let Some(lease) = self.ready(&mut claim) {
                return Ok(lease);
            }
            let step = self.next(joined.take(), &mut claim);
            if !matches!(step, ConnectStep::AwaitTurn) {
                turn = None;
            }
            let mut attempt = match step {
                ConnectStep::AwaitTurn => {
                    let own = turn.get_or_insert_with(|| Box::pin(claim.turn()));
                    tokio::select! {
                        granted = own => {
                            claim.grant(granted);
                            turn = None;
                        }
                        () = change => {}
                        () = sleep(self.settings.connect_timeout.saturating_sub(since.elapsed())) => {
                            return Err(ClientError::unsent(ClientErrorKind::TooManyConnections));
                        }
                    }
                    continue;
                }
                ConnectStep::Dial => return self.connect_alone(&waiting, claim).await,
                ConnectStep::AwaitSettings(connection) => {
                    if timeout(SETTINGS_TIMEOUT, change).await.is_err() {
                        connection.assume_settings();
                    }
                    match connection.refused() {
                        Some(error) => return Err(error),
                        None => continue,
                    }
                }
                ConnectStep::JoinAttempt(attempt) => attempt,
            };
            if self.state().silent_closes - silent_closes >= MAX_SILENT_CLOSES {
                return Err(ClientError::unsent(ClientErrorKind::Unreachable));
            }
            let result = async { attempt.wait_for(Option::is_some).await.ok().and_then(|it| it.clone()) };
            let result = tokio::select! {
                // The attempt outlives the request that started it; a dropped sender means that the runtime is
                // shutting down.
                result = result => Some(result),
                () = change => None,
                () = sleep(HEDGE_DELAY) => {
                    self.hedge(&mut claim);
                    None
                }
            };
            let Some(result) = result else {
                joined = Some(attempt);
                continue;
            };
            match result {
                Some(Ok(())) => {}
                // The shared attempt timed out; ours has not.
                Some(Err(error))
                    if error.kind() == ClientErrorKind::TooManyConnections
                        && since.elapsed() < self.settings.connect_timeout => {}
                Some(Err(error)) => return Err(ClientError::shared(error)),
                None => return Err(ClientError::unsent(ClientErrorKind::Unreachable)),
            }
        }
    }

    /// Returns the next step. `joined`: the attempt that the request waits for already.
    fn next(self: &Arc<Self>, joined: Option<AttemptResult>, claim: &mut Claim<'_>) -> ConnectStep<B> {
        let mut state = self.state();
        if state.protocol == Protocol::Http1 {
            return match claim.take() {
                Some(granted) => {
                    claim.grant(granted);
                    ConnectStep::Dial
                }
                None => ConnectStep::AwaitTurn,
            };
        }
        if let Some(attempt) = joined {
            return ConnectStep::JoinAttempt(attempt);
        }
        if let Some(pending) = &state.attempt {
            return ConnectStep::JoinAttempt(pending.result.clone());
        }
        if let Some(new) = state.shared.iter().find(|it| !it.is_settled() && !it.is_closed()) {
            return ConnectStep::AwaitSettings(new.clone());
        }
        match claim.take() {
            Some(used) => ConnectStep::JoinAttempt(self.start_attempt(&mut state, used)),
            None => ConnectStep::AwaitTurn,
        }
    }

    /// Starts another attempt beside a slow one. Requests that wait for the first fail with it, and take any connection
    /// that becomes available.
    fn hedge(self: &Arc<Self>, claim: &mut Claim<'_>) {
        let mut state = self.state();
        let is_slow = |pending: &PendingAttempt| pending.since.elapsed() >= HEDGE_DELAY;
        if state.attempt.as_ref().is_some_and(is_slow)
            && !state.is_retired
            && let Some(used) = claim.take()
        {
            self.start_attempt(&mut state, used);
        }
    }

    /// Starts an attempt, which uses a connection of the share that started it. A new HTTP/2 connection is kept for the
    /// share, an HTTP/1.1 connection is idle.
    fn start_attempt(self: &Arc<Self>, state: &mut State<B>, used: ConnectionUse) -> AttemptResult {
        let (result_tx, result) = watch::channel(None);
        state.attempt = Some(PendingAttempt { result: result.clone(), since: Instant::now() });
        self.opening.fetch_add(1, Ordering::Relaxed);
        let attempt = Attempt { pool: self.clone(), result_tx, used };
        tokio::spawn(attempt.run());
        result
    }

    async fn connect_alone(
        self: &Arc<Self>,
        waiting: &Waiting<'_>,
        mut claim: Claim<'_>,
    ) -> Result<Lease<B>, ClientError> {
        let is_full = self.is_full();
        self.opening.fetch_add(1, Ordering::Relaxed);
        let _opening = Opening(&self.opening);
        let opened = tokio::select! {
            opened = self.open() => opened?,
            // A returned connection is awaited only at the limit; below it a new one is faster.
            lease = self.wait_for_returned(waiting, &mut claim), if is_full => return Ok(lease),
        };
        let unusable = || ClientError::unsent(ClientErrorKind::Unreachable);
        match opened {
            Opened::Http1(connection) => {
                // Granted before.
                let used = claim.take().ok_or_else(unusable)?;
                Ok(Lease::http1(self.clone(), connection, used))
            }
            opened @ Opened::Http2(_) => {
                // The upstream has changed its protocol since the last connection.
                self.add(opened);
                self.ready(&mut claim).ok_or_else(unusable)
            }
        }
    }

    /// Waits for a connection that is returned to this pool.
    async fn wait_for_returned(self: &Arc<Self>, waiting: &Waiting<'_>, claim: &mut Claim<'_>) -> Lease<B> {
        loop {
            let change = waiting.change();
            if let Some(lease) = self.ready(claim) {
                return lease;
            }
            change.await;
        }
    }

    async fn open(&self) -> Result<Opened<B>, ClientError> {
        let mut permits = Vec::new();
        for limit in self.settings.limits.iter() {
            let permit = match limit.try_acquire() {
                Some(permit) => Some(permit),
                None => {
                    self.room_needed.notify_one();
                    let Ok(permit) =
                        timeout(self.settings.connect_timeout, limit.acquire(&self.meters)).await
                    else {
                        return Err(ClientError::unsent(ClientErrorKind::TooManyConnections));
                    };
                    permit
                }
            };
            permits.extend(permit);
        }
        let guard = ConnectionGuard::new(self.meters.clone(), self.force_close.clone(), permits);
        let opened = self.settings.connector.open(self.uri.clone(), guard, &self.availability).await?;
        self.state().protocol = match opened {
            Opened::Http1(_) => Protocol::Http1,
            Opened::Http2(_) => Protocol::Http2,
        };
        Ok(opened)
    }

    /// Adds a new connection to the pool and wakes one waiter.
    fn add(&self, opened: Opened<B>) {
        match opened {
            Opened::Http1(connection) => self.put(connection),
            Opened::Http2(connection) => {
                // In a retired pool it serves the requests that waited for it, which are the last.
                self.state().shared.push(connection);
                match self.is_limited() {
                    // Its share's other requests can wait for their turn.
                    true => self.availability.notify_all(),
                    false => self.availability.notify_one(),
                }
            }
        }
    }
}

/// Counts a connection attempt until dropped.
struct Opening<'a>(&'a AtomicUsize);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens a connection for all waiting requests.
struct Attempt<B> {
    pool: Arc<Pool<B>>,
    result_tx: watch::Sender<Option<Result<(), Arc<ClientError>>>>,
    used: ConnectionUse,
}

impl<B> Attempt<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn run(mut self) {
        let result = match self.pool.open().await {
            Ok(opened) => {
                if let Opened::Http2(connection) = &opened {
                    connection.keep_for(std::mem::take(&mut self.used));
                }
                self.pool.add(opened);
                Ok(())
            }
            Err(error) => Err(Arc::new(error)),
        };
        self.unpublish();
        let _ = self.result_tx.send(Some(result));
    }
}

impl<B> Attempt<B> {
    /// Removes the attempt from the pool, so that no request joins it.
    fn unpublish(&self) {
        let own = self.result_tx.subscribe();
        self.pool.state().attempt.take_if(|pending| pending.result.same_channel(&own));
    }
}

impl<B> Drop for Attempt<B> {
    /// Unpublishes an attempt that a runtime ended, so that another one can start.
    fn drop(&mut self) {
        self.pool.opening.fetch_sub(1, Ordering::Relaxed);
        if self.result_tx.borrow().is_none() {
            self.unpublish();
        }
    }
}
