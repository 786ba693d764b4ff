//! As whom upstreams are called, over real sockets and real TLS.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::{net::Ipv4Addr, sync::Arc};

use http::Request;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tower::{Layer, ServiceExt};
use tower_mtls::{
    ClientErrorKind, ClientIdentity, IdentityLayer, MtlsConnectorLayer, Shared, UpstreamTrust,
    danger::UpstreamVerification,
    outbound::{RequestIdentity, RequestTrust, client_config},
};

use self::support::{
    Body, Http, Tls, empty, every_version, full, in_time,
    pki::{Authority, Leaf},
    upstream::{CLOSE, Facts, Upstream, facts, handler},
    world::{Route, World, ask, ask_with, get, identity, kind_of_failure, send, thumbprint},
};

#[tokio::test]
async fn identities_with_the_same_serial_number_are_never_mixed_up() {
    const REQUESTS: usize = 10_000;
    const AT_A_TIME: usize = 16;
    let world = World::new();
    for http in Http::BOTH {
        let upstream = world.upstream().http(http).start();
        let client = world.client();
        let routes: Arc<[_]> = ["orders", "billing"]
            .map(|name| {
                let identity = identity(&world.clients.issue(&Leaf::client(name).serial(7)));
                let expected = thumbprint(&identity);
                (IdentityLayer::new(identity).layer(client.clone()), expected)
            })
            .into();
        assert_ne!(routes[0].1, routes[1].1);

        let mut senders = JoinSet::new();
        for sender in 0..AT_A_TIME {
            let (routes, uri) = (routes.clone(), upstream.uri("/"));
            senders.spawn(async move {
                for number in (sender..REQUESTS).step_by(AT_A_TIME) {
                    // As irregular as a die, and the same in every run.
                    let (route, expected) = &routes[number.wrapping_mul(2_654_435_761) >> 7 & 1];
                    let request = Request::get(&uri).header("x-expected", expected);
                    let saw = ask_with(route, request.body(empty()).unwrap()).await;
                    assert_eq!(saw.certificate, *expected, "request {number}");
                }
            });
        }
        senders.join_all().await;

        let seen = upstream.take_seen();
        assert_eq!(seen.len(), REQUESTS);
        for request in &seen {
            assert_eq!(request.peer.http, http);
            let certificate = request.peer.certificate.unwrap().to_string();
            assert_eq!(certificate, request.head.headers["x-expected"]);
        }
        let billing = seen.iter().filter(|request| request.peer.subject == "CN=billing,O=Contoso");
        assert!(billing.count() > REQUESTS / 4);
    }
}

/// Lets the upstream close the connection after a request, and returns what it saw of the next one that came
/// on another.
async fn ask_on_another_connection(route: &Route, uri: &str) -> Facts {
    let close = Request::get(uri).header(CLOSE, "1").body(empty()).unwrap();
    let first = ask_with(route, close).await;
    loop {
        // HTTP/2 allows a request to slip onto a connection that is about to close.
        let next = ask(route, uri).await;
        if next.connection != first.connection {
            return next;
        }
    }
}

#[tokio::test]
async fn the_request_after_a_replacement_shows_the_new_identity_with_resumption_on() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let uri = upstream.uri("/");
        let first = world.identity("orders-0");
        let shared = Shared::new(first.clone());
        let route = IdentityLayer::new(shared.clone()).layer(world.client());

        let mut expected = thumbprint(&first);
        drop(first);
        for round in 1..=50 {
            let saw = ask(&route, &uri).await;
            assert_eq!(saw.certificate, expected, "{tls:?} {http:?} {round}");
            let again = ask_on_another_connection(&route, &uri).await;
            assert!(again.resumed, "{tls:?} {http:?} {round}: resumption is really on within one identity");
            assert_eq!(again.certificate, expected, "{tls:?} {http:?} {round}");

            let next = world.identity(&format!("orders-{round}"));
            expected = thumbprint(&next);
            shared.replace(next);
            let saw = ask(&route, &uri).await;
            assert_eq!(saw.subject, format!("CN=orders-{round},O=Contoso"));
            assert_eq!(saw.certificate, expected, "{tls:?} {http:?} {round}");
            assert!(!saw.resumed, "{tls:?} {http:?} {round}: not the old one's session");
        }
    }
}

#[tokio::test]
async fn replacing_back_and_forth_shows_the_identity_of_the_moment() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let both = ["orders", "billing"].map(|name| world.identity(name));
        let shared = Shared::new(both[0].clone());
        let route = IdentityLayer::new(shared.clone()).layer(world.client());
        for identity in both.iter().cycle().take(50) {
            shared.replace(identity.clone());
            let saw = ask(&route, &upstream.uri("/")).await;
            assert_eq!(saw.certificate, thumbprint(identity), "{tls:?} {http:?}");
        }
    }
}

