use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::ext::ReasonPhrase;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{
    Certificate, Policy, admitted,
    certificate::{ManualClock, Presented, Thumbprint, Timestamp},
    danger::AssumePresentedLayer,
    pki::{Leaf, NOON},
    policy::{Rejection, RejectionKind},
    shared::Shared,
};

#[cfg(feature = "authorize")]
mod authorize;
mod log;

type Reply = Response<ResponseBody<Empty<Bytes>>>;

async fn handler(request: Request<()>) -> Result<Response<Empty<Bytes>>, Infallible> {
    assert!(admitted(request.extensions()).is_some(), "only admitted requests get here");
    Ok(Response::new(Empty::new()))
}

fn certificate() -> Certificate {
    Certificate::from_der(&Leaf::client("orders").self_signed().der).unwrap()
}

fn only(certificate: &Certificate) -> Policy {
    Policy::builder().thumbprint(certificate.sha256_thumbprint()).build().unwrap()
}

fn no_client() -> Policy {
    Policy::builder().thumbprint(Thumbprint::Sha256([0; 32])).build().unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_unix(NOON)))
}

async fn ask(policy: Policy, presented: impl Into<Presented>, request: Request<()>) -> Reply {
    let layer = RequireCertificateLayer::new(policy).with_clock(clock());
    let service = AssumePresentedLayer::new(presented).layer(layer.layer(service_fn(handler)));
    service.oneshot(request).await.unwrap()
}

fn kind(response: &Reply) -> RejectionKind {
    response.extensions().get::<Rejection>().expect("a refusal carries its rejection").kind()
}

#[tokio::test]
async fn listed_certificate_passes_and_others_get_403_with_the_reason_phrase() {
    let right = certificate();
    let accepted = ask(only(&right), right.clone(), Request::new(())).await;
    assert_eq!(accepted.status(), StatusCode::OK);
    assert!(accepted.extensions().get::<Rejection>().is_none());

    for (presented, expected) in [
        (Presented::from(certificate()), RejectionKind::Thumbprint),
        (Presented::Nothing, RejectionKind::Missing),
        (Presented::from_der_chain([&b"x"[..]]), RejectionKind::Unreadable),
    ] {
        let refused = ask(only(&right), presented, Request::new(())).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(kind(&refused), expected);
        let phrase = refused.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(phrase.as_bytes(), b"Invalid client certificate");
        assert_eq!(refused.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"type":"about:blank","title":"Invalid client certificate","status":403}"#);
    }
}

