//! Paths, bodies, upgrades, gRPC and strict HTTP/1.

mod bodies;
mod grpc;
mod paths;
mod strict_http1;
mod websocket;
