//! Making a connection, once for everyone where the back end speaks HTTP/2 or has not been met yet.

use std::sync::Arc;

use http_body::Body;
use tokio::sync::watch;

use super::{
    Opening, Pool, Protocol,
    connection::{Open, Opened},
    lease::Lease,
};
use crate::outbound::{ClientError, ClientErrorKind};

impl<B> Pool<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A connection that has just been made, or one that has become free meanwhile.
    pub(in super::super) async fn connect(self: &Arc<Self>) -> Result<Lease<B>, ClientError> {
        loop {
            let Some(mut opening) = self.opening() else {
                return self.connect_alone().await;
            };
            // The attempt outlives whoever asked first. Its sender gone without a word means a runtime that ends.
            let outcome = opening.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
            match outcome {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(ClientError::shared(error)),
                None => return Err(ClientError::unsent(ClientErrorKind::Unreachable)),
            }
            // Many waited: there may be no room left on what was made.
            if let Some(lease) = self.ready() {
                return Ok(lease);
            }
        }
    }

    /// The attempt to wait for, begun here if there is none. None with HTTP/1.1: each request makes its own.
    fn opening(self: &Arc<Self>) -> Option<Opening> {
        let mut state = self.state();
        if state.protocol == Protocol::Http1 {
            return None;
        }
        // One whose task is gone, with its runtime, will never say anything.
        if let Some(opening) = state.opening.as_ref().filter(|opening| opening.has_changed().is_ok()) {
            return Some(opening.clone());
        }
        let (said, opening) = watch::channel(None);
        state.opening = Some(opening.clone());
        drop(state);
        let pool = self.clone();
        tokio::spawn(async move {
            let outcome = match pool.open().await {
                Ok(opened) => {
                    pool.add(opened);
                    Ok(())
                }
                Err(error) => Err(Arc::new(error)),
            };
            pool.state().opening = None;
            let _ = said.send(Some(outcome));
        });
        Some(opening)
    }

    async fn connect_alone(self: &Arc<Self>) -> Result<Lease<B>, ClientError> {
        let opened = tokio::select! {
            opened = self.open() => opened?,
            // Only where connections are limited: elsewhere nobody waits that long.
            Some(lease) = self.somebody_elses(), if self.parts.places.is_some() => return Ok(lease),
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
    async fn somebody_elses(self: &Arc<Self>) -> Option<Lease<B>> {
        loop {
            self.returned.notified().await;
            if let Some(lease) = self.ready() {
                return Some(lease);
            }
        }
    }

    async fn open(&self) -> Result<Opened<B>, ClientError> {
        let place = match &self.parts.places {
            None => None,
            Some(places) => match places.try_take() {
                Some(place) => Some(place),
                None => {
                    let timeout = self.parts.connect_timeout;
                    let Ok(place) = tokio::time::timeout(timeout, places.take()).await else {
                        return Err(ClientError::unsent(ClientErrorKind::TooManyConnections));
                    };
                    place
                }
            },
        };
        let open = Open::new(self.meters.clone(), self.cut.subscribe(), place);
        let opened = self.parts.connector.open(self.uri.clone(), open).await?;
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
                let mut state = self.state();
                // A retired pool lends it to those who waited for it, who are the last.
                state.shared.push(connection);
            }
        }
    }
}
