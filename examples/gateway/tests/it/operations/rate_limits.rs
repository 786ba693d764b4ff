//! Rates of requests by address, certificate and route.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;

use crate::support::{
    Demo, Running, get, metrics,
    pki::{Authority, Leaf},
    replace,
    slow_upstream::SlowUpstream,
    value, whole,
};

/// A gateway with two routes, and the clients of its tests.
struct World {
    upstream: SlowUpstream,
    running: Running,
    demo: Demo,
}

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const THREE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

impl World {
    /// Starts with these keys in `[limits]` and in the route `/partners`, which admits `first` and `second`; `/open`
    /// admits any caller.
    async fn start(general: &str, partners: &str) -> Self {
        let (demo, upstream) = (Demo::start(), SlowUpstream::start().await);
        upstream.release();
        let authority = Authority::root("Partners");
        let dir = demo.dir();
        fs::write(dir.join("authority.pem"), authority.pem()).unwrap();
        let issued = ["first", "second"].map(|name| (name, authority.issue(&Leaf::client(name))));
        let made = ["self-1", "self-2", "self-3"].map(|name| (name, Leaf::client("first").self_signed()));
        for (name, certificate) in issued.iter().chain(&made) {
            fs::write(dir.join(format!("{name}.pem")), certificate.chain_pem()).unwrap();
            fs::write(dir.join(format!("{name}.key")), certificate.key_pem()).unwrap();
        }
        let config = dir.join("rates.toml");
        fs::write(&config, toml(upstream.address, general, partners)).unwrap();
        let (running, port) = Running::start(&config);
        Self { upstream, running, demo: demo.on_port(port) }
    }

    /// Loads the configuration with these keys.
    fn reload(&self, general: &str, partners: &str) {
        let config = self.demo.dir().join("rates.toml");
        let (new, from) = (toml(self.upstream.address, general, partners), self.running.lines());
        if fs::read_to_string(&config).unwrap() == new {
            self.running.hang_up();
        } else {
            replace(&config, new);
        }
        self.running.logged(from, "INFO gateway::server::follow: reloaded");
    }

    /// The response to one request on a connection of its own.
    async fn send(&self, caller: &Caller<'_>, request: Request<Empty<Bytes>>) -> (u16, HeaderMap, String) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((caller.address, 0).into()).unwrap();
        let stream = socket.connect((ONE, self.demo.port).into()).await.unwrap();
        let alpn: &[u8] = if caller.is_http2 { b"h2" } else { b"http/1.1" };
        let stream = TokioIo::new(self.demo.handshake(stream, caller.certificate, alpn).await.unwrap());
        if caller.is_http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            whole(sender.send_request(request).await.unwrap()).await
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            whole(sender.send_request(request).await.unwrap()).await
        }
    }

    /// The status of a request, whose rejection is checked.
    async fn status(&self, caller: &Caller<'_>, path: &str) -> u16 {
        let (status, headers, body) = self.send(caller, get(path)).await;
        if status == 429 {
            let retry_after: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=3_600).contains(&retry_after), "{retry_after}");
            assert_eq!(headers["content-type"], "application/problem+json");
            assert!(body.contains("\"code\":\"rate_limited\""), "{body}");
        }
        status
    }
}

fn toml(upstream: SocketAddr, general: &str, partners: &str) -> String {
    format!(
        r#"
        [listener]
        address = "127.0.0.1:0"
        certificate = "server.pem"
        private_key = "server.key"
        [management]
        address = "127.0.0.1:0"
        token_file = "management.token"
        [limits]
        {general}
        [trust.partners]
        ca = ["authority.pem"]
        [[routes]]
        path = "/partners"
        upstream = "http://{upstream}"
        client_certificate = {{ trust = "partners" }}
        {partners}
        [[routes]]
        path = "/open"
        upstream = "http://{upstream}"
        client_certificate = "none"
        "#
    )
}

/// Source address, certificate and protocol of a request.
struct Caller<'a> {
    address: Ipv4Addr,
    certificate: Option<&'a str>,
    is_http2: bool,
}

fn http1(address: Ipv4Addr, certificate: Option<&str>) -> Caller<'_> {
    Caller { address, certificate, is_http2: false }
}

fn http2(address: Ipv4Addr, certificate: Option<&str>) -> Caller<'_> {
    Caller { address, certificate, is_http2: true }
}

