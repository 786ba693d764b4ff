//! Message bodies: length, flow control, trailers and early ends.

mod aborts;
mod early;
mod flow;
mod framing;
mod head_sizes;
mod large;
mod max_size;
mod trailers;
mod truncated;
mod upstreams;