#[tokio::test]
async fn response_to_head_has_no_body() {
    let mut request = Request::new(());
    *request.method_mut() = Method::HEAD;
    let refused = ask(no_client(), certificate(), request).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn grpc_callers_get_permission_denied_as_trailers_only() {
    for (version, content_type, grpc) in [
        (Version::HTTP_2, "application/grpc", true),
        (Version::HTTP_2, "application/grpc+proto", true),
        (Version::HTTP_2, "application/grpc-web", false),
        (Version::HTTP_2, "application/json", false),
        (Version::HTTP_11, "application/grpc", false),
    ] {
        let request = Request::builder().version(version).header(header::CONTENT_TYPE, content_type);
        let request = request.body(()).unwrap();
        let refused = ask(no_client(), certificate(), request).await;
        let expected = if grpc { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(refused.status(), expected, "{content_type}");
        assert_eq!(
            refused.headers().get("grpc-status").is_some_and(|status| status == "7"),
            grpc,
            "{content_type}"
        );
        assert_eq!(kind(&refused), RejectionKind::Thumbprint);
    }
}

#[tokio::test]
async fn request_without_a_captured_certificate_gets_500() {
    let layer = RequireCertificateLayer::new(only(&certificate()));
    let response = layer.layer(service_fn(handler)).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(kind(&response), RejectionKind::NotCaptured);
    assert!(response.extensions().get::<ReasonPhrase>().is_none());
}

#[tokio::test]
async fn presented_certificate_is_not_admitted_without_a_layer() {
    let seen = service_fn(|request: Request<()>| async move {
        assert!(admitted(request.extensions()).is_none());
        assert!(matches!(crate::danger::presented(request.extensions()), Some(Presented::Certificate(_))));
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    AssumePresentedLayer::new(certificate()).layer(seen).oneshot(Request::new(())).await.unwrap();
}

#[tokio::test]
async fn layers_judge_independently() {
    let right = certificate();
    let clock = clock();
    for (outer, inner, expected) in [
        (only(&right), only(&right), StatusCode::OK),
        (only(&right), no_client(), StatusCode::FORBIDDEN),
        (no_client(), only(&right), StatusCode::FORBIDDEN),
    ] {
        let outer = RequireCertificateLayer::new(outer).with_clock(clock.clone());
        let inner = RequireCertificateLayer::new(inner).with_clock(clock.clone());
        let service =
            AssumePresentedLayer::new(right.clone()).layer(outer.layer(inner.layer(service_fn(handler))));
        for _ in 0..3 {
            let response = service.clone().oneshot(Request::new(())).await.unwrap();
            assert_eq!(response.status(), expected);
        }
    }
}

#[tokio::test]
async fn expiry_and_replacement_are_effective_on_open_connections() {
    let issued = Leaf::client("orders").until(NOON + 10).self_signed();
    let right = Certificate::from_der(&issued.der).unwrap();
    let clock = clock();
    let policy = Shared::new(only(&right));
    let layer = RequireCertificateLayer::new(policy.clone()).with_clock(clock.clone());
    let mut connection = AssumePresentedLayer::new(right.clone()).layer(layer.layer(service_fn(handler)));
    let mut ask = async || connection.ready().await.unwrap().call(Request::new(())).await.unwrap().status();

    assert_eq!(ask().await, StatusCode::OK);
    policy.replace(no_client());
    assert_eq!(ask().await, StatusCode::FORBIDDEN);
    policy.replace(only(&right));
    assert_eq!(ask().await, StatusCode::OK);
    clock.advance(10);
    assert_eq!(ask().await, StatusCode::OK, "the last second");
    clock.advance(1);
    assert_eq!(ask().await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn allow_missing_passes_missing_certificates_and_rejects_wrong_ones() {
    let right = certificate();
    let seen = service_fn(|request: Request<()>| async move {
        let named = admitted(request.extensions()).is_some();
        Ok::<_, Infallible>(
            Response::builder().header("named", named.to_string()).body(Empty::<Bytes>::new()).unwrap(),
        )
    });
    let layer = RequireCertificateLayer::new(only(&right)).with_clock(clock()).allow_missing();
    for (presented, expected) in [
        (Presented::from(right.clone()), Some("true")),
        (Presented::Nothing, Some("false")),
        (certificate().into(), None),
        (Presented::from_der_chain([&b"x"[..]]), None),
    ] {
        let service = AssumePresentedLayer::new(presented).layer(layer.layer(seen));
        let response = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.headers().get("named").map(|named| named.to_str().unwrap()), expected);
        assert_eq!(response.status() == StatusCode::FORBIDDEN, expected.is_none());
    }
}

#[tokio::test]
async fn shadow_mode_passes_all_requests_and_admits_no_wrong_certificate() {
    let right = certificate();
    let seen = service_fn(|request: Request<()>| async move {
        let status = if admitted(request.extensions()).is_some() { 200 } else { 202 };
        Ok::<_, Infallible>(Response::builder().status(status).body(Empty::<Bytes>::new()).unwrap())
    });
    let watching = RequireCertificateLayer::new(no_client()).with_clock(clock()).shadow();
    let enforcing = RequireCertificateLayer::new(only(&right)).with_clock(clock());
    let alone = watching.layer(seen);
    for presented in [Presented::from(right.clone()), Presented::Nothing] {
        let service = AssumePresentedLayer::new(presented).layer(alone.clone());
        assert_eq!(service.oneshot(Request::new(())).await.unwrap().status(), 202);
    }
    let inside = AssumePresentedLayer::new(right).layer(enforcing.layer(watching.layer(seen)));
    assert_eq!(inside.oneshot(Request::new(())).await.unwrap().status(), 200, "watching changes nothing");
    assert_eq!(alone.oneshot(Request::new(())).await.unwrap().status(), 500, "nothing was captured");
}

#[tokio::test]
async fn custom_refusal_carries_the_rejection_and_has_no_body_for_head() {
    let layer =
        RequireCertificateLayer::new(no_client()).with_clock(clock()).with_refusal(|parts, rejection| {
            assert_eq!(rejection.kind(), RejectionKind::Missing);
            let text = if parts.uri.path() == "/" { String::from("who are you?") } else { String::new() };
            Response::builder().status(StatusCode::UNAUTHORIZED).body(text).unwrap()
        });
    for (method, body) in [(Method::GET, "who are you?"), (Method::HEAD, "")] {
        let service = AssumePresentedLayer::new(Presented::Nothing).layer(layer.layer(service_fn(handler)));
        let request = Request::builder().method(method).body(()).unwrap();
        let refused = service.oneshot(request).await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(kind(&refused), RejectionKind::Missing);
        assert_eq!(refused.into_body().collect().await.unwrap().to_bytes(), body);
    }
}

#[tokio::test]
async fn custom_refusal_is_sent_to_grpc_clients_only_if_meant_for_them() {
    async fn refuse(make: fn() -> Response<String>) -> Response<ResponseBody<Empty<Bytes>>> {
        let layer =
            RequireCertificateLayer::new(no_client()).with_clock(clock()).with_refusal(move |_, _| make());
        let service = AssumePresentedLayer::new(Presented::Nothing).layer(layer.layer(service_fn(handler)));
        let request = Request::post("/orders.Orders/Get")
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        service.oneshot(request).await.unwrap()
    }
    let text = || Response::builder().status(401).body(String::from("no")).unwrap();
    let any_protocol = || {
        let mut response = Response::builder().status(401).body(String::from("no")).unwrap();
        response.extensions_mut().insert(AnyProtocol);
        response
    };
    let grpc = || {
        let response =
            Response::builder().header("content-type", "application/grpc").header("grpc-status", "16");
        response.body(String::new()).unwrap()
    };
    let without_status = || Response::new(String::from("no"));
    for (case, make, status, grpc_status) in [
        ("text", text as fn() -> Response<String>, 200, Some("7")),
        ("no status", without_status, 200, Some("7")),
        ("text for any protocol", any_protocol, 401, None),
        ("gRPC", grpc, 200, Some("16")),
    ] {
        let response = refuse(make).await;
        assert_eq!(response.status(), status, "{case}");
        let found = response.headers().get("grpc-status").map(|value| value.to_str().unwrap());
        assert_eq!(found, grpc_status, "{case}");
    }
}

#[tokio::test]
async fn own_refusal_without_a_status_is_not_a_success() {
    let layer = RequireCertificateLayer::new(no_client()).with_clock(clock());
    let layer = layer.with_refusal(|_, _| Response::new(String::from("no")));
    let service = AssumePresentedLayer::new(Presented::Nothing).layer(layer.layer(service_fn(handler)));
    let refused = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.into_body().collect().await.unwrap().to_bytes(), "no");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn custom_refusal_is_any_axum_response_without_a_streaming_body() {
    use axum::{
        body::Body,
        response::{Html, IntoResponse},
    };

    async fn refuse<R: IntoRefusal>(make: impl Fn() -> R + Send + Sync + 'static) -> (StatusCode, Bytes) {
        let layer =
            RequireCertificateLayer::new(no_client()).with_clock(clock()).with_refusal(move |_, _| make());
        let service = AssumePresentedLayer::new(Presented::Nothing).layer(layer.layer(service_fn(handler)));
        let response = service.oneshot(Request::new(())).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    }
    let html = refuse(|| (StatusCode::UNAUTHORIZED, Html("<p>no</p>"))).await;
    assert_eq!(html, (StatusCode::UNAUTHORIZED, Bytes::from_static(b"<p>no</p>")));
    let streaming = refuse(|| {
        let (sender, body) = http_body_util::channel::Channel::<Bytes>::new(1);
        std::mem::forget(sender);
        Body::new(body).into_response()
    });
    assert_eq!(streaming.await.0, StatusCode::FORBIDDEN, "the default response in its place");
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service() {
    let (inner, mut handle) = tower_test::mock::pair::<Request<()>, Response<Empty<Bytes>>>();
    handle.allow(0);
    let mut service = tokio_test::task::spawn(RequireCertificateLayer::new(no_client()).layer(inner));
    service.enter(|cx, mut service| assert!(service.poll_ready(cx).is_pending()));
    handle.allow(1);
    assert!(service.is_woken());
    service.enter(|cx, mut service| assert!(service.poll_ready(cx).is_ready()));
}
