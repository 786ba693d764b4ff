//! Reload, drain, timeouts, limits and metrics.

mod drain;
mod in_flight;
mod limits;
mod management;
mod rate_limits;
mod progress;
mod reload;
mod slow_callers;
mod unread;
