//! Client identities and server trust of the pooled client, over real sockets and TLS.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

mod identities;
mod trust;
