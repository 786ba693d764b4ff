//! Connections: TCP, and TLS under one identity and one trust.

mod connector;
mod stream;
mod target;
mod tcp;
mod tls;

pub use self::{
    connector::{Connecting, MtlsConnector, MtlsConnectorLayer},
    stream::UpstreamStream,
    tls::client_config,
};
pub(super) use self::{
    stream::Watched,
    tcp::{TcpConnector, tcp_connector},
};
