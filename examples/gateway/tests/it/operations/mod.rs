//! Reload, drain, timeouts, limits and metrics.

mod drain;
mod in_flight;
mod limits;
mod live;
mod management;
mod progress;
mod rate_limits;
mod reload;
mod slow_callers;
#[cfg(target_os = "linux")]
mod unread;
mod uploads;
