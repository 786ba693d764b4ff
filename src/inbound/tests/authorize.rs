//! The asynchronous decision after the rules.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::request::Parts;
use tokio::sync::Notify;

use super::*;

/// A value that a decision adds to the request.
#[derive(Debug, Clone, PartialEq)]
struct Role(&'static str);

async fn with_role(request: Request<()>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let role = request.extensions().get::<Role>().map_or("none", |role| role.0);
    let is_admitted = admitted(request.extensions()).is_some();
    let response = Response::builder().header("role", role).header("admitted", is_admitted.to_string());
    Ok(response.body(Empty::new()).unwrap())
}

fn caller() -> Certificate {
    super::certificate()
}

fn layer(caller: &Certificate) -> RequireCertificateLayer {
    RequireCertificateLayer::new(only(caller)).with_clock(clock())
}

async fn send(layer: &AuthorizeLayer, caller: &Certificate) -> Response<ResponseBody<Empty<Bytes>>> {
    let service = AssumePresentedLayer::new(caller.clone()).layer(layer.layer(service_fn(with_role)));
    service.oneshot(Request::new(())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn decision_admits_or_rejects_by_its_kind() {
    let caller = caller();
    let decisions: [(&str, AuthorizeLayer, u16, Option<RejectionKind>); 5] = [
        (
            "role",
            layer(&caller).authorize(|mut parts: Parts, _| async {
                parts.extensions.insert(Role("orders"));
                Ok(parts)
            }),
            200,
            None,
        ),
        (
            "no role",
            layer(&caller).authorize(|_, _| async { Err(Rejection::not_authorized("no role")) }),
            403,
            Some(RejectionKind::NotAuthorized),
        ),
        (
            "no database",
            layer(&caller).authorize(|_, _| async { Err(Rejection::unavailable("no database")) }),
            503,
            Some(RejectionKind::AuthorizationUnavailable),
        ),
        (
            "too slow",
            layer(&caller).authorize(|parts, _| async {
                tokio::time::sleep(Duration::from_millis(1_001)).await;
                Ok(parts)
            }),
            503,
            Some(RejectionKind::AuthorizationTimeout),
        ),
        (
            "panic",
            layer(&caller).authorize(|_, _| async { panic!("a bug") }),
            500,
            Some(RejectionKind::AuthorizationPanicked),
        ),
    ];
    for (case, layer, status, rejected) in decisions {
        let response = send(&layer, &caller).await;
        assert_eq!(response.status(), status, "{case}");
        assert_eq!(response.extensions().get::<Rejection>().map(Rejection::kind), rejected, "{case}");
        let role = response.headers().get("role").map(|role| role.to_str().unwrap());
        assert_eq!(role, (status == 200).then_some("orders"), "{case}");
    }
}

#[tokio::test]
async fn decision_is_not_made_for_requests_that_the_rules_reject() {
    let (caller, stranger) =
        (caller(), Certificate::from_der(&Leaf::client("stranger").self_signed().der).unwrap());
    static DECISIONS: AtomicUsize = AtomicUsize::new(0);
    let layer = layer(&caller).authorize(|parts, certificate| async move {
        assert_eq!(certificate.subject().common_names().next(), Some("orders"));
        DECISIONS.fetch_add(1, Ordering::Relaxed);
        Ok(parts)
    });
    assert_eq!(send(&layer, &stranger).await.status(), 403);
    let uncaptured = layer.layer(service_fn(with_role)).oneshot(Request::new(())).await.unwrap();
    assert_eq!(uncaptured.status(), 500);
    assert_eq!(DECISIONS.load(Ordering::Relaxed), 0);
    for _ in 0..2 {
        assert_eq!(send(&layer, &caller).await.status(), 200);
    }
    assert_eq!(DECISIONS.load(Ordering::Relaxed), 2, "every request is decided upon");
}

#[tokio::test]
async fn rejected_request_in_shadow_mode_passes_without_being_admitted() {
    let caller = caller();
    let layer = layer(&caller).shadow().authorize(|_, _| async { Err(Rejection::not_authorized("no role")) });
    let response = send(&layer, &caller).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["admitted"], "false");
}

#[tokio::test(start_paused = true)]
async fn decisions_beyond_the_limit_wait_for_their_timeout() {
    let caller = caller();
    let release = Arc::new(Notify::new());
    let waiting = release.clone();
    let layer = layer(&caller)
        .authorize(move |parts, _| {
            let waiting = waiting.clone();
            async move {
                waiting.notified().await;
                Ok(parts)
            }
        })
        .with_max_concurrent(1)
        .with_timeout(Duration::from_secs(5));
    let (slow, other) = tokio::join!(
        async {
            let response = send(&layer, &caller).await;
            response.status()
        },
        async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let response = send(&layer.clone().with_timeout(Duration::from_secs(1)), &caller).await;
            release.notify_one();
            response.status()
        }
    );
    assert_eq!((slow.as_u16(), other.as_u16()), (200, 503));
}

#[tokio::test]
async fn dropped_response_future_cancels_the_decision() {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (caller, dropped) = (caller(), Arc::new(AtomicUsize::new(0)));
    let count = dropped.clone();
    let layer = layer(&caller).authorize(move |parts, _| {
        let guard = OnDrop(count.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(parts)
        }
    });
    let service = AssumePresentedLayer::new(caller).layer(layer.layer(service_fn(with_role)));
    let mut response = tokio_test::task::spawn(service.oneshot(Request::new(())));
    assert!(response.poll().is_pending());
    drop(response);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn rejected_decision_takes_the_admission_back_before_the_refusal() {
    let caller = caller();
    let layer = layer(&caller)
        .with_refusal(|parts, _| {
            let status = if admitted(&parts.extensions).is_some() { 500 } else { 401 };
            Response::builder().status(status).body(String::new()).unwrap()
        })
        .authorize(|_, _| async { Err(Rejection::not_authorized("no role")) });
    assert_eq!(send(&layer, &caller).await.status(), 401);
}
