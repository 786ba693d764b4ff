//! The whole path: caller, listener, policy, proxy, identity of the route, and an upstream that demands certificates.
#![cfg(all(
    feature = "acceptor",
    feature = "proxy",
    feature = "trust",
    any(feature = "aws-lc-rs", feature = "ring")
))]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, channel::Channel};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tower::ServiceBuilder;
use tower_mtls::{
    ClientIdentity, IdentityLayer, MtlsClient, MtlsListener, Policy, RequireCertificateLayer,
    ReverseProxyLayer, ServerTls, TrustAnchors, UpstreamTrust, acceptor::ListenerLimits, proxy::ProxyBody,
};

use crate::support::{
    Body, Http, Tls,
    caller::{Answer, Caller, Connection},
    certified, empty, full, in_time,
    pki::{Authority, Issued, Leaf},
    server::Server,
    upstream::{Handler, Upstream, facts, handler},
};

/// A gateway for partners in front of an upstream for the gateway.
struct World {
    servers: Authority,
    partners: Authority,
    upstream: Upstream,
    gateway: Server,
}

impl World {
    /// The upstream speaks `http` and responds with `handler`; the gateway maps `/orders/..` to its `/api/..`.
    fn new(http: Http, handler: Handler) -> Self {
        let [servers, partners, clients] = ["Server Root", "Partner CA", "Client CA"].map(Authority::root);
        let upstream = Upstream::builder(&servers.issue(&Leaf::server()))
            .http(http)
            .only_for(&clients)
            .handler(handler)
            .start();
        let target = upstream.uri("/api").parse().unwrap();
        let gateway = gateway(
            &servers,
            Policy::builder().trust(TrustAnchors::from_der([partners.der()]).unwrap()).build().unwrap(),
            ReverseProxyLayer::new("/orders", target),
            &clients.issue(&Leaf::client("gateway")),
        );
        Self { servers, partners, upstream, gateway }
    }

    async fn partner(&self, http: Http) -> Connection {
        let key = certified(&self.partners.issue(&Leaf::client("partner")));
        let caller = Caller::new(&self.servers, Some(key), Tls::V13, http);
        caller.connect(self.gateway.address()).await
    }
}

