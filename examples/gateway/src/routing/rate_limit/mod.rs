//! Rate limits of routes, by address, certificate or route.

mod layer;
mod limiter;
mod table;

pub(super) use self::layer::RateLimited;
pub(crate) use self::{
    layer::{RateLimits, Rates},
    limiter::RateLimiter,
};
