//! Connections: TCP, and TLS under one identity and one trust.

mod connector;
mod stream;
mod target;
mod tcp;
mod tls;
mod watched;

pub use self::{
    connector::{Connecting, MtlsConnector, MtlsConnectorLayer},
    stream::UpstreamStream,
    tls::client_config,
};
pub(super) use self::{
    tcp::{TcpConnector, tcp_connector},
    watched::Watched,
};
