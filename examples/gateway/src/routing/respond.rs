//! Requests from the listener: routing, the layers of the route, and responses for errors.

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use tower::ServiceExt;
use tower_mtls::{
    inbound::ResponseBody, outbound::UpstreamBody, remote_addr, request::is_grpc, serve::CallerBody,
};

use super::{
    error_response::{forward_error_response, to_grpc},
    exchange::{Exchange, ExchangeBody},
    identity_selector::SelectorValue,
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
    current: &ArcSwap<RoutingSnapshot>,
    mut request: Request<CallerBody>,
) -> Response<ExchangeBody<RouteBody>> {
    let (is_head, is_grpc) = (request.method() == Method::HEAD, is_grpc(&request));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let remote = remote_addr(request.extensions()).map(tracing::field::display);
    let route = current.load().route(&mut request).map(|route| (route.facts.clone(), route.service.clone()));
    let (facts, service) = match route {
        Ok(route) => route,
        Err(error) => {
            let (method, path) = (log::cut(method.as_str()), log::cut(&path));
            tracing::debug!(%method, path = &*path, remote, ?error, "request rejected: no route");
            metrics::unrouted(error.code());
            let response = error.response();
            let response = if is_grpc { to_grpc(response.status(), error.code()) } else { response };
            return gateway_response(response, is_head).map(|body| ExchangeBody::new(body, None));
        }
    };
    let selector_value = facts.identity_selector.as_ref().map(|by| by.prepare(&mut request));
    let mut exchange = Exchange::begin(facts);
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
    let mut error_code = None;
    let mut response = result.unwrap_or_else(|error| {
        let code = error.code();
        let RouteFacts { path: route, upstream, identity, metrics, .. } = exchange.facts();
        let identity = identity.as_deref().filter(|_| error.is_unknown_identity());
        let selector_value = selector_value.as_ref().filter(|_| error.is_unknown_identity());
        let (by, value) = (selector_value.map(SelectorValue::by), selector_value.map(SelectorValue::value));
        let (method, path) = (log::cut(method.as_str()), log::cut(&path));
        if error.is_caller_fault() {
            // At the level of rejections, whose rate limit is separate: callers cannot suppress upstream errors.
            tracing::info!(code, %method, path = &*path, route, upstream, remote, "{error}");
        } else {
            tracing::warn!(code, %method, path = &*path, route, upstream, remote, identity, by, value, "{error}");
        }
        metrics.failed(code);
        error_code = Some(code);
        gateway_response(forward_error_response(&error), is_head)
    });
    exchange.set_status(response.status());
    if let Some(code) = error_code.filter(|_| is_grpc) {
        response = gateway_response(to_grpc(response.status(), code), is_head);
    }
    response.map(|body| ExchangeBody::new(body, Some(exchange)))
}

/// Converts a response of the gateway; the response to HEAD has no body.
fn gateway_response(response: Response<Full<Bytes>>, is_head: bool) -> Response<RouteBody> {
    response.map(|body| Either::Right(if is_head { Full::default() } else { body }))
}
