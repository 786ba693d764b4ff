//! Dispatch of one request: chooses identity and trust, connects, and chooses again if nothing was sent.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{
    Method, Request, Response, header,
    uri::{Authority, Scheme, Uri},
};
use http_body::Body;
use tokio::time::{Instant, sleep};

use super::{ClientInner, choice::Dispatch, pools::Profile};
use crate::outbound::{
    ClientError, ClientErrorKind,
    pool::{Claim, Lease, Pool, UpstreamBody},
};

/// Number of times that an unsent request is dispatched.
const ATTEMPTS: usize = 8;

/// Interval at which a request that waits at a connection limit closes idle connections of other pools.
const MAKE_ROOM: Duration = Duration::from_millis(50);

/// Interval at which it also ends connections in use.
const INSIST: Duration = Duration::from_secs(1);

/// Destination of a request.
struct Target {
    authority: Authority,
    is_https: bool,
    /// True for a request with `Upgrade`, which HTTP/2 does not support.
    is_upgrade: bool,
}

pub(super) async fn send<B>(
    client: Arc<ClientInner<B>>,
    mut request: Request<B>,
) -> Result<Response<UpstreamBody>, ClientError>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let dispatch = request.extensions_mut().remove::<Dispatch>();
    let dispatch = dispatch.ok_or_else(|| ClientError::unsent(ClientErrorKind::NoIdentity))?;
    let target = Target::of(&request)?;
    let mut repetition = client.repetition;
    let mut attempt = 1;
    let mut choosing = None;
    loop {
        let pool = client.pool(&dispatch, &target)?;
        let mut claim = pool.claim(dispatch.share());
        let (lease, is_new) = match pool.ready(&mut claim) {
            Some(lease) => (lease, false),
            // Boxed to keep the future of requests on existing connections small.
            None => match Box::pin(connect(&client, &pool, claim)).await {
                Ok(lease) => (lease, true),
                // The identity or trust that failed may have been replaced meanwhile.
                Err(_)
                    if client.pool(&dispatch, &target)?.key() != pool.key()
                        && client.may_choose_again(&mut choosing) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        // The identity may have been replaced while the connection was established.
        if is_new && client.pool(&dispatch, &target)?.key() != pool.key() {
            lease.give_back();
            if client.may_choose_again(&mut choosing) {
                continue;
            }
            return Err(ClientError::unsent(ClientErrorKind::ConnectTimeout));
        }
        let copy = repetition.and_then(|repetition| repetition.copy(&request));
        let failed = match lease.send(request, dispatch.allows_missing_close_notify()).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        match (failed.request, copy) {
            // The upstream closed an idle connection before the request was sent, or other requests used up a new one. A
            // connection on which the upstream rejects the identity is not opened again.
            (Some(unsent), _) if attempt < ATTEMPTS && (!is_new || failed.error.may_repeat()) => {
                request = *unsent;
                attempt += if is_new { ATTEMPTS / 2 } else { 1 };
            }
            (_, copy) => {
                pool.failed(failed.error.kind());
                match copy.filter(|_| failed.error.may_repeat()) {
                    Some(copy) => {
                        request = copy;
                        repetition = None;
                    }
                    None => return Err(failed.error),
                }
            }
        }
    }
}

async fn connect<B>(
    client: &ClientInner<B>,
    pool: &Arc<Pool<B>>,
    claim: Claim<'_>,
) -> Result<Lease<B>, ClientError>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connecting = async {
        if !pool.is_limited() {
            return pool.connect(claim).await;
        }
        let user = claim.user();
        let mut connecting = pin!(pool.connect(claim));
        let mut insisted = None::<Instant>;
        let mut interval = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                connected = connecting.as_mut() => return connected,
                () = pool.needs_room() => {}
                // Connections of other pools become idle without a notification.
                () = sleep(interval) => {}
            }
            interval = MAKE_ROOM;
            // Idle connections of others remain while the share may not use another one.
            if pool.is_full() && (pool.is_opening() || user.uses_none()) {
                let insists = insisted.is_none_or(|since| since.elapsed() > INSIST);
                if insists {
                    insisted = Some(Instant::now());
                }
                client.pools.make_room(pool, insists);
            }
        }
    };
    connecting.await.inspect_err(|error| pool.failed(error.kind()))
}

impl<B> ClientInner<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// Returns true if a request whose identity was replaced while it connected can start again: for as long as the
    /// connect timeouts allow, however often that happens.
    fn may_choose_again(&self, since: &mut Option<Instant>) -> bool {
        let longest = self.settings.connect_timeout.saturating_add(self.settings.handshake_timeout);
        since.get_or_insert_with(Instant::now).elapsed() < longest
    }

    /// Returns the pool for the current identity and trust.
    fn pool(&self, dispatch: &Dispatch, target: &Target) -> Result<Arc<Pool<B>>, ClientError> {
        let identity = dispatch.identity().map_err(ClientError::unsent)?;
        let trust = match (target.is_https, dispatch.trust()) {
            (true, Some(trust)) => Some(trust),
            (true, None) => Some(self.settings.trust().cloned().map_err(|error| {
                tracing::error!(%error, "the default upstream trust cannot be built");
                ClientError::unsent(ClientErrorKind::Settings)
            })?),
            (false, _) if identity.is_some() => {
                return Err(ClientError::unsent(ClientErrorKind::PlaintextIdentity));
            }
            (false, _) => None,
        };
        let http1_only = dispatch.http1_only() || target.is_upgrade;
        let profile = Profile::new(identity, trust, http1_only, target.authority.clone());
        self.pools.get(profile, &self.settings)
    }
}

impl Target {
    fn of<B>(request: &Request<B>) -> Result<Self, ClientError> {
        let invalid = || ClientError::unsent(ClientErrorKind::InvalidUri);
        let uri: &Uri = request.uri();
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(invalid()),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(invalid)?.clone();
        // Tunnels through an upstream are not supported.
        if request.method() == Method::CONNECT {
            return Err(invalid());
        }
        let is_upgrade = request.headers().contains_key(header::UPGRADE);
        Ok(Self { authority, is_https, is_upgrade })
    }
}