fn gateway(servers: &Authority, policy: Policy, proxy: ReverseProxyLayer, identity: &Issued) -> Server {
    let server = servers.issue(&Leaf::server());
    let tls = ServerTls::from_pem(server.chain_pem().as_bytes(), server.key_pem().as_bytes()).unwrap();
    let identity =
        ClientIdentity::from_pem(identity.chain_pem().as_bytes(), identity.key_pem().as_bytes()).unwrap();
    let trust = UpstreamTrust::from_pem(servers.pem().as_bytes()).unwrap();
    Server::start(async move |socket: TcpListener| {
        let mut listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
        let client: MtlsClient<ProxyBody<Incoming>> = MtlsClient::builder().trust(trust).build();
        let service = ServiceBuilder::new()
            .layer(RequireCertificateLayer::new(policy))
            .layer(proxy)
            .layer(IdentityLayer::new(identity))
            .service(client);
        loop {
            let (stream, _) = listener.accept().await;
            let service = TowerToHyperService::new(stream.capture(service.clone()));
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// Every pair of the caller's and the upstream's protocol.
fn both_sides() -> impl Iterator<Item = (Http, Http)> {
    Http::BOTH.into_iter().flat_map(|front| Http::BOTH.into_iter().map(move |back| (front, back)))
}

async fn next_data(body: &mut Incoming) -> Bytes {
    let frame = in_time("a frame", body.frame()).await.unwrap().unwrap();
    frame.into_data().unwrap()
}

#[tokio::test]
async fn upstream_sees_the_identity_of_the_route_and_never_that_of_the_caller() {
    for (front, back) in both_sides() {
        let world = World::new(back, handler(|peer, _| async move { facts(&peer) }));
        let answer = world.partner(front).await.get("/orders/42?full=1").await;
        assert_eq!(answer.status, StatusCode::OK);
        let seen = world.upstream.take_seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].peer.subject, "CN=gateway,O=Contoso");
        assert_eq!(seen[0].peer.http, back);
        let uri = &seen[0].head.uri;
        assert_eq!(uri.path_and_query().unwrap(), "/api/42?full=1");
    }
}

#[tokio::test]
async fn refused_request_never_reaches_the_upstream() {
    let world = World::new(Http::Two, handler(|peer, _| async move { facts(&peer) }));
    for http in Http::BOTH {
        for key in [None, Some(certified(&Leaf::client("partner").self_signed()))] {
            let stranger = Caller::new(&world.servers, key, Tls::V13, http);
            let answer = stranger.get(world.gateway.address(), "/orders/42").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
    }
    assert_eq!(world.upstream.requests(), 0);
    assert!(world.upstream.peers().is_empty(), "no connection was made");
}

#[tokio::test]
async fn response_streams_while_the_upstream_still_writes_it() {
    for (front, back) in both_sides() {
        let (frames, receiver) = mpsc::unbounded_channel::<&str>();
        let receiver = std::sync::Mutex::new(Some(receiver));
        let stream = handler(move |_, _| {
            let mut frames = receiver.lock().unwrap().take().expect("one request");
            async move {
                let (mut sender, body) = Channel::new(1);
                tokio::spawn(async move {
                    while let Some(frame) = frames.recv().await {
                        sender.send_data(Bytes::from(frame)).await.unwrap();
                    }
                });
                Response::new(body.boxed())
            }
        });
        let world = World::new(back, stream);
        let mut partner = world.partner(front).await;
        let response = partner.send(Method::GET, "/orders", empty()).await.unwrap();
        let mut body = response.into_body();
        for frame in ["first", "second", "last"] {
            frames.send(frame).unwrap();
            assert_eq!(next_data(&mut body).await, frame, "{front:?} {back:?}");
        }
        drop(frames);
        let rest = in_time("the end", body.collect()).await.unwrap();
        assert!(rest.to_bytes().is_empty());
    }
}

#[tokio::test]
async fn request_streams_while_the_caller_still_writes_it() {
    for (front, back) in both_sides() {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let read = handler(move |peer, request: Request<Incoming>| {
            let arrived = arrived.clone();
            async move {
                let mut body = request.into_body();
                while let Some(frame) = body.frame().await {
                    arrived.send(frame.unwrap().into_data().unwrap()).unwrap();
                }
                facts(&peer)
            }
        });
        let world = World::new(back, read);
        let mut partner = world.partner(front).await;
        let (mut frames, body) = Channel::new(1);
        let writing = async {
            for frame in ["first", "second", "last"] {
                frames.send_data(Bytes::from(frame)).await.unwrap();
                let arrived = in_time("a frame", arrivals.recv()).await.unwrap();
                assert_eq!(arrived, frame, "{front:?} {back:?}");
            }
            drop(frames);
        };
        let (response, ()) = tokio::join!(partner.send(Method::POST, "/orders", body.boxed()), writing);
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
}

fn trailers(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("x-checksum".parse().unwrap(), value.parse().unwrap())])
}

/// A body without a length, which HTTP/1.1 sends in chunks; only chunks can carry trailers.
fn with_trailers(data: &'static str, value: &'static str) -> Body {
    let (mut sender, body) = Channel::new(2);
    tokio::spawn(async move {
        sender.send_data(Bytes::from(data)).await.unwrap();
        sender.send_trailers(trailers(value)).await.unwrap();
    });
    body.boxed()
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    for (front, back) in both_sides() {
        // HTTP/1.1 must announce trailers, gRPC never does.
        let announced = [front, back].contains(&Http::One);
        let answer = handler(move |_, request: Request<Incoming>| async move {
            assert_eq!(request.headers()[header::TE], "trailers");
            let body = request.into_body().collect().await.unwrap();
            assert_eq!(body.trailers(), Some(&trailers("up")), "{front:?} {back:?}");
            let mut response = Response::new(with_trailers("response", "down"));
            if announced {
                announce(response.headers_mut());
            }
            response
        });
        let world = World::new(back, answer);
        let mut request = Request::new(with_trailers("request", "up"));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "/orders".parse().unwrap();
        let te = HeaderValue::from_static("trailers");
        request.headers_mut().insert(header::TE, te);
        if announced {
            announce(request.headers_mut());
        }
        let response = world.partner(front).await.send_request(request).await;
        let answer = in_time("the trailers", Answer::read(response.unwrap())).await;
        assert_eq!(answer.body, "response", "{front:?} {back:?}");
        assert_eq!(answer.trailers, Some(trailers("down")), "{front:?} {back:?}");
    }
}

fn announce(headers: &mut HeaderMap) {
    headers.insert(header::TRAILER, HeaderValue::from_static("x-checksum"));
}

#[tokio::test]
async fn ten_mebibytes_arrive_intact_in_both_directions() {
    let sent: Bytes = (0..10_u32 << 20).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
    for (front, back) in both_sides() {
        let echo = handler(|_, request: Request<Incoming>| async move {
            let body = request.into_body();
            Response::new(body.map_err(|error| panic!("{error}")).boxed())
        });
        let world = World::new(back, echo);
        let mut partner = world.partner(front).await;
        let response = partner.send(Method::POST, "/orders", full(sent.clone())).await.unwrap();
        let answer = in_time("the echo", Answer::read(response)).await;
        assert!(answer.body == sent, "{front:?} {back:?}: {} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn forged_identities_and_hop_by_hop_fields_do_not_cross() {
    let world = World::new(Http::One, handler(|peer, _| async move { facts(&peer) }));
    let key = certified(&world.partners.issue(&Leaf::client("partner")));
    let caller = Caller::new(&world.servers, Some(key), Tls::V13, Http::One);
    let mut stream = caller.handshake(world.gateway.address()).await.unwrap();
    let request = "GET /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close, X-Named\r\nX-Named: 1\r\n\
                   X-ARR-ClientCert: forged\r\nX_Forwarded_Client_Cert: forged\r\nX-Kept: 1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let seen = world.upstream.take_seen();
    let mut names: Vec<_> = seen[0].head.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "x-kept"]);
    assert_eq!(
        seen[0].head.headers[header::HOST].to_str().unwrap(),
        format!("localhost:{}", world.upstream.address().port())
    );
}