fn per_hour(requests: u32, by: &str) -> String {
    format!("{{ requests = {requests}, per = \"1h\", by = \"{by}\" }}")
}

#[tokio::test]
async fn exempt_address_is_counted_by_route_and_not_by_address() {
    let limits = |exempt: &str| format!("rate_limit = {}\n{exempt}", per_hour(1, "address"));
    let route = format!("limits.rate_limit = [{}, {}]", per_hour(1, "address"), per_hour(3, "route"));
    let world = World::start(&limits("exempt_networks = [\"127.0.0.1/32\"]"), &route).await;
    let (exempt, other) = (http1(ONE, Some("first")), http2(TWO, Some("first")));
    for expected in [200, 200, 200, 429] {
        assert_eq!(world.status(&exempt, "/partners").await, expected);
    }
    for (caller, expected) in [(&exempt, [200, 200, 200]), (&other, [200, 429, 429])] {
        for expected in expected {
            assert_eq!(world.status(caller, "/open").await, expected);
        }
    }
    world.reload(&limits(""), &route);
    assert_eq!(world.status(&exempt, "/open").await, 200);
    assert_eq!(world.status(&exempt, "/open").await, 429);
    assert_eq!(world.status(&other, "/open").await, 429, "counts continue");
}

#[tokio::test]
async fn address_has_one_rate_over_all_routes_and_protocols() {
    let world = World::start(&format!("rate_limit = {}", per_hour(3, "address")), "").await;
    assert_eq!(world.status(&http1(ONE, None), "/open").await, 200);
    assert_eq!(world.status(&http2(ONE, Some("first")), "/partners").await, 200);
    assert_eq!(world.status(&http2(ONE, None), "/partners").await, 403, "a rejected caller counts as well");
    for caller in [http1(ONE, None), http2(ONE, None), http1(ONE, Some("first")), http2(ONE, Some("second"))]
    {
        assert_eq!(world.status(&caller, "/open").await, 429);
        assert_eq!(world.status(&caller, "/partners").await, 429, "before the certificate is judged");
    }
    for caller in [http1(TWO, None), http2(TWO, None)] {
        assert_eq!(world.status(&caller, "/open").await, 200, "another address");
    }
    let text = metrics(&world.demo, world.running.management_port()).await;
    for route in ["/open", "/partners"] {
        let labels = format!(
            "gateway_errors_total{{route=\"{route}\",identity=\"\",upstream=\"{}\",code=\"rate_limited\"}}",
            world.upstream.address
        );
        assert_eq!(value(&text, &labels), Some(4.0), "{text}");
    }
    let line = world.running.logged(0, "code=\"rate_limited\"");
    assert!(
        line.contains("INFO") && line.contains("too many requests by this address (rate_limit)"),
        "{line}"
    );
}

#[tokio::test]
async fn grpc_call_over_the_rate_gets_resource_exhausted() {
    let world = World::start(&format!("rate_limit = {}", per_hour(1, "address")), "").await;
    assert_eq!(world.status(&http2(ONE, None), "/open").await, 200);
    let mut call = get("/open");
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let (status, headers, body) = world.send(&http2(ONE, None), call).await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(
        (&headers["grpc-status"], &headers["grpc-message"]),
        (&"8".parse().unwrap(), &"rate_limited".parse().unwrap())
    );
}

#[tokio::test]
async fn certificates_have_their_own_rates_that_strangers_do_not_use_up() {
    let list = format!("limits.rate_limit = [{}, {}]", per_hour(2, "certificate"), per_hour(4, "route"));
    let world = World::start("", &list).await;
    for name in ["self-1", "self-2", "self-3"] {
        for caller in [http1(ONE, Some(name)), http2(ONE, Some(name)), http1(ONE, None)] {
            assert_eq!(world.status(&caller, "/partners").await, 403);
        }
    }
    assert_eq!(world.status(&http1(ONE, Some("first")), "/partners").await, 200);
    assert_eq!(world.status(&http2(TWO, Some("first")), "/partners").await, 200);
    for caller in [http1(ONE, Some("first")), http2(TWO, Some("first"))] {
        assert_eq!(world.status(&caller, "/partners").await, 429, "from any address");
    }
    for caller in [http1(ONE, Some("second")), http2(ONE, Some("second"))] {
        assert_eq!(world.status(&caller, "/partners").await, 200, "another certificate");
    }
    assert_eq!(world.status(&http1(ONE, Some("second")), "/partners").await, 429);
    assert_eq!(world.status(&http1(ONE, None), "/open").await, 200, "another route");
}

