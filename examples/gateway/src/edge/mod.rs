//! Callers' connections: the listener, its limits, and the bounds of routes. Imports `config` only.

mod bounds;
mod forward_error;
mod limits;
mod listener;
mod metrics;

pub(crate) use self::{
    bounds::{Bounded, Bounds, Download, Upload},
    forward_error::ForwardError,
    limits::{ConnectionLimit, caller_limit, management_limit, upstream_connections},
    listener::Listener,
};

/// Maximum size of a request's head (target and fields), in bytes.
///
/// A much larger head can fail other requests too: HTTP/2 upstreams close the whole connection.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
