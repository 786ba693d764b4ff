//! Making a connection, once for everyone where the upstream speaks HTTP/2 or has not been met yet.

use std::{sync::Arc, time::Duration};

use http_body::Body;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    AttemptResult, PendingAttempt, Pool, Protocol, State,
    availability::Waiting,
    connection::{Open, Opened},
    http2::Http2,
    lease::Lease,
};
use crate::outbound::{ClientError, ClientErrorKind};

/// How many connections may end without a word of the upstream while a request waits.
const MAX_SILENT_CLOSES: usize = 8;

/// How long those who find no room wait for a new HTTP/2 upstream to say how many streams it allows.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an attempt may take until another one is begun beside it: one upstream behind an address may stall
/// while others do not.
const HEDGE_DELAY: Duration = Duration::from_secs(1);

/// What a request without a connection has to do.
enum ConnectStep<B> {
    /// Make its own: HTTP/1.1.
    Dial,
    /// Wait for the connection that is being made for everyone.
    JoinAttempt(AttemptResult),
    /// Wait until a connection that was just made is known.
    AwaitSettings(Arc<Http2<B>>),
}

impl<B> Pool<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A connection that has just been made, or one that has become free meanwhile.
    pub(in super::super) async fn connect(self: &Arc<Self>) -> Result<Lease<B>, ClientError> {
        let since = Instant::now();
        let waiting = self.returned.wait();
        let silent_closes = self.state().silent_closes;
        let mut joined: Option<AttemptResult> = None;
        loop {
            let change = waiting.change();
            if let Some(lease) = self.ready() {
                return Ok(lease);
            }
            let mut opening = match self.next(joined.take()) {
                ConnectStep::Dial => return self.connect_alone(&waiting).await,
                ConnectStep::AwaitSettings(connection) => {
                    if timeout(SETTINGS_TIMEOUT, change).await.is_err() {
                        connection.settle();
                    }
                    match connection.refused() {
                        Some(error) => return Err(error),
                        None => continue,
                    }
                }
                ConnectStep::JoinAttempt(opening) => opening,
            };
            if self.state().silent_closes - silent_closes >= MAX_SILENT_CLOSES {
                return Err(ClientError::unsent(ClientErrorKind::Unreachable));
            }
            let result_tx = async { opening.wait_for(Option::is_some).await.ok().and_then(|it| it.clone()) };
            let outcome = tokio::select! {
                // The attempt outlives whoever asked first. Its sender gone without a word means a runtime that
                // ends.
                outcome = result_tx => Some(outcome),
                () = change => None,
                () = sleep(HEDGE_DELAY) => {
                    self.hedge();
                    None
                }
            };
            let Some(outcome) = outcome else {
                joined = Some(opening);
                continue;
            };
            match outcome {
                Some(Ok(())) => {}
                // Somebody else's time is over.
                Some(Err(error))
                    if error.kind() == ClientErrorKind::TooManyConnections
                        && since.elapsed() < self.parts.connect_timeout => {}
                Some(Err(error)) => return Err(ClientError::shared(error)),
                None => return Err(ClientError::unsent(ClientErrorKind::Unreachable)),
            }
        }
    }

    /// `joined` is the attempt that the request waits for already.
    fn next(self: &Arc<Self>, joined: Option<AttemptResult>) -> ConnectStep<B> {
        let mut state = self.state();
        if state.protocol == Protocol::Http1 {
            return ConnectStep::Dial;
        }
        if let Some(opening) = joined {
            return ConnectStep::JoinAttempt(opening);
        }
        if let Some(current) = &state.opening {
            return ConnectStep::JoinAttempt(current.opening.clone());
        }
        if let Some(unknown) = state.shared.iter().find(|it| !it.is_settled() && !it.is_closed()) {
            return ConnectStep::AwaitSettings(unknown.clone());
        }
        ConnectStep::JoinAttempt(self.begin(&mut state))
    }

    /// Begins another attempt beside one that takes long. Who waits for the first goes on waiting for it, so that
    /// its failure is theirs, and takes whatever connection comes.
    fn hedge(self: &Arc<Self>) {
        let mut state = self.state();
        let takes_long = |current: &PendingAttempt| current.since.elapsed() >= HEDGE_DELAY;
        if state.opening.as_ref().is_some_and(takes_long) && !state.is_retired {
            self.begin(&mut state);
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State<B>) -> AttemptResult {
        let (result_tx, opening) = watch::channel(None);
        state.opening = Some(PendingAttempt { opening: opening.clone(), since: Instant::now() });
        let attempt = Attempt { pool: self.clone(), result_tx };
        tokio::spawn(attempt.run());
        opening
    }

    async fn connect_alone(self: &Arc<Self>, waiting: &Waiting<'_>) -> Result<Lease<B>, ClientError> {
        let is_full = self.is_full();
        let opened = tokio::select! {
            opened = self.open() => opened?,
            // Only where there is no place for another: elsewhere nobody waits that long.
            lease = self.wait_for_returned(waiting), if is_full => return Ok(lease),
        };
        match opened {
            Opened::Http1(connection) => Ok(Lease::http1(self.clone(), connection)),
            opened @ Opened::Http2(_) => {
                // It has changed its mind since the last connection.
                self.add(opened);
                self.ready().ok_or_else(|| ClientError::unsent(ClientErrorKind::Unreachable))
            }
        }
    }

    /// A connection of this pool that came back.
    async fn wait_for_returned(self: &Arc<Self>, waiting: &Waiting<'_>) -> Lease<B> {
        loop {
            let change = waiting.change();
            if let Some(lease) = self.ready() {
                return lease;
            }
            change.await;
        }
    }

    async fn open(&self) -> Result<Opened<B>, ClientError> {
        let mut taken = Vec::new();
        for places in &self.parts.limits {
            let place = match places.try_take() {
                Some(place) => Some(place),
                None => {
                    let Ok(place) = timeout(self.parts.connect_timeout, places.take(&self.meters)).await
                    else {
                        return Err(ClientError::unsent(ClientErrorKind::TooManyConnections));
                    };
                    place
                }
            };
            taken.extend(place);
        }
        let open = Open::new(self.meters.clone(), self.cut.clone(), taken);
        let opened = self.parts.connector.open(self.uri.clone(), open, &self.returned).await?;
        self.state().protocol = match opened {
            Opened::Http1(_) => Protocol::Http1,
            Opened::Http2(_) => Protocol::Http2,
        };
        Ok(opened)
    }

    /// Gives a new connection to whoever comes next.
    fn add(&self, opened: Opened<B>) {
        match opened {
            Opened::Http1(connection) => self.put(connection),
            Opened::Http2(connection) => {
                // A retired pool lends it to those who waited for it, who are the last.
                self.state().shared.push(connection);
                self.returned.one();
            }
        }
    }
}

/// Makes a connection for everyone who waits.
struct Attempt<B> {
    pool: Arc<Pool<B>>,
    result_tx: watch::Sender<Option<Result<(), Arc<ClientError>>>>,
}

impl<B> Attempt<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn run(self) {
        let outcome = match self.pool.open().await {
            Ok(opened) => {
                self.pool.add(opened);
                Ok(())
            }
            Err(error) => Err(Arc::new(error)),
        };
        self.forget();
        let _ = self.result_tx.send(Some(outcome));
    }
}

impl<B> Attempt<B> {
    /// Nobody joins it any more.
    fn forget(&self) {
        let own = self.result_tx.subscribe();
        self.pool.state().opening.take_if(|current| current.opening.same_channel(&own));
    }
}

impl<B> Drop for Attempt<B> {
    /// Also where the runtime ends in the middle, so that another one begins anew.
    fn drop(&mut self) {
        if self.result_tx.borrow().is_none() {
            self.forget();
        }
    }
}
