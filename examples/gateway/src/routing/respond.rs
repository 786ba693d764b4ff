//! Requests from the listener: routing, the layers of the route, and responses for errors.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{Either, Full};
use tower::ServiceExt;
use tower_mtls::{
    certificate::Presented, danger::presented, inbound::ResponseBody, outbound::UpstreamBody,
    policy::RejectionKind, remote_addr, request::is_grpc, serve::CallerBody,
};

use super::{
    error_response::{RoutingError, forward_error_response, to_grpc},
    exchange::{Exchange, ExchangeBody, RequestFields},
    identity_selector::SelectorValue,
    in_flight,
    layers::RouteService,
    metrics,
    route::RouteFacts,
    snapshot::RoutingSnapshot,
};
use crate::{edge::Download, log};

/// Response body of an upstream, of a rejection, or of the gateway.
pub(crate) type RouteBody =
    Either<Either<ResponseBody<Download<UpstreamBody>>, Download<UpstreamBody>>, Full<Bytes>>;

/// Responds to a request with the current snapshot.
///
/// The snapshot is not kept: a long request must not keep routes and identities of a replaced configuration.
pub(crate) async fn respond(
    current: &Arc<ArcSwap<RoutingSnapshot>>,
    mut request: Request<CallerBody>,
) -> Response<ExchangeBody<RouteBody>> {
    let (is_head, is_grpc) = (request.method() == Method::HEAD, is_grpc(&request));
    let fields = RequestFields::of(&request);
    let route = route(current, &mut request);
    let (facts, service) = match route {
        Ok(route) => route,
        Err(error) => {
            if error != RoutingError::CertificateNotTrusted {
                let (method, path) = (fields.method(), fields.path());
                let remote = fields.remote.map(tracing::field::display);
                tracing::debug!(%method, path = &*path, remote, ?error, "request rejected: no route");
            }
            metrics::unrouted(error.code());
            let response = error.response();
            let mut response = if is_grpc { to_grpc(response.status(), error.code()) } else { response };
            if error.closes_connection() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            return gateway_response(response, is_head).map(|body| ExchangeBody::new(body, None));
        }
    };
    let selector_value = facts.identity_selector.as_ref().map(|by| by.prepare(&mut request));
    let mut exchange = Exchange::begin(facts, fields);
    let result = match service {
        RouteService::Rules(service) => {
            let result = service.oneshot(request).await;
            result.map(|response| response.map(Either::Left).map(Either::Left))
        }
        RouteService::Document(service) => {
            let result = service.oneshot(request).await;
            result.map(|response| response.map(Either::Left).map(Either::Left))
        }
        RouteService::Open(service) => {
            let result = service.oneshot(request).await;
            result.map(|response| response.map(Either::Right).map(Either::Left))
        }
    };
    let (mut error_code, mut is_disconnected) = (None, false);
    let mut response = result.unwrap_or_else(|error| {
        let code = error.code();
        let RouteFacts { path: route, upstream, identity, metrics, .. } = exchange.facts();
        let identity = identity.as_deref().filter(|_| error.is_unknown_identity());
        let selector_value = selector_value.as_ref().filter(|_| error.is_unknown_identity());
        let (by, value) = (selector_value.map(SelectorValue::by), selector_value.map(SelectorValue::value));
        let fields = exchange.request();
        let (method, path) = (fields.method(), fields.path());
        let remote = fields.remote.map(tracing::field::display);
        is_disconnected = error.is_disconnect();
        if is_disconnected {
            tracing::debug!(code, %method, path = &*path, route, upstream, remote, "{error}");
        } else if error.is_caller_fault() {
            // At the level of rejections, whose rate limit is separate: callers cannot suppress upstream errors.
            tracing::info!(code, %method, path = &*path, route, upstream, remote, "{error}");
        } else {
            tracing::warn!(code, %method, path = &*path, route, upstream, remote, identity, by, value, "{error}");
        }
        if !is_disconnected {
            metrics.failed(code);
        }
        error_code = Some(code);
        gateway_response(forward_error_response(&error), is_head)
    });
    if !is_disconnected {
        exchange.set_status(response.status());
    }
    if let Some(code) = error_code.filter(|_| is_grpc) {
        response = gateway_response(to_grpc(response.status(), code), is_head);
    }
    response.map(|body| ExchangeBody::new(body, Some(exchange)))
}

/// Judges the listener's requirement for certificates, and finds the route.
fn route(
    current: &Arc<ArcSwap<RoutingSnapshot>>,
    request: &mut Request<CallerBody>,
) -> Result<(Arc<RouteFacts>, RouteService), RoutingError> {
    let snapshot = current.load();
    if let Err(kind) = snapshot.file.handshake_rule.judge(request.extensions()) {
        log_untrusted(kind, request);
        return Err(RoutingError::CertificateNotTrusted);
    }
    let route = snapshot.route(request)?;
    in_flight::prepare(current, route, request);
    Ok((route.facts.clone(), route.service.clone()))
}

#[cold]
fn log_untrusted(kind: RejectionKind, request: &Request<CallerBody>) {
    let certificate = match presented(request.extensions()) {
        Some(Presented::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    tracing::info!(
        reason = kind.as_str(),
        method = &*log::cut(request.method().as_str()),
        path = &*log::cut(request.uri().path()),
        remote = remote_addr(request.extensions()).map(tracing::field::display),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "request rejected and connection closed: the listener requires a trusted certificate"
    );
}

/// Converts a response of the gateway; the response to HEAD has no body.
fn gateway_response(response: Response<Full<Bytes>>, is_head: bool) -> Response<RouteBody> {
    response.map(|body| Either::Right(if is_head { Full::default() } else { body }))
}
