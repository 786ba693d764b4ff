//! What a message's body goes through: length, speed, trailers, and every way to end too early.

mod aborts;
mod early;
mod flow;
mod framing;
mod large;
mod trailers;
mod truncated;
mod upstreams;
