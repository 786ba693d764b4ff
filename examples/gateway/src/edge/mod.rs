//! Callers' connections: listeners, limits, timeouts, strict HTTP/1, and bodies. Imports `config` only.

mod activity;
mod body;
mod body_limit;
mod bounds;
mod connection;
mod delivery;
mod early_response;
mod flush;
mod forward_error;
mod limits;
mod listener;
mod listener_control;
mod metrics;
mod strict_http1;
mod tunnel;
mod watched_io;

pub(crate) use self::{
    body::CallerBody,
    body_limit::{BodyLimit, BodyLimitLayer, LimitedBody},
    bounds::{Bounded, Bounds, Download, Upload},
    connection::MAX_HEAD,
    forward_error::ForwardError,
    limits::{ConnectionLimit, caller_limit, management_limit, upstream_connections},
    listener::Listener,
    strict_http1::is_malformed_body,
};