#[tokio::test]
async fn requests_in_flight_finish_under_the_old_identity_and_its_connection_closes() {
    let world = World::new();
    for http in Http::BOTH {
        let gate = Arc::new(Notify::new());
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let opened = gate.clone();
        let upstream = world
            .upstream()
            .http(http)
            .handler(handler(move |peer, request| {
                let (opened, arrived) = (opened.clone(), arrived.clone());
                async move {
                    if request.uri().path() == "/slow" {
                        arrived.send(()).unwrap();
                        opened.notified().await;
                    }
                    facts(&peer)
                }
            }))
            .start();
        let shared = Shared::new(world.identity("old"));
        let route = IdentityLayer::new(shared.clone()).layer(world.client());
        let slow = {
            let (route, uri) = (route.clone(), upstream.uri("/slow"));
            tokio::spawn(async move { ask(&route, &uri).await })
        };
        in_time("the slow request", arrivals.recv()).await.unwrap();

        shared.replace(world.identity("new"));
        for _ in 0..3 {
            let saw = ask(&route, &upstream.uri("/")).await;
            assert_eq!(saw.subject, "CN=new,O=Contoso");
        }
        gate.notify_one();
        let slow = slow.await.unwrap();
        assert_eq!(slow.subject, "CN=old,O=Contoso");
        upstream.closed(slow.connection).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=new,O=Contoso");
        assert!(!upstream.is_closed(1), "the new identity's connection stays");
    }
}

#[tokio::test]
async fn idle_connections_of_the_old_identity_close_once_the_new_one_is_used() {
    let world = World::new();
    for http in Http::BOTH {
        let upstream = world.upstream().http(http).start();
        let shared = Shared::new(world.identity("old"));
        let route = IdentityLayer::new(shared.clone()).layer(world.client());
        let old = ask(&route, &upstream.uri("/")).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.connection, old.connection);

        shared.replace(world.identity("new"));
        let new = ask(&route, &upstream.uri("/")).await;
        assert_ne!(new.connection, old.connection);
        upstream.closed(old.connection).await;
        assert_eq!(ask(&route, &upstream.uri("/")).await.connection, new.connection);
    }
}

#[tokio::test]
async fn without_a_choice_of_identity_nothing_is_sent() {
    let world = World::new();
    let upstream = world.upstream().start();
    let refused = world.client().oneshot(get(&upstream.uri("/"))).await.unwrap_err();
    assert_eq!(refused.kind(), ClientErrorKind::NoIdentity);
    assert!(upstream.peers().is_empty());
}

#[tokio::test]
async fn anonymity_presents_nothing() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let client = world.client();
        let known = IdentityLayer::new(world.identity("orders")).layer(client.clone());
        let anonymous = IdentityLayer::anonymous().layer(client);
        // Neither borrows the other's connection.
        for _ in 0..2 {
            let saw = ask(&known, &upstream.uri("/")).await;
            assert_eq!(saw.subject, "CN=orders,O=Contoso");
            let saw = ask(&anonymous, &upstream.uri("/")).await;
            assert_eq!(saw.certificate, "");
        }
    }
}

#[tokio::test]
async fn the_identity_of_one_request_counts_in_place_of_its_routes() {
    let world = World::new();
    let upstream = world.upstream().start();
    let with = |own: &RequestIdentity| {
        let mut request = get(&upstream.uri("/"));
        request.extensions_mut().insert(own.clone());
        request
    };
    let billing = RequestIdentity::new(world.identity("billing"));
    for layer in [IdentityLayer::new(world.identity("orders")), IdentityLayer::anonymous()] {
        let route = layer.layer(world.client());
        let saw = ask_with(&route, with(&billing)).await;
        assert_eq!(saw.subject, "CN=billing,O=Contoso");
        let failure = send(&route, with(&RequestIdentity::unknown())).await.expect_err("unknown");
        assert_eq!(failure.kind(), ClientErrorKind::UnknownIdentity);
    }
    // The next request is the route's again.
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
}