#[tokio::test]
async fn self_made_certificates_have_no_entry_in_the_table() {
    let limit = "limits.rate_limit = { requests = 1, per = \"1h\", by = \"certificate\", max_keys = 1 }";
    let world = World::start("", limit).await;
    for name in ["self-1", "self-2", "self-3"] {
        assert_eq!(world.status(&http1(ONE, Some(name)), "/partners").await, 403);
    }
    // The first has the only entry; the second has the count that all others share.
    for name in ["first", "second"] {
        assert_eq!(world.status(&http1(ONE, Some(name)), "/partners").await, 200, "{name}");
        assert_eq!(world.status(&http2(ONE, Some(name)), "/partners").await, 429, "{name}");
    }
}

#[tokio::test]
async fn addresses_beyond_the_maximum_share_a_rate() {
    let limit = "rate_limit = { requests = 1, per = \"1h\", by = \"address\", max_keys = 1 }";
    let world = World::start(limit, "").await;
    for (address, expected) in [(ONE, 200), (ONE, 429), (TWO, 200), (THREE, 429), (TWO, 429), (ONE, 429)] {
        assert_eq!(world.status(&http1(address, None), "/open").await, expected, "{address}");
    }
}

#[tokio::test]
async fn each_route_has_its_own_count_of_a_general_rate() {
    let world = World::start(&format!("rate_limit = {}", per_hour(1, "route")), "").await;
    assert_eq!(world.status(&http1(ONE, None), "/open").await, 200);
    assert_eq!(world.status(&http1(TWO, None), "/open").await, 429, "from any address");
    assert_eq!(world.status(&http1(ONE, None), "/partners").await, 403);
    assert_eq!(world.status(&http1(ONE, Some("first")), "/partners").await, 200);
    assert_eq!(world.status(&http1(ONE, Some("second")), "/partners").await, 429);
}

#[tokio::test]
async fn reload_keeps_the_counts_of_unchanged_rates_and_applies_others_at_once() {
    let general = format!("rate_limit = {}", per_hour(1, "address"));
    let own = format!("limits.rate_limit = {}", per_hour(1, "certificate"));
    let world = World::start(&general, &own).await;
    let (open, partner) = (http1(ONE, None), http2(ONE, Some("first")));
    assert_eq!(world.status(&open, "/open").await, 200);
    assert_eq!(world.status(&partner, "/partners").await, 200, "the route has its own rate only");
    world.reload(&general, &own);
    assert_eq!(world.status(&open, "/open").await, 429);
    assert_eq!(world.status(&partner, "/partners").await, 429);

    world.reload(&format!("rate_limit = {}", per_hour(2, "address")), &own);
    assert_eq!(world.status(&open, "/open").await, 200, "a changed rate begins without counts");
    assert_eq!(world.status(&partner, "/partners").await, 429, "the other one is unchanged");
    world.reload("", "limits.rate_limit = \"off\"");
    assert_eq!(world.status(&open, "/open").await, 200);
    assert_eq!(world.status(&partner, "/partners").await, 200);
    world.reload(&general, "");
    assert_eq!(world.status(&open, "/open").await, 200, "removed counts do not return");
    assert_eq!(world.status(&partner, "/partners").await, 429, "the route has the general rate again");
}

#[tokio::test]
async fn shadow_mode_counts_admitted_certificates_only() {
    let world = World::start("", "").await;
    let own = format!("limits.rate_limit = {}", per_hour(1, "certificate"));
    let text = toml(world.upstream.address, "", &own);
    let rules = "{ trust = \"partners\"";
    replace(
        &world.demo.dir().join("rates.toml"),
        text.replace(rules, &format!("{rules}, mode = \"shadow\"")),
    );
    world.running.logged(0, "INFO gateway::server::follow: reloaded");
    for _ in 0..3 {
        assert_eq!(world.status(&http1(ONE, Some("self-1")), "/partners").await, 200);
    }
    assert_eq!(world.status(&http1(ONE, Some("first")), "/partners").await, 200);
    assert_eq!(world.status(&http1(ONE, Some("first")), "/partners").await, 429);
}
