//! Targets of connections.

use std::{
    error::Error as StdError,
    task::{Context, Poll},
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use rustls_pki_types::ServerName;
use tower_service::Service;

/// Returns the host of the URI as a name to verify.
pub(super) fn server_name(uri: &Uri) -> Result<ServerName<'static>, Box<dyn StdError + Send + Sync>> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(ServerName::try_from(host.to_owned())?)
}

/// Passes the TCP connector an `http` URI with a port: by default connectors reject `https`.
#[derive(Debug, Clone)]
pub(super) struct TcpTarget<C>(pub(super) C);

impl<C> Service<Uri> for TcpTarget<C>
where
    C: Service<Uri>,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = C::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // `MtlsConnector::call` has given the URI a port, so this cannot fail.
        self.0.call(with_scheme(uri.clone(), Scheme::HTTP, 443).unwrap_or(uri))
    }
}

/// Returns the URI with this scheme, and with this port unless it has one. None without a host.
pub(super) fn with_scheme(uri: Uri, scheme: Scheme, port: u16) -> Option<Uri> {
    let mut parts = uri.into_parts();
    let authority = parts.authority.take()?;
    parts.authority = Some(match authority.port() {
        Some(_) => authority,
        None => Authority::try_from(format!("{}:{port}", authority.host())).ok()?,
    });
    parts.scheme = Some(scheme);
    parts.path_and_query.get_or_insert_with(|| http::uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).ok()
}
