//! `Connection: close` of a service ends its connection, on HTTP/2 too.
#![cfg(all(feature = "serve", feature = "axum", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Method, header};
use http_body_util::channel::Channel;
use tokio::sync::Notify;
use tower_mtls::{MtlsListener, ServerTls, acceptor::ListenerLimits, serve};

use crate::support::{
    Http,
    caller::{Answer, Caller},
    empty, every_version, in_time,
    pki::{Authority, Leaf},
    server::Server,
};

/// `/slow` ends its body after `end`.
fn app(end: Arc<Notify>) -> Router {
    let slow = async move || {
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
        tokio::spawn(async move {
            end.notified().await;
            let _ = sender.send_data(Bytes::from_static(b"whole")).await;
        });
        Body::new(body)
    };
    Router::new()
        .route("/", get(async || "hello"))
        .route("/close", get(async || ([(header::CONNECTION, "close")], "bye")))
        .route("/slow", get(slow))
}

#[tokio::test]
async fn connection_ends_after_its_last_response_and_requests_in_flight() {
    let root = Authority::root("Root");
    let certificate = root.issue(&Leaf::server());
    for (version, http) in every_version() {
        let tls = ServerTls::from_pem(certificate.chain_pem(), certificate.key_pem()).unwrap();
        let end = Arc::new(Notify::new());
        let app = app(end.clone());
        let server = Server::start(async move |socket| {
            let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
            serve(listener, app).await;
        });
        let case = format!("{version:?} {http:?}");
        let mut connection = Caller::new(&root, None, version, http).connect(server.address()).await;
        assert_eq!(connection.get("/").await.body, "hello", "{case}");
        let slow = match http {
            Http::One => None,
            Http::Two => Some(connection.send(Method::GET, "/slow", empty()).await.unwrap()),
        };
        let last = connection.get("/close").await;
        assert_eq!(last.body, "bye", "{case}");
        assert_eq!(last.headers.contains_key(header::CONNECTION), http == Http::One, "{case}");
        in_time("the end of the connection", async {
            while connection.send(Method::GET, "/", empty()).await.is_ok() {}
        })
        .await;
        if let Some(slow) = slow {
            end.notify_one();
            assert_eq!(in_time("a body", Answer::read(slow)).await.body, "whole", "{case}");
        }
    }
}
