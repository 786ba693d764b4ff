//! Support of the crate `axum-server`.

use std::{future::Future, io, pin::Pin};

use axum_server::accept::Accept;
use tokio::net::TcpStream;

use super::{MtlsAcceptor, MtlsStream};
use crate::request::Capture;

/// For `axum_server::bind(address).acceptor(MtlsAcceptor::new(tls)).serve(app.into_make_service())`.
impl<S: Send + 'static> Accept<TcpStream, S> for MtlsAcceptor {
    type Stream = MtlsStream;
    type Service = Capture<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(MtlsStream, Capture<S>)>> + Send>>;

    fn accept(&self, socket: TcpStream, service: S) -> Self::Future {
        let acceptor = self.clone();
        Box::pin(async move {
            let remote = socket.peer_addr()?;
            let stream = Self::accept(&acceptor, socket, remote).await?;
            let service = stream.capture(service);
            Ok((stream, service))
        })
    }
}
