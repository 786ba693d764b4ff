//! Values that travel with a request: the client's certificate and address, and extensions that steer the request.
//!
//! Built on [`certificate`](crate::certificate) and [`policy`](crate::policy); imports no room of the library above
//! them.
//!
//! A certificate passes through three states:
//!
//! 1. *presented* in the handshake: any client can present a self-made one. An acceptor, or [`Capture`], records it;
//! 2. *judged* by a layer on each request, such as [`RequireCertificateLayer`](crate::RequireCertificateLayer);
//! 3. *admitted*: [`admitted`] returns it as a [`ClientCertificate`], and [`verification`] reports whether it is proved.
//!
//! # Extensions
//!
//! Extensions are values in `http::Extensions`. They are not sent over the network, so neither a client nor an upstream
//! can set one. A layer reads those that an outer layer inserted: see [`guide::layers`](crate::guide::layers) for the
//! order.
//!
//! | extension of a request | inserted by | used by | effect |
//! |---|---|---|---|
//! | captured certificate and address (private) | the acceptor, [`Capture`] | [`admitted`], [`verification`], [`remote_addr`], [`danger::presented`](crate::danger::presented) | judged and updated by each layer; stays in the request |
//! | [`RequestIdentity`] | a layer of yours, `ForwardingLayer` | [`IdentityLayer`], which removes it | identity of this request, in place of the route's |
//! | [`RequestTrust`] | a layer of yours, `ForwardingLayer` | [`IdentityLayer`], which removes it | trust of this request, in place of the route's |
//! | [`Rewrite`] | a layer of yours, `ForwardingLayer` | [`ReverseProxy`], which removes it | upstream and header fields of this request |
//! | [`TunnelSlot`] | the server | [`ReverseProxy`], which removes it | receives the tunnel after a switch of protocols |
//! | [`Forwarding`] | [`ApimPolicyLayer`] | [`ForwardingLayer`], which removes it | decision of a policy document about the upstream request |
//!
//! | extension of a response | inserted by | used by | effect |
//! |---|---|---|---|
//! | [`Rejection`] | the layer that rejected the request | layers of yours, for logs | reason of the rejection; not sent to the client |
//! | [`AnyProtocol`] | the closure of [`with_refusal`] | the layer | sends the response to gRPC callers too |
//! | `hyper::ext::ReasonPhrase` | the layer | hyper | reason phrase of a 403 on HTTP/1.1 |
//!
//! # gRPC
//!
//! gRPC clients read no HTTP status. A server that responds with errors of its own detects their requests with
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
