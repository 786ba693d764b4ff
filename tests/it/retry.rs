//! Requests that are retried, and requests that are not.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::io::AsyncReadExt;
use tower::{Layer, Service, ServiceExt};
use tower_mtls::{
    IdentityLayer, MtlsClient,
    outbound::{ClientError, ClientErrorKind, UpstreamBody},
};

use crate::support::{
    Http, every_version, in_time,
    pki::{Authority, Leaf},
    raw::{Raw, answer, read_head, reset, stall},
    upstream::CLOSE,
    world::send,
    world::{Route, World, ask_with, identity, post},
};

type Whole = Full<bytes::Bytes>;

fn request(method: Method, uri: &str, body: &'static str) -> Request<Whole> {
    Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
}

/// A route with retries.
fn repeating(
    layer: IdentityLayer,
    world: &World,
) -> impl Service<Request<Whole>, Response = Response<UpstreamBody>, Error = ClientError, Future: Send>
+ Clone
+ Send
+ use<> {
    let client: MtlsClient<Whole> = MtlsClient::builder().trust(world.trust()).build_repeating();
    layer.layer(client)
}

/// The upstream's action once it has read a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Close,
    Reset,
    /// Sends the first byte of a response, and no more.
    OneOctet,
    Nothing,
}

#[tokio::test]
async fn idempotent_request_is_sent_twice_only_if_no_response_byte_arrived() {
    let world = World::new();
    for (name, method, body, action, times) in [
        ("GET that dies", Method::GET, "", Action::Close, 2),
        ("GET that is reset", Method::GET, "", Action::Reset, 2),
        ("HEAD that dies", Method::HEAD, "", Action::Close, 2),
        ("DELETE that dies", Method::DELETE, "", Action::Close, 2),
        ("PUT without a body that dies", Method::PUT, "", Action::Close, 2),
        ("GET that dies in the answer", Method::GET, "", Action::OneOctet, 1),
        ("GET with a body", Method::GET, "body", Action::Close, 1),
        ("PUT with a body", Method::PUT, "body", Action::Close, 1),
        ("POST", Method::POST, "body", Action::Close, 1),
        ("POST without a body", Method::POST, "", Action::Reset, 1),
        ("PATCH", Method::PATCH, "", Action::Close, 1),
        ("GET that is not answered in time", Method::GET, "", Action::Nothing, 1),
    ] {
        let seen = Arc::new(AtomicUsize::new(0));
        let counting = seen.clone();
        let upstream = Raw::start(&world.server, Http::One, move |_, stream, tls| {
            let seen = counting.clone();
            async move {
                let mut stream = tls.accept(stream).await?;
                loop {
                    let head = read_head(&mut stream).await?;
                    if head.starts_with("GET /first ") {
                        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
                        continue;
                    }
                    seen.fetch_add(1, Ordering::SeqCst);
                    return match action {
                        Action::Close => Ok(()),
                        Action::Reset => {
                            reset(stream.into_inner().0);
                            Ok(())
                        }
                        Action::OneOctet => answer(&mut stream, "H").await,
                        Action::Nothing => stall(&mut stream).await,
                    };
                }
            }
        });
        // On a connection that was idle, and on a new one.
        for warm in [true, false] {
            seen.store(0, Ordering::SeqCst);
            let route = repeating(IdentityLayer::new(world.identity("orders")), &world);
            if warm {
                let first = route.clone().oneshot(request(Method::GET, &upstream.uri("/first"), "")).await;
                in_time("a body", first.unwrap().into_body().collect()).await.unwrap();
            }
            let sending = route.oneshot(request(method.clone(), &upstream.uri("/"), body));
            match action {
                Action::Nothing => {
                    assert!(tokio::time::timeout(Duration::from_millis(200), sending).await.is_err());
                }
                _ => {
                    let error = in_time("an error", sending).await.unwrap_err();
                    assert_eq!(error.kind(), ClientErrorKind::Connection, "{name}: {error:?}");
                    assert!(error.was_sent(), "{name}: {error:?}");
                    assert_eq!(error.may_repeat(), action != Action::OneOctet, "{name}: {error:?}");
                }
            }
            assert_eq!(seen.load(Ordering::SeqCst), times, "{name}, warm: {warm}");
        }
    }
}

#[tokio::test]
async fn retried_request_is_answered() {
    let world = World::new();
    let upstream = Raw::start(&world.server, Http::One, |number, stream, tls| async move {
        let mut stream = tls.accept(stream).await?;
        read_head(&mut stream).await?;
        if number > 0 {
            answer(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
        Ok(())
    });
    let route = repeating(IdentityLayer::new(world.identity("orders")), &world);
    let response = in_time("an answer", route.oneshot(request(Method::GET, &upstream.uri("/"), ""))).await;
    assert_eq!(response.unwrap().status(), 204);
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn connection_that_dies_before_the_request_leaves_it_unsent() {
    let world = World::new();
    let upstream = Raw::start(&world.server, Http::One, |_, stream, tls| async move {
        tls.accept(stream).await?;
        Ok(())
    });
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    for _ in 0..20 {
        let error = send(&route, post(&upstream.uri("/"), "order")).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Connection);
        assert!(error.may_repeat());
    }
}

/// The upstream demands a certificate of another authority; on TLS 1.3 its alert can arrive while the request is
/// under way.
#[tokio::test]
async fn request_refused_by_a_tls_alert_is_sent_at_most_once() {
    let world = World::new();
    let others = Authority::root("Other Client CA");
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).only_for(&others).start();
        for layer in [IdentityLayer::new(world.identity("orders")), IdentityLayer::anonymous()] {
            for (number, (method, body)) in
                [(Method::GET, ""), (Method::POST, "order")].into_iter().cycle().take(20).enumerate()
            {
                let route = repeating(layer.clone(), &world);
                let sending = route.oneshot(request(method.clone(), &upstream.uri("/"), body));
                let refused = in_time("a refusal", sending).await.unwrap_err();
                assert_eq!(
                    refused.kind(),
                    ClientErrorKind::IdentityRefused,
                    "{tls:?} {http:?} {method} {number}"
                );
                assert!(!refused.may_repeat());
            }
        }
        assert_eq!(upstream.requests(), 0, "{tls:?} {http:?}");
        assert_eq!(upstream.attempts(), 40, "{tls:?} {http:?}: one connection for each request");

        let welcome = identity(&others.issue(&Leaf::client("orders")));
        let route = repeating(IdentityLayer::new(welcome), &world);
        let response = route.oneshot(request(Method::GET, &upstream.uri("/"), "")).await.unwrap();
        assert_eq!(response.headers()["x-subject"], "CN=orders,O=Contoso");
    }
}

