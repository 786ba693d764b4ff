//! Responses that an upstream ends before they are complete.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{Response, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use tokio::{io::AsyncWriteExt, sync::Notify};
use tower::Layer;
use tower_mtls::{
    IdentityLayer,
    outbound::{ClientErrorKind, UpstreamBody},
};

use crate::support::{
    Http, in_time,
    raw::{Raw, answer, read_head, reset},
    world::{World, get, send},
};

/// How an upstream ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    CloseNotify,
    Fin,
}

/// The body bytes that are read, and whether the body ended without an error.
async fn read(mut body: UpstreamBody) -> (String, Result<(), ClientErrorKind>) {
    let mut bytes = Vec::new();
    loop {
        match in_time("a frame", body.frame()).await {
            Some(Ok(frame)) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(error)) => {
                assert!(error.was_sent() && !error.may_repeat());
                return (String::from_utf8(bytes).unwrap(), Err(error.kind()));
            }
            None => return (String::from_utf8(bytes).unwrap(), Ok(())),
        }
    }
}

const LENGTH: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\n";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
const CLOSE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
const OLD: &str = "HTTP/1.0 200 OK\r\n\r\n";

#[tokio::test]
async fn response_is_complete_only_if_length_chunks_or_close_notify_prove_it() {
    const CUT: Result<(), ClientErrorKind> = Err(ClientErrorKind::Truncated);
    let world = World::new();
    for (head, body, end, read_of_it, strict, lenient) in [
        (LENGTH, "complete", End::Fin, "complete", Ok(()), Ok(())),
        (LENGTH, "compl", End::Fin, "compl", CUT, CUT),
        (LENGTH, "compl", End::CloseNotify, "compl", CUT, CUT),
        (CHUNKS, "5\r\ncompl\r\n3\r\nete\r\n0\r\n\r\n", End::Fin, "complete", Ok(()), Ok(())),
        (CHUNKS, "5\r\ncompl\r\n", End::Fin, "compl", CUT, CUT),
        (CHUNKS, "5\r\ncompl\r\n", End::CloseNotify, "compl", CUT, CUT),
        (CHUNKS, "5\r\ncompl\r\n3\r\net", End::Fin, "complet", CUT, CUT),
        (CHUNKS, "5\r\ncompl\r\n0\r\n", End::Fin, "compl", CUT, CUT),
        (CLOSE, "complete", End::CloseNotify, "complete", Ok(()), Ok(())),
        (CLOSE, "compl", End::Fin, "compl", CUT, Ok(())),
        (CLOSE, "", End::Fin, "", CUT, Ok(())),
        (OLD, "complete", End::CloseNotify, "complete", Ok(()), Ok(())),
        (OLD, "compl", End::Fin, "compl", CUT, Ok(())),
    ] {
        let upstream = Raw::start(&world.server, Http::One, move |_, stream, tls| async move {
            let mut stream = tls.accept(stream).await?;
            read_head(&mut stream).await?;
            answer(&mut stream, &format!("{head}{body}")).await?;
            if end == End::CloseNotify {
                stream.shutdown().await?;
            }
            Ok(())
        });
        let strict_route = IdentityLayer::new(world.identity("orders"));
        let lenient_route = strict_route.clone().allow_missing_close_notify();
        // One client, whose pool serves both.
        let client = world.client();
        for (route, expected) in [(strict_route, strict), (lenient_route, lenient)] {
            let route = route.layer(client.clone());
            let response = send(&route, get(&upstream.uri("/"))).await.unwrap();
            let found = read(response.into_body()).await;
            assert_eq!(found, (read_of_it.to_owned(), expected), "{head:?} {body:?} {end:?}");
        }
    }
}

#[tokio::test]
async fn reset_connection_is_never_the_end_of_a_response() {
    let world = World::new();
    let arrived = Arc::new(Notify::new());
    let read_it = arrived.clone();
    let upstream = Raw::start(&world.server, Http::One, move |_, stream, tls| {
        let read_it = read_it.clone();
        async move {
            let mut stream = tls.accept(stream).await?;
            read_head(&mut stream).await?;
            answer(&mut stream, &format!("{CLOSE}compl")).await?;
            read_it.notified().await;
            reset(stream.into_inner().0);
            Ok(())
        }
    });
    let route = IdentityLayer::new(world.identity("orders")).allow_missing_close_notify();
    let response = send(&route.layer(world.client()), get(&upstream.uri("/"))).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(in_time("the body", body.frame()).await.unwrap().unwrap().into_data().unwrap(), "compl");
    arrived.notify_one();
    let error = in_time("the end", body.frame()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Truncated);
}

#[tokio::test]
async fn http_2_stream_reset_without_an_error_is_truncated_if_its_end_is_missing() {
    for (length, sent, expected) in [
        (Some("8"), "compl", Err(ClientErrorKind::Truncated)),
        (Some("8"), "complete", Ok(())),
        (None, "compl", Err(ClientErrorKind::Truncated)),
    ] {
        let world = World::new();
        let arrived = Arc::new(Notify::new());
        let read_it = arrived.clone();
        let upstream = Raw::start(&world.server, Http::Two, move |_, stream, tls| {
            let read_it = read_it.clone();
            async move {
                let stream = tls.accept(stream).await?;
                let mut connection = h2::server::handshake(stream).await.map_err(io::Error::other)?;
                while let Some(request) = connection.accept().await {
                    let (_, mut respond) = request.map_err(io::Error::other)?;
                    let mut head = Response::new(());
                    head.headers_mut().extend(length.map(|length| (CONTENT_LENGTH, length.parse().unwrap())));
                    let mut stream = respond.send_response(head, false).map_err(io::Error::other)?;
                    stream.send_data(Bytes::from_static(sent.as_bytes()), false).map_err(io::Error::other)?;
                    let read_it = read_it.clone();
                    tokio::spawn(async move {
                        read_it.notified().await;
                        stream.send_reset(h2::Reason::NO_ERROR);
                    });
                }
                Ok(())
            }
        });
        let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
        let response = send(&route, get(&upstream.uri("/"))).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(in_time("the body", body.frame()).await.unwrap().unwrap().into_data().unwrap(), sent);
        arrived.notify_one();
        let end = in_time("the end", body.frame()).await.transpose();
        assert_eq!(end.map(drop).map_err(|error| error.kind()), expected);
    }
}
