//! gRPC through the gateway, with tonic on both sides.

mod service;

use std::time::Duration;

use tokio::task::JoinSet;
use tonic::{Code, Request, metadata::MetadataValue};

use self::service::{World, codec, exchange, metadata, method, talk};
use crate::support::replace;

#[tokio::test]
async fn unary_call_and_its_metadata_pass_both_ways() {
    let world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let mut request = Request::new("hello".to_owned());
    let sent = MetadataValue::from_bytes(&[255, 0, 128]);
    request.metadata_mut().insert_bin("sent-bin", sent.clone());
    let response = client.unary(request, method("Unary"), codec()).await.unwrap();
    assert_eq!(response.get_ref(), "hello");
    let seen = response.metadata();
    assert_eq!(seen.get_bin("sent-bin"), Some(&sent));
    assert_eq!(seen.get_bin("proof-bin"), metadata().get_bin("proof-bin"));
    assert_eq!(seen.get("reason"), metadata().get("reason"));
    assert_eq!(seen.get("grpc-status").unwrap(), "0", "from the trailers");
}

#[tokio::test]
async fn streams_of_either_side_pass_whole_and_in_order() {
    let world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let numbers: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let request = Request::new(tokio_stream::iter(numbers.clone()));
    let response = client.client_streaming(request, method("Gather"), codec()).await.unwrap();
    assert_eq!(*response.get_ref(), numbers.concat());

    client.ready().await.unwrap();
    let request = Request::new("1000".to_owned());
    let mut replies = client.server_streaming(request, method("Count"), codec()).await.unwrap().into_inner();
    for number in numbers {
        assert_eq!(replies.message().await.unwrap(), Some(number));
    }
    let status = replies.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DataLoss, "in the trailers behind the messages");
}

#[tokio::test]
async fn statuses_pass_unchanged_behind_messages_and_without_any() {
    let world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let request = Request::new("fail".to_owned());
    let alone: Result<tonic::Response<String>, _> = client.unary(request, method("Unary"), codec()).await;
    client.ready().await.unwrap();
    let request = Request::new("3".to_owned());
    let mut replies = client.server_streaming(request, method("Count"), codec()).await.unwrap().into_inner();
    let behind = loop {
        match replies.message().await {
            Ok(message) => assert!(message.is_some(), "no error"),
            Err(status) => break status,
        }
    };
    for status in [alone.unwrap_err(), behind] {
        assert_eq!((status.code(), status.message()), (Code::DataLoss, "lost: 100 % grüß"));
        assert_eq!(status.details(), b"\0details\xff");
        assert_eq!(status.metadata().get_bin("proof-bin"), metadata().get_bin("proof-bin"));
        assert_eq!(status.metadata().get("reason"), metadata().get("reason"));
    }
}

#[tokio::test]
async fn messages_are_echoed_before_the_next_is_sent() {
    let mut world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let mut stream = talk(&mut client).await;
    for number in 0..200 {
        exchange(&mut stream, format!("message {number}")).await;
    }
    let (send, mut replies) = stream;
    drop(send);
    assert_eq!(replies.message().await.unwrap(), None);
    assert_eq!(world.next_event().await, "the stream is gone");
}

#[tokio::test]
async fn stream_stays_open_while_others_come_and_go() {
    let world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let mut lasting = talk(&mut client).await;
    for round in 0..20 {
        exchange(&mut lasting, format!("still here in round {round}")).await;
        let mut passing = talk(&mut client).await;
        exchange(&mut passing, "just passing".to_owned()).await;
        if round % 2 == 0 {
            drop(passing);
        } else {
            let (send, mut replies) = passing;
            drop(send);
            assert_eq!(replies.message().await.unwrap(), None);
        }
        client.ready().await.unwrap();
        let request = Request::new(round.to_string());
        assert_eq!(
            *client.unary(request, method("Unary"), codec()).await.unwrap().get_ref(),
            round.to_string()
        );
    }
    exchange(&mut lasting, "to the end".to_owned()).await;
}

#[tokio::test]
async fn hundred_conversations_share_one_connection() {
    let world = World::start().await;
    let client = world.client(Some("client")).await;
    let mut talking = JoinSet::new();
    for number in 0..100 {
        let mut client = client.clone();
        talking.spawn(async move {
            let mut stream = talk(&mut client).await;
            for round in 0..20 {
                exchange(&mut stream, format!("{number} in round {round}")).await;
            }
            stream
        });
    }
    let streams = talking.join_all().await;
    assert_eq!(streams.len(), 100, "all were open at the same time");
}

#[tokio::test]
async fn caller_without_an_admitted_certificate_gets_permission_denied() {
    let mut world = World::start().await;
    for certificate in [None, Some("stranger"), Some("expired"), Some("impostor")] {
        let mut client = world.client(certificate).await;
        let request = Request::new("hello".to_owned());
        let status = client.unary::<_, String, _>(request, method("Wait"), codec()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{certificate:?}");
        client.ready().await.unwrap();
        let request = Request::new(tokio_stream::pending());
        let status = client.streaming::<_, _, String, _>(request, method("Talk"), codec()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{certificate:?}");
    }
    assert!(world.was_told_nothing());
}

#[tokio::test]
async fn gateway_responses_are_statuses_with_stable_codes() {
    let world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let ambiguous = "/proof//Unary".parse().unwrap();
    let request = Request::new("hello".to_owned());
    let status = client.unary::<_, String, _>(request, ambiguous, codec()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "ambiguous_path"));

    // The upstream is gone.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = world.demo.dir().join("fronted.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replacen("path = \"/\"", "path = \"/elsewhere\"", 1);
    let upstream = text.split("https://localhost:").nth(1).unwrap().split('"').next().unwrap();
    replace(&config, text.replace(&format!(":{upstream}"), &format!(":{}", nowhere.port())));
    world.running.logged(0, "INFO gateway::server::follow: reloaded");
    for (path, code, message) in [
        ("/proof/Unary", Code::Unimplemented, "no_route"),
        ("/elsewhere/Unary", Code::Unavailable, "unreachable"),
    ] {
        client.ready().await.unwrap();
        let request = Request::new("hello".to_owned());
        let status = client.unary::<_, String, _>(request, path.parse().unwrap(), codec()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message), "{path}");
    }
}

#[tokio::test]
async fn deadline_reaches_the_upstream_and_ends_the_call_on_both_sides() {
    let mut world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let mut request = Request::new("hello".to_owned());
    request.set_timeout(Duration::from_millis(300));
    let status = client.unary::<_, String, _>(request, method("Wait"), codec()).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status}");
    assert_eq!(world.next_event().await, "waiting 300000u");
    assert_eq!(world.next_event().await, "the call is gone");
}

#[tokio::test]
async fn call_cancelled_by_the_caller_is_cancelled_at_the_upstream() {
    let mut world = World::start().await;
    let mut client = world.client(Some("client")).await;
    let mut waiting = client.clone();
    waiting.ready().await.unwrap();
    let request = Request::new("hello".to_owned());
    let call =
        tokio::spawn(async move { waiting.unary::<_, String, _>(request, method("Wait"), codec()).await });
    assert_eq!(world.next_event().await, "waiting for ever");
    call.abort();
    assert_eq!(world.next_event().await, "the call is gone");

    // The calls of a lost connection are cancelled.
    let mut stream = talk(&mut client).await;
    exchange(&mut stream, "hello".to_owned()).await;
    drop((stream, client));
    assert_eq!(world.next_event().await, "the stream is gone");
}