#[tokio::test]
async fn requests_of_one_route_with_different_trusts_never_share_a_connection() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let uri = upstream.uri("/");
        let with = |trust: &RequestTrust| {
            let mut request = get(&uri);
            request.extensions_mut().insert(trust.clone());
            request
        };
        // All of them trust this upstream.
        let [routes, one, other] = [(); 3].map(|()| world.trust());
        let own = [one, other].map(RequestTrust::new);
        let route = IdentityLayer::new(world.identity("orders")).with_trust(routes).layer(world.client());
        let mut connections = Vec::new();
        for round in 0..3 {
            let mut seen = vec![ask(&route, &uri).await];
            for trust in &own {
                seen.push(ask_with(&route, with(trust)).await);
            }
            for saw in &seen {
                assert_eq!(saw.subject, "CN=orders,O=Contoso");
                assert!(!saw.resumed, "{tls:?} {http:?} {round}: no session of another trust");
            }
            connections.push(seen.iter().map(|saw| saw.connection).collect::<Vec<_>>());
        }
        // Each trust has one, which its next request uses again.
        assert_eq!(connections, [[0, 1, 2]; 3], "{tls:?} {http:?}");
    }
}

#[tokio::test]
async fn the_trust_of_one_request_counts_in_place_of_its_routes() {
    let world = World::new();
    let upstream = world.upstream().start();
    let strangers = || UpstreamTrust::from_pem(Authority::root("Strangers").pem().as_bytes()).unwrap();
    let with = |trust: &RequestTrust| {
        let mut request = get(&upstream.uri("/"));
        request.extensions_mut().insert(trust.clone());
        request
    };
    let lenient = IdentityLayer::new(world.identity("orders")).with_trust(world.trust());
    let strict = IdentityLayer::new(world.identity("orders")).with_trust(strangers());
    let none = IdentityLayer::new(world.identity("orders"));
    let (sound, odd) = (RequestTrust::new(world.trust()), RequestTrust::new(strangers()));
    for layer in [lenient, strict.clone(), none] {
        let route = layer.layer(world.client());
        let saw = ask_with(&route, with(&sound)).await;
        assert_eq!(saw.subject, "CN=orders,O=Contoso");
        // Even now that there is a connection.
        let failure = send(&route, with(&odd)).await.expect_err("not trusted");
        assert_eq!(failure.kind(), ClientErrorKind::UpstreamNotTrusted);
    }
    // The next request is the route's again.
    let route = strict.layer(world.client());
    assert_eq!(ask_with(&route, with(&sound)).await.subject, "CN=orders,O=Contoso");
    assert_eq!(kind_of_failure(&route, &upstream.uri("/")).await, ClientErrorKind::UpstreamNotTrusted);
}

#[tokio::test]
async fn the_trust_of_requests_can_be_replaced() {
    let world = World::new();
    let upstream = world.upstream().start();
    let shared = Shared::new(world.trust());
    let route = IdentityLayer::anonymous().layer(world.client());
    let with = || {
        let mut request = get(&upstream.uri("/"));
        request.extensions_mut().insert(RequestTrust::new(shared.clone()));
        request
    };
    assert_eq!(ask_with(&route, with()).await.connection, 0);
    shared.replace(UpstreamTrust::from_pem(Authority::root("Strangers").pem().as_bytes()).unwrap());
    let failure = send(&route, with()).await.expect_err("not trusted");
    assert_eq!(failure.kind(), ClientErrorKind::UpstreamNotTrusted);
}

#[tokio::test]
async fn an_identity_is_never_sent_over_plain_http() {
    let world = World::new();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    assert_eq!(kind_of_failure(&route, &uri).await, ClientErrorKind::PlaintextIdentity);
    assert!(listener.accept().is_err(), "nobody even connected");
}

#[tokio::test]
async fn an_upstream_that_is_not_trusted_gets_no_request() {
    let world = World::new();
    let impostors = Authority::root("Server Root");
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["elsewhere.example.com".into()];
    for (tls, http) in every_version() {
        for certificate in
            [impostors.issue(&Leaf::server()), Leaf::server().self_signed(), world.servers.issue(&elsewhere)]
        {
            let upstream = Upstream::builder(&certificate).tls(tls).http(http).start();
            let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
            let kind = kind_of_failure(&route, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?}");
            assert_eq!(upstream.requests(), 0);
        }
    }
}

