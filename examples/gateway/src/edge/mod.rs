//! Callers' connections: the listener, its limits, and the bounds of routes. Imports `config` only.

mod bounds;
mod buffers;
mod forward_error;
mod inspected_body;
mod limits;
mod listener;
mod metrics;
mod size_limits;

pub(crate) use self::{
    bounds::{Bounded, Bounds, Download, StreamIdleTimeout},
    forward_error::ForwardError,
    inspected_body::{BoxError, Inspect, InspectedBody},
    limits::{ConnectionLimit, caller_limit, management_limit, upstream_connections},
    listener::Listener,
    size_limits::{LimitedBody, SizeLimits, SizeLimitsLayer},
};