#[tokio::test]
async fn refused_identity_is_not_offered_again_for_each_waiting_request() {
    let world = World::new();
    let others = Authority::root("Other Client CA");
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).only_for(&others).start();
        let route: Route = IdentityLayer::new(world.identity("orders")).layer(world.client());
        let refused: tokio::task::JoinSet<_> =
            (0..20).map(|_| send(&route, post(&upstream.uri("/"), "order"))).collect();
        for refused in refused.join_all().await {
            assert_eq!(refused.unwrap_err().kind(), ClientErrorKind::IdentityRefused, "{tls:?} {http:?}");
        }
        assert!(upstream.attempts() <= 20, "{tls:?} {http:?}: {}", upstream.attempts());
    }
}

#[tokio::test]
async fn refused_stream_is_retried_and_a_reset_one_is_not() {
    let world = World::new();
    for (reason, may_repeat) in
        [(h2::Reason::REFUSED_STREAM, true), (h2::Reason::INTERNAL_ERROR, false), (h2::Reason::CANCEL, false)]
    {
        let upstream = Raw::start(&world.server, Http::Two, move |_, stream, tls| async move {
            let stream = tls.accept(stream).await?;
            let mut connection = h2::server::handshake(stream).await.map_err(std::io::Error::other)?;
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(reason);
            }
            Ok(())
        });
        let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
        let error = send(&route, post(&upstream.uri("/"), "order")).await.unwrap_err();
        assert_eq!((error.kind(), error.may_repeat()), (ClientErrorKind::Connection, may_repeat), "{reason}");
    }
}

#[tokio::test]
async fn goaway_lets_requests_in_flight_finish_and_moves_the_next_request() {
    let world = World::new();
    let upstream = world.upstream().http(Http::Two).start();
    let route = world.route();
    let close = || {
        let mut request = post(&upstream.uri("/"), "order");
        request.headers_mut().insert(CLOSE, "1".parse().unwrap());
        request
    };
    for round in 0..20 {
        // The response arrives with a GOAWAY; nothing is lost or sent twice.
        ask_with(&route, close()).await;
        assert_eq!(upstream.requests(), round + 1);
    }
}

#[tokio::test]
async fn failing_request_body_is_not_a_dead_connection() {
    let world = World::new();
    let upstream = Raw::start(&world.server, Http::One, |_, stream, tls| async move {
        let mut stream = tls.accept(stream).await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(|_| ())
    });
    type Failing = http_body_util::combinators::BoxBody<bytes::Bytes, std::io::Error>;
    let client: MtlsClient<Failing> = MtlsClient::builder().trust(world.trust()).build();
    let (mut sender, body) = http_body_util::channel::Channel::<bytes::Bytes, std::io::Error>::new(2);
    sender.send_data("begun".into()).await.unwrap();
    sender.abort(std::io::Error::other("the caller went away"));
    let request = Request::put(upstream.uri("/")).body(body.boxed()).unwrap();
    let route = IdentityLayer::new(world.identity("orders")).layer(client);
    let error = in_time("an error", route.oneshot(request)).await.unwrap_err();
    assert!(!error.may_repeat(), "{error:?}");
}

/// Each connection serves one request at a time, and announces its end after the first.
#[tokio::test]
async fn requests_rejected_by_a_closing_connection_move_to_another() {
    let world = World::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let counting = seen.clone();
    let upstream = Raw::start(&world.server, Http::Two, move |_, stream, tls| {
        let seen = counting.clone();
        async move {
            let stream = tls.accept(stream).await?;
            let handshake =
                h2::server::Builder::new().max_concurrent_streams(1).handshake::<_, bytes::Bytes>(stream);
            let mut connection = handshake.await.map_err(std::io::Error::other)?;
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                seen.fetch_add(1, Ordering::SeqCst);
                let _ = respond.send_response(Response::new(()), true);
                connection.graceful_shutdown();
            }
            Ok(())
        }
    });
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    let answers: tokio::task::JoinSet<_> =
        (0..20).map(|_| send(&route, post(&upstream.uri("/"), ""))).collect();
    for answer in answers.join_all().await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn requests_do_not_wait_forever_for_an_upstream_that_closes_all_connections() {
    let world = World::new();
    for http in Http::BOTH {
        let upstream = Raw::start(&world.server, http, |_, stream, tls| async move {
            tls.accept(stream).await?;
            Ok(())
        });
        let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
        let failures: tokio::task::JoinSet<_> =
            (0..20).map(|_| send(&route, post(&upstream.uri("/"), "order"))).collect();
        for failure in failures.join_all().await {
            let kind = failure.unwrap_err().kind();
            assert!(matches!(kind, ClientErrorKind::Connection | ClientErrorKind::Unreachable), "{http:?}");
        }
    }
}
