//! Values that travel with a request: the client's certificate and address, and extensions that steer the request.
//!
//! Built on [`certificate`](crate::certificate) and [`policy`](crate::policy).
//!
//! A certificate passes through three states:
//!
//! 1. *presented* in the handshake: any caller can present a self-made one. An acceptor, or [`Capture`], records it;
//! 2. *judged* by a layer on each request, such as [`RequireCertificateLayer`](crate::RequireCertificateLayer);
//! 3. *admitted*: [`admitted`] returns it as a [`ClientCertificate`], and [`verification`] reports whether it is proved.
//!
//! # Extensions
//!
//! Extensions are not sent over the network, so neither a caller nor an upstream can insert one. A layer uses those that
//! a layer outside of it inserted: see [`guide::layers`](crate::guide::layers) for the order.
//!
//! | extension of a request | inserted by | used by | effect |
//! |---|---|---|---|
//! | captured certificate and address (private) | [`capture`](crate::capture) and other acceptors; [`Capture`] | layers that admit, which record their verdict; [`admitted`], [`verification`], [`remote_addr`], extractors | the facts that are judged, and the verdict; stays in the request |
//! | [`Forwarding`] | [`ApimPolicyLayer`] | [`ForwardingLayer`], which replaces it with the next three | upstream, identity and headers that a policy document chose |
//! | [`Rewrite`] | a layer of yours outside of [`ReverseProxy`] | `ReverseProxy`, which removes it | another upstream for this request; headers set after the caller's claims are removed |
//! | [`RequestIdentity`] | a layer of yours outside of [`IdentityLayer`] | `IdentityLayer`, which removes it | another identity for this request, or a failure |
//! | [`RequestTrust`] | a layer of yours outside of [`IdentityLayer`] | `IdentityLayer`, which removes it | another upstream trust for this request, on separate connections |
//! | [`TunnelSlot`] | a layer of yours outside of [`ReverseProxy`] | `ReverseProxy`, which removes it | receives the tunnel of an upgrade, which the application runs |
//!
//! | extension of a response | inserted by | used by | effect |
//! |---|---|---|---|
//! | [`Rejection`] | the layer that rejected the request | layers of yours outside of it | the reason, for logs; it is not sent to the caller |
//! | [`AnyProtocol`] | a closure of [`with_refusal`] | the layer | the response is sent to gRPC callers too |
//! | `hyper::ext::ReasonPhrase` | the layer that rejected the request | hyper | reason phrase of a 403 on HTTP/1.1 |
//!
//! # gRPC
//!
//! gRPC callers expect errors as a `grpc-status`. A server that responds with own errors detects their requests with
//! [`is_grpc`] and builds the response with [`grpc_error`], as the layers do.
//!
//! [`AnyProtocol`]: crate::inbound::AnyProtocol
//! [`ApimPolicyLayer`]: crate::apim::ApimPolicyLayer
//! [`Forwarding`]: crate::apim::Forwarding
//! [`ForwardingLayer`]: crate::apim::ForwardingLayer
//! [`IdentityLayer`]: crate::IdentityLayer
//! [`Rejection`]: crate::policy::Rejection
//! [`RequestIdentity`]: crate::outbound::RequestIdentity
//! [`RequestTrust`]: crate::outbound::RequestTrust
//! [`ReverseProxy`]: crate::proxy::ReverseProxy
//! [`Rewrite`]: crate::proxy::Rewrite
//! [`TunnelSlot`]: crate::proxy::TunnelSlot
//! [`with_refusal`]: crate::RequireCertificateLayer::with_refusal

pub(crate) mod assume;
mod capture;
pub(crate) mod captured;
#[cfg(any(feature = "apim", feature = "proxy"))]
pub(crate) mod claims;
mod client_certificate;
mod grpc;

pub(crate) use self::grpc::is_grpc_type;
pub use self::{
    capture::Capture,
    captured::{admitted, remote_addr, verification},
    client_certificate::ClientCertificate,
    grpc::{grpc_error, is_grpc},
};
