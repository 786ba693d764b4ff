//! Separate binary: its allocations are counted.
#![cfg(all(feature = "serve", feature = "aws-lc-rs"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::{convert::Infallible, future::Future, net::Ipv4Addr, sync::Arc, thread, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, crypto::aws_lc_rs::Ticketer, server::ResolvesServerCertUsingSni};
use tokio::{
    net::TcpListener,
    runtime::Builder,
    sync::{mpsc, oneshot},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tower_mtls::{
    MtlsListener, ServerTls,
    acceptor::{ListenerLimits, PossessionVerifier},
    serve,
    serve::CallerBody,
};

use self::support::{
    Http, Tls,
    caller::Caller,
    certified,
    pki::{Authority, Issued, Leaf},
    provider,
};

/// Maximum number of allocations that the library adds to those of rustls, tokio and hyper, from the accepted socket to the
/// first request.
const MAX_ADDED: u64 = 12;

/// Work after a response is complete within this time.
const SETTLED: Duration = Duration::from_millis(20);

/// Allocations of a server's thread for a connection, without those of its requests.
fn per_connection<S>(caller: Caller, server: impl FnOnce(TcpListener) -> S) -> u64
where
    S: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let socket = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = socket.local_addr().unwrap();
    // The client sends a request for each step, every second time on a new connection.
    let (steps, mut begun) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let client = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            while let Some(first) = begun.recv().await {
                let mut connection = caller.connect(address).await;
                assert_eq!(connection.get("/").await.status, 200);
                first.send(()).unwrap();
                let Some(second) = begun.recv().await else { return };
                assert_eq!(connection.get("/").await.status, 200);
                second.send(()).unwrap();
            }
        });
    });
    let server = {
        let _runtime = runtime.enter();
        server(socket)
    };
    runtime.spawn(server);
    let step = || {
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                let (end, ended) = oneshot::channel();
                steps.send(end).unwrap();
                ended.await.unwrap();
                sleep(SETTLED).await;
            });
        });
        counted.count_total
    };
    let connections = (0..10).map(|_| {
        let (connection, request) = (step(), step());
        connection - request
    });
    // The first ones fill tables; others can grow one.
    let least = connections.skip(4).min().unwrap();
    drop(steps);
    client.join().unwrap();
    least
}

async fn bare(socket: TcpListener, config: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(config);
    loop {
        let (socket, _) = socket.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            socket.set_nodelay(true).unwrap();
            let stream = TokioIo::new(acceptor.accept(socket).await.unwrap());
            let service = hyper::service::service_fn(async |_: Request<Incoming>| {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            });
            let mut http = http1::Builder::new();
            // An error is a client that has gone.
            let _ = http.header_read_timeout(None).serve_connection(stream, service).await;
        });
    }
}

fn bare_config(server: &Issued) -> Arc<ServerConfig> {
    let mut names = ResolvesServerCertUsingSni::new();
    names.add("localhost", rustls::sign::CertifiedKey::clone(&certified(server))).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(PossessionVerifier::new(&provider()))
        .with_cert_resolver(Arc::new(names));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new().unwrap();
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

#[test]
fn connection_setup_adds_few_allocations() {
    let root = Authority::root("Root");
    let (server, client) = (root.issue(&Leaf::server()), root.issue(&Leaf::client("orders")));
    let caller = || Caller::new(&root, Some(certified(&client)), Tls::V13, Http::One);
    let config = bare_config(&server);
    let bare = per_connection(caller(), |socket| bare(socket, config));
    let tls = ServerTls::from_pem(server.chain_pem(), server.key_pem()).unwrap();
    let library = per_connection(caller(), |socket| {
        let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
        let service = tower::service_fn(async |_: Request<CallerBody>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        serve(listener, service).into_future()
    });
    println!("allocations of a connection: {library}, and {bare} without the library");
    assert!(library <= bare + MAX_ADDED, "{library} and {bare}");
}