#[tokio::test]
async fn an_upstream_that_demands_another_authoritys_certificate_refuses_the_identity() {
    let world = World::new();
    let others = Authority::root("Other Client CA");
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).only_for(&others).start();
        let client = world.client();
        for (who, layer) in [
            ("a stranger", IdentityLayer::new(world.identity("orders"))),
            ("nobody", IdentityLayer::anonymous()),
        ] {
            // On TLS 1.3 the refusal may come before, while or after the request is written.
            for size in [0, 300_000].repeat(10) {
                let request = Request::post(upstream.uri("/")).body(full(vec![0; size])).unwrap();
                let refused = send(&layer.layer(client.clone()), request).await.unwrap_err();
                assert_eq!(
                    refused.kind(),
                    ClientErrorKind::IdentityRefused,
                    "{who} {tls:?} {http:?} {refused:?}"
                );
            }
        }
        assert_eq!(upstream.requests(), 0);

        let welcome = identity(&others.issue(&Leaf::client("orders")));
        let route = IdentityLayer::new(welcome).layer(client);
        let saw = ask(&route, &upstream.uri("/")).await;
        assert_eq!(saw.subject, "CN=orders,O=Contoso");
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unreachable() {
    let world = World::new();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = format!("https://{}/", gone.local_addr().unwrap());
    drop(gone);
    let route = IdentityLayer::new(world.identity("orders")).layer(world.client());
    assert_eq!(kind_of_failure(&route, &uri).await, ClientErrorKind::Unreachable);
}

#[tokio::test]
async fn each_dangerous_mode_gives_up_what_it_says_and_no_more() {
    use UpstreamVerification::{ChainOnly, NameOnly, Nothing};
    let world = World::new();
    let impostors = Authority::root("Server Root");
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["elsewhere.example.com".into()];
    for tls in Tls::BOTH {
        let [wrong_name, other_ca, both_wrong] =
            [world.servers.issue(&elsewhere), impostors.issue(&Leaf::server()), impostors.issue(&elsewhere)]
                .map(|certificate| Upstream::builder(&certificate).tls(tls).start());
        for (mode, upstream, accepted) in [
            (ChainOnly, &wrong_name, true),
            (ChainOnly, &other_ca, false),
            (ChainOnly, &both_wrong, false),
            (NameOnly, &wrong_name, false),
            (NameOnly, &other_ca, true),
            (NameOnly, &both_wrong, false),
            (Nothing, &wrong_name, true),
            (Nothing, &other_ca, true),
            (Nothing, &both_wrong, true),
        ] {
            let trust = UpstreamTrust::builder()
                .add_roots_pem(world.servers.pem().as_bytes())
                .dangerous(mode)
                .build()
                .unwrap();
            let layer = IdentityLayer::new(world.identity("orders")).with_trust(trust);
            let answer = send(&layer.layer(world.client()), get(&upstream.uri("/"))).await;
            match answer {
                Ok(_) => assert!(accepted, "{mode:?} accepted {tls:?}"),
                Err(error) => {
                    assert!(!accepted, "{mode:?} refused {tls:?}");
                    assert_eq!(error.kind(), ClientErrorKind::UpstreamNotTrusted);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_strict_route_uses_neither_connection_nor_session_of_a_lenient_one() {
    let world = World::new();
    let impostors = Authority::root("Server Root");
    for (tls, http) in every_version() {
        let upstream = Upstream::builder(&impostors.issue(&Leaf::server())).tls(tls).http(http).start();
        let uri = upstream.uri("/");
        let client = world.client();
        let orders = world.identity("orders");
        let nothing = UpstreamTrust::builder().dangerous(UpstreamVerification::Nothing).build().unwrap();
        let strict = IdentityLayer::new(orders.clone()).layer(client.clone());
        let lenient = IdentityLayer::new(orders).with_trust(nothing).layer(client);

        // The lenient route has a session that can be resumed and a connection that is open.
        ask(&lenient, &uri).await;
        assert!(ask_on_another_connection(&lenient, &uri).await.resumed);
        let open = ask(&lenient, &uri).await;
        upstream.take_seen();
        for _ in 0..3 {
            let kind = kind_of_failure(&strict, &uri).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?}");
        }
        assert_eq!(upstream.requests(), 0);
        assert_eq!(ask(&lenient, &uri).await.connection, open.connection);
    }
}

#[tokio::test]
async fn a_trust_can_name_the_server_it_means() {
    let world = World::new();
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["orders.internal".into()];
    let upstream = Upstream::builder(&world.servers.issue(&elsewhere)).start();
    let trust = UpstreamTrust::builder()
        .add_roots_pem(world.servers.pem().as_bytes())
        .with_server_name("orders.internal")
        .build()
        .unwrap();
    let route = IdentityLayer::new(world.identity("orders")).with_trust(trust).layer(world.client());
    assert_eq!(ask(&route, &upstream.numeric_uri("/")).await.subject, "CN=orders,O=Contoso");
}

#[tokio::test]
async fn the_whole_chain_of_a_pfx_is_sent() {
    let world = World::new();
    let intermediate = world.clients.intermediate("Issuing CA");
    let issued = intermediate.issue(&Leaf::client("orders"));
    let orders = ClientIdentity::from_pfx(issued.pfx("password"), "password").unwrap();
    for tls in Tls::BOTH {
        // Only the intermediate in the middle leads from the certificate to this root.
        let upstream = world.upstream().tls(tls).only_for(&world.clients).start();
        let route = IdentityLayer::new(orders.clone()).layer(world.client());
        assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
        assert_eq!(upstream.peers()[0].chain, 2);
    }
}

#[tokio::test]
async fn http_1_can_be_demanded_of_a_upstream_that_offers_both() {
    let world = World::new();
    let upstream = world.upstream().start();
    let orders = world.identity("orders");
    let client = world.client();
    let layer = IdentityLayer::new(orders);
    for (layer, http) in [(layer.clone(), Http::Two), (layer.only_http1(), Http::One)] {
        ask(&layer.layer(client.clone()), &upstream.uri("/")).await;
        assert_eq!(upstream.take_seen()[0].peer.http, http);
    }
}

#[tokio::test]
async fn the_connector_layer_speaks_tls_whatever_the_scheme_says() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let orders = world.identity("orders");
        let connector =
            MtlsConnectorLayer::new(orders.clone(), &world.trust()).unwrap().layer(HttpConnector::new());
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
        let https = upstream.uri("/");
        for uri in [https.replacen("https", "http", 1), https] {
            let response = in_time("an answer", client.request(get(&uri))).await.unwrap();
            let saw = Facts::of(response.headers());
            assert_eq!(saw.certificate, thumbprint(&orders), "{uri} {tls:?} {http:?}");
        }
        assert_eq!(upstream.peers().len(), 2);
    }
}

#[tokio::test]
async fn connector_presents_a_replaced_identity_and_resumes_no_session_of_the_old_one() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let first = world.identity("orders");
        let shared = Shared::new(first.clone());
        let layer = MtlsConnectorLayer::new(shared.clone(), &world.trust()).unwrap();
        // Without idle connections each request opens one. Clients of one layer share its sessions.
        let clients = [0, 1].map(|_| {
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_max_idle_per_host(0).build::<_, Body>(layer.layer(HttpConnector::new()))
        });
        for identity in [first.clone(), world.identity("billing"), first] {
            shared.replace(identity.clone());
            for (number, client) in clients.iter().cycle().take(3).enumerate() {
                let response = in_time("a response", client.request(get(&upstream.uri("/")))).await.unwrap();
                let saw = Facts::of(response.headers());
                in_time("a body", response.into_body().collect()).await.unwrap();
                assert_eq!(saw.certificate, thumbprint(&identity), "{number} {tls:?} {http:?}");
                assert_eq!(saw.resumed, number > 0, "{number} {tls:?} {http:?}");
            }
        }
        assert_eq!(upstream.peers().len(), 9);
    }
}

