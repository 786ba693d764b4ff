//! The next request after each change, on every transport.

use http::Method;
use rustls::version::TLS13;

use super::{
    crl_issuer::CrlIssuer,
    world::{Callers, SUCCESS, Status, World},
};
use crate::support::{
    callers::Http,
    get, in_time,
    pki::{self, Authority, Leaf},
    replace, whole,
};

const FORBIDDEN: Status = Status { http: 403, grpc: "7" };
const NO_ROUTE: Status = Status { http: 404, grpc: "12" };
const BAD_GATEWAY: Status = Status { http: 502, grpc: "14" };

/// A route under `/` with these keys.
fn route(keys: &str) -> String {
    format!("[[routes]]\npath = \"/tested\"\nupstream = \"UPSTREAM\"\n{keys}\n")
}

#[tokio::test]
async fn expired_certificate_is_rejected_on_the_next_request() {
    let world = World::start(&route("client_certificate = { trust = \"partners\" }")).await;
    let until = pki::now() + 6;
    let partner = world.partners.issue(&Leaf::client("partner").until(until));
    let callers = Callers::start(&world, &partner, "/tested", "anonymous").await;
    let steady = world.begin_steady_requests().await;
    let mut probe = world.caller(&partner, &TLS13, Http::Two).connect(world.port).await;
    in_time("the expiry", async { while whole(probe.send(get("/tested")).await).await.0 == 200 {} }).await;
    assert!(pki::now() > until);
    callers.assert_next("/tested", FORBIDDEN, "").await;
    steady.stop().await;
}

#[tokio::test]
async fn caller_of_a_removed_ca_is_rejected_on_the_next_request() {
    let world = World::start(&route("client_certificate = { trust = \"partners\" }")).await;
    let callers = Callers::start(&world, &world.partner(), "/tested", "anonymous").await;
    let steady = world.begin_steady_requests().await;
    let other = Authority::root("Other CA");
    world.reload(|| replace(&world.file("partners.pem"), other.pem()));
    callers.assert_next("/tested", FORBIDDEN, "").await;
    steady.stop().await;
}

#[tokio::test]
async fn revoked_certificate_is_rejected_on_the_next_request() {
    let issuer = CrlIssuer::new();
    let world = issuer.start(&route("client_certificate = { trust = \"listed\" }")).await;
    let callers = Callers::start(&world, &issuer.partner(), "/tested", "anonymous").await;
    let others = Callers::start(&world, &issuer.other(), "/tested", "anonymous").await;
    let steady = world.begin_steady_requests().await;
    issuer.revoke(&world);
    callers.assert_next("/tested", FORBIDDEN, "").await;
    others.assert_next("/tested", SUCCESS, "anonymous").await;
    steady.stop().await;
}

#[tokio::test]
async fn caller_whose_store_entry_is_deleted_is_rejected_on_the_next_request() {
    let world = World::start(&route("client_certificate = { in_store = true }")).await;
    let partner = world.partner();
    world.add_to_store("partner", &partner).await;
    let callers = Callers::start(&world, &partner, "/tested", "anonymous").await;
    let steady = world.begin_steady_requests().await;
    let deleted = world.manage(Method::DELETE, "/certificates/partner", String::new()).await;
    assert_eq!(deleted, 200);
    callers.assert_next("/tested", FORBIDDEN, "").await;
    steady.stop().await;
}

#[tokio::test]
async fn deletion_of_a_store_entry_is_effective_while_the_configuration_is_invalid() {
    let world = World::start(&route("client_certificate = { in_store = true }")).await;
    let partner = world.partner();
    world.add_to_store("partner", &partner).await;
    let callers = Callers::start(&world, &partner, "/tested", "anonymous").await;
    let from = world.running.lines();
    replace(&world.file("gateway.toml"), "[listener");
    world.running.logged(from, "ERROR gateway::server::follow: configuration not reloaded: ");
    let deleted = world.manage(Method::DELETE, "/certificates/partner", String::new()).await;
    assert_eq!(deleted, 200);
    callers.assert_next("/tested", FORBIDDEN, "").await;
}

#[tokio::test]
async fn changed_rule_decides_about_the_next_request() {
    let rule = "client_certificate = { trust = \"partners\", common_name = [\"partner\"] }";
    let world = World::start(&route(rule)).await;
    let callers = Callers::start(&world, &world.partner(), "/tested", "anonymous").await;
    let steady = world.begin_steady_requests().await;
    world.change("common_name = [\"partner\"]", "common_name = [\"other\"]");
    callers.assert_next("/tested", FORBIDDEN, "").await;
    steady.stop().await;
}

#[tokio::test]
async fn replaced_identity_is_presented_on_the_next_request() {
    let rule = "identity = \"orders\"\nclient_certificate = { trust = \"partners\" }";
    let world = World::start(&route(rule)).await;
    let callers = Callers::start(&world, &world.partner(), "/tested", "orders").await;
    let steady = world.begin_steady_requests().await;
    world.replace_identity(&world.identities.issue(&Leaf::client("renewed")));
    callers.assert_next("/tested", SUCCESS, "renewed").await;
    steady.stop().await;
}

#[tokio::test]
async fn removed_identity_is_not_presented_on_the_next_request() {
    let rule = "identity = \"orders\"\nclient_certificate = { trust = \"partners\" }";
    let world = World::start(&route(rule)).await;
    let callers = Callers::start(&world, &world.partner(), "/tested", "orders").await;
    let steady = world.begin_steady_requests().await;
    world.change("identity = \"orders\"", "");
    callers.assert_next("/tested", SUCCESS, "anonymous").await;
    steady.stop().await;
}

#[tokio::test]
async fn changed_upstream_trust_decides_about_the_next_request() {
    let rule = "upstream_tls = { ca = [\"route-ca.pem\"] }\nclient_certificate = { trust = \"partners\" }";
    let world = World::start(&route(rule)).await;
    let callers = Callers::start(&world, &world.partner(), "/tested", "anonymous").await;
    let steady = world.begin_steady_requests().await;
    let other = Authority::root("Other CA");
    world.reload(|| replace(&world.file("route-ca.pem"), other.pem()));
    callers.assert_next("/tested", BAD_GATEWAY, "").await;
    steady.stop().await;
}

#[tokio::test]
async fn moved_route_serves_the_next_request_at_its_new_path_only() {
    let world = World::start(&route("client_certificate = { trust = \"partners\" }")).await;
    let partner = world.partner();
    let (old, new) = (
        Callers::start(&world, &partner, "/tested", "anonymous").await,
        Callers::start(&world, &partner, "/tested", "anonymous").await,
    );
    let steady = world.begin_steady_requests().await;
    world.change("path = \"/tested\"", "path = \"/moved\"");
    old.assert_next("/tested", NO_ROUTE, "").await;
    new.assert_next("/moved", SUCCESS, "anonymous").await;
    steady.stop().await;
}
