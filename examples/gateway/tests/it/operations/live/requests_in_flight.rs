//! Requests in flight whose caller would not be admitted any more: cut within two seconds, or finished.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Channel, channel::Sender};
use hyper::body::Incoming;
use rustls::version::TLS13;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::client::TlsStream;

use super::{
    crl_issuer::CrlIssuer,
    upstream::{DOWNLOAD, UPLOAD},
    world::World,
};
use crate::support::{
    callers::{Connection, Http},
    eventually, get, in_time,
    pki::{self, Authority, Issued, Leaf},
    replace, soon, whole,
};

/// Maximum time from the moment at which a change is effective to the last cut.
const LIMIT: Duration = Duration::from_secs(2);

/// Two routes with this rule: `/cut`, by default, and `/finish`.
fn routes(rule: &str) -> String {
    let route = |path: &str, more: &str| {
        format!(
            "[[routes]]\npath = \"{path}\"\nupstream = \"UPSTREAM{path}\"\nclient_certificate = {rule}\n{more}\n"
        )
    };
    route("/cut", "") + &route("/finish", "on_revoked = \"finish\"")
}

/// Requests of all kinds below one path.
struct LongRequests {
    downloads: Vec<(Connection, Incoming)>,
    uploads: Vec<(Sender<Bytes>, JoinHandle<Option<u16>>)>,
    tunnel: TlsStream<TcpStream>,
}

/// Requests that end at the upstream when they are cut.
const COUNT: usize = 6;

impl LongRequests {
    async fn start(world: &World, partner: &Issued, path: &str) -> Self {
        let mut downloads = Vec::new();
        for http in [Http::One, Http::Two, Http::Grpc] {
            let mut connection = world.caller(partner, &TLS13, http).connect(world.port).await;
            let mut request = get(&format!("{path}{DOWNLOAD}"));
            if http == Http::Grpc {
                *request.method_mut() = Method::POST;
                request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            }
            let response = connection.send(request).await;
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let first = soon(body.frame()).await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "begun");
            downloads.push((connection, body));
        }
        let mut uploads = Vec::new();
        for http in [Http::One, Http::Two] {
            let mut connection = world.caller(partner, &TLS13, http).connect(world.port).await;
            let (mut sender, body) = Channel::<Bytes>::new(1);
            let request =
                Request::post(format!("https://localhost{path}{UPLOAD}")).header("host", "localhost");
            let request = request.body(body).unwrap();
            let sent = tokio::spawn(async move {
                let response = connection.try_send(request).await.ok()?;
                Some(whole(response).await.0)
            });
            sender.send_data(Bytes::from_static(b"begun")).await.unwrap();
            uploads.push((sender, sent));
        }
        let mut tunnel = world.caller(partner, &TLS13, Http::One).handshake(world.port).await.unwrap();
        let request = format!(
            "GET {path}/tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: chatter\r\n\r\n"
        );
        tunnel.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"begun") {
            assert_ne!(
                soon(tunnel.read_buf(&mut read)).await.unwrap(),
                0,
                "{}",
                String::from_utf8_lossy(&read)
            );
        }
        Self { downloads, uploads, tunnel }
    }

    /// All end with an error at the caller, and then at the upstream. Returns the time of the last one at the caller.
    async fn assert_cut(self, world: &mut World) -> Instant {
        for (connection, body) in self.downloads {
            let end = soon(body.collect()).await;
            match connection.http {
                Http::Grpc => {
                    let trailers = end.unwrap().trailers().cloned().unwrap();
                    assert_eq!(trailers["grpc-status"], "7");
                }
                http => assert!(end.is_err(), "{http:?}: an incomplete response"),
            }
        }
        for (_sender, sent) in self.uploads {
            assert_eq!(soon(sent).await.unwrap(), None, "no response");
        }
        let mut tunnel = self.tunnel;
        assert!(soon(tunnel.read(&mut [0; 1])).await.is_err(), "no clean end");
        let at = Instant::now();
        for _ in 0..COUNT {
            let path = world.upstream.end().await;
            assert!(path.starts_with("/cut/"), "{path}");
        }
        at
    }

    /// All complete once they are released.
    async fn assert_finished(self) {
        for (connection, body) in self.downloads {
            let end = soon(body.collect()).await;
            assert!(end.is_ok(), "{:?}: {end:?}", connection.http);
        }
        for (sender, sent) in self.uploads {
            drop(sender);
            assert_eq!(soon(sent).await.unwrap(), Some(200));
        }
        let mut tunnel = self.tunnel;
        let mut read = Vec::new();
        let _ = soon(tunnel.read_to_end(&mut read)).await;
        assert_eq!(read, b"more");
    }
}