#[tokio::test]
async fn client_config_presents_the_identity_and_verifies_the_trust() {
    let world = World::new();
    let mut internal = Leaf::server();
    internal.dns = vec!["orders.internal".into()];
    let internal = world.servers.issue(&internal);
    let named = |name: &str| {
        let builder = UpstreamTrust::builder().add_roots_pem(world.servers.pem());
        builder.with_server_name(name).build().unwrap()
    };
    let strangers = UpstreamTrust::from_pem(Authority::root("Server Root").pem()).unwrap();
    let orders = world.identity("orders");
    for tls in Tls::BOTH {
        for (name, certificate, trust, expected) in [
            ("the URL's host", &world.server, world.trust(), true),
            ("another host", &internal, world.trust(), false),
            ("the trust's server name", &internal, named("orders.internal"), true),
            ("the trust's server name in place of the URL's", &world.server, named("orders.internal"), false),
            ("another CA", &world.server, strangers.clone(), false),
        ] {
            let upstream = Upstream::builder(certificate).tls(tls).http(Http::One).start();
            let config = client_config(&orders, &trust).unwrap();
            let address = upstream.numeric_uri("").replace("https://", "");
            let tcp = TcpStream::connect(address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let stream = connector.connect("localhost".try_into().unwrap(), tcp).await;
            assert_eq!(stream.is_ok(), expected, "{name} {tls:?}");
            let Ok(stream) = stream else { continue };
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream)).await.unwrap();
            let (response, _) = tokio::join!(
                async move {
                    sender
                        .send_request(Request::get("/").header("host", "localhost").body(empty()).unwrap())
                        .await
                },
                connection
            );
            let saw = Facts::of(response.unwrap().headers());
            assert_eq!(saw.certificate, thumbprint(&orders), "{name} {tls:?}");
        }
    }
}