/// `change` makes a change after which `partner` is not admitted, and returns the time from which it is effective: that of
/// the line `reloaded`, of the response of the management API, or of the expiry.
async fn assert_cut_and_finished(
    mut world: World,
    partner: &Issued,
    reason: &str,
    change: impl AsyncFnOnce(&World) -> Instant,
) {
    let cut = LongRequests::start(&world, partner, "/cut").await;
    let finished = LongRequests::start(&world, partner, "/finish").await;
    let steady = world.begin_steady_requests().await;
    let from = world.running.lines();
    let since = change(&world).await;
    let taken = cut.assert_cut(&mut world).await - since;
    println!("{reason}: cut after {taken:?}");
    assert!(taken < LIMIT, "{taken:?}");
    assert_eq!(world.upstream.other_end(), None, "only those of /cut are cut");
    steady.stop().await;
    world.upstream.release();
    finished.assert_finished().await;
    let logged = || world.running.count(from, "request in flight cut: ");
    eventually("the log lines", || logged() >= COUNT).await;
    assert_eq!(logged(), COUNT);
    let line = world.running.logged(from, "request in flight cut: ");
    assert!(line.contains(&format!("reason=\"{reason}\"")) && line.contains("route=\"/cut\""), "{line}");
    let series = format!("gateway_requests_cut_total{{reason=\"{reason}\"}}");
    assert_eq!(world.metric(&series).await, Some(COUNT as f64));
}

#[tokio::test]
async fn requests_in_flight_are_cut_at_the_expiry_of_their_certificate() {
    let world = World::start(&routes("{ trust = \"partners\" }")).await;
    let until = pki::now() + 8;
    let partner = world.partners.issue(&Leaf::client("partner").until(until));
    assert_cut_and_finished(world, &partner, "expired", async |_| {
        in_time("the expiry", async {
            while pki::now() <= until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_of_a_removed_ca_are_cut() {
    let world = World::start(&routes("{ trust = \"partners\" }")).await;
    let partner = world.partner();
    assert_cut_and_finished(world, &partner, "not_trusted", async |world| {
        let other = Authority::root("Other CA");
        world.reload(|| replace(&world.file("partners.pem"), other.pem()));
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_of_a_revoked_certificate_are_cut() {
    let issuer = CrlIssuer::new();
    let world = issuer.start(&routes("{ trust = \"listed\" }")).await;
    assert_cut_and_finished(world, &issuer.partner(), "revoked", async |world| {
        issuer.revoke(world);
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_of_a_deleted_store_entry_are_cut() {
    let world = World::start(&routes("{ in_store = true }")).await;
    let partner = world.partner();
    world.add_to_store("partner", &partner).await;
    assert_cut_and_finished(world, &partner, "not_member", async |world| {
        let deleted = world.manage(Method::DELETE, "/certificates/partner", String::new()).await;
        assert_eq!(deleted, 200);
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_are_cut_after_a_change_of_rules() {
    let world = World::start(&routes("{ trust = \"partners\", common_name = [\"partner\"] }")).await;
    let partner = world.partner();
    assert_cut_and_finished(world, &partner, "common_name", async |world| {
        world.change("common_name = [\"partner\"]", "common_name = [\"other\"]");
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_of_a_removed_route_are_cut() {
    let world = World::start(&routes("{ trust = \"partners\" }")).await;
    let partner = world.partner();
    assert_cut_and_finished(world, &partner, "no_route", async |world| {
        world.change("path = \"/cut\"", "path = \"/moved\"");
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_of_a_document_that_loses_its_guard_are_cut() {
    let document = |elements: &str| format!("<policies><inbound><base />{elements}</inbound></policies>");
    let guarded = document("<validate-client-certificate validate-revocation=\"false\" />");
    let unguarded = document(
        "<choose><when condition=\"@(context.Request.Certificate?.VerifyNoRevocation() == true)\">\
         <set-variable name=\"is-partner\" value=\"yes\" /></when></choose>",
    );
    let routes = routes("{ policy = \"policy.xml\", trust = \"partners\" }");
    let world = World::start_with(&routes, &[("policy.xml", guarded.as_bytes())]).await;
    let partner = world.partner();
    assert_cut_and_finished(world, &partner, "policy_document", async |world| {
        world.reload(|| replace(&world.file("policy.xml"), unguarded));
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn requests_in_flight_of_a_deleted_api_are_cut_unless_apis_finish() {
    for (setting, is_cut) in [("", true), ("on_revoked = \"finish\"", false)] {
        let apis = format!("[apis]\ntrust = \"partners\"\n{setting}\n");
        let mut world = World::start(&(apis + &routes("{ in_store = true }"))).await;
        let partner = world.partner();
        world.add_to_store("partner", &partner).await;
        let api = serde_json::json!({ "properties": {
            "displayName": "orders",
            "path": "orders",
            "serviceUrl": format!("https://localhost:{}", world.upstream.address.port()),
            "protocols": ["https"],
        } });
        assert_eq!(world.manage(Method::PUT, "/apis/orders", api.to_string()).await, 201);
        let requests = LongRequests::start(&world, &partner, "/orders").await;
        let others = LongRequests::start(&world, &partner, "/cut").await;
        let from = world.running.lines();
        assert_eq!(world.manage(Method::DELETE, "/apis/orders", String::new()).await, 204);
        if is_cut {
            for _ in 0..COUNT {
                let path = world.upstream.end().await;
                assert!(!path.starts_with("/cut/"), "{path}");
            }
            world.running.logged(from, "reason=\"no_route\"");
        } else {
            assert_eq!(world.manage(Method::DELETE, "/certificates/partner", String::new()).await, 200);
            others.assert_cut(&mut world).await;
            world.upstream.release();
            requests.assert_finished().await;
        }
    }
}
