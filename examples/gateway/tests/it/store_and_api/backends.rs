//! Backends that policies name by id.

use http::Method;
use serde_json::json;

use super::{effective::seen, world::World};

const ORDERS: &str = "CN=orders-gateway, O=Contoso";

async fn with_identity() -> World {
    let world = World::start("");
    let (pfx, password) = world.pfx("orders");
    assert_eq!(world.put("orders", &pfx, &password, &[]).await.status, 201);
    world
}

#[tokio::test]
async fn policy_sends_to_a_backend_by_id_with_its_identity_and_trust() {
    let world = with_identity().await;
    // An address that is not among the names of the backend's certificate would be refused.
    world.make_api("api", "api").await;
    let elsewhere = world.upstream.replace("localhost", "127.0.0.1");
    let unnamed = elsewhere.replace("127.0.0.1", "127.0.0.2");
    for url in [&elsewhere, &unnamed] {
        assert!(url.starts_with("https://127.0.0."), "{url}");
    }
    let backend = json!({
        "url": unnamed, "protocol": "http",
        "credentials": { "certificateIds": ["orders"] },
    });
    let made = world.set("/backends/orders-v2", backend.clone(), "").await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["properties"]["tls"]["validateCertificateChain"], true);
    let policy = r#"<set-backend-service backend-id="orders-v2" />"#;
    assert_eq!(world.set_policy("api", policy).await.status, 201);
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/api").await.0, 502, "its certificate does not have that name");
    let patch = json!({ "properties": { "tls": { "validateCertificateName": false } } }).to_string();
    let patched = world.ask(Method::PATCH, "/backends/orders-v2", &[("if-match", made.etag())], &patch).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    assert_eq!(patched.body["properties"]["url"], unnamed);
    world.running.logged(0, "certificate verification of this backend is reduced");
    let answer = seen(&mut caller, "/api").await;
    assert!(answer == (200, ORDERS.to_owned()) || answer.0 == 502, "{answer:?}");
}

#[tokio::test]
async fn backend_in_use_is_not_deleted_and_must_name_a_stored_certificate() {
    let world = with_identity().await;
    let url = world.upstream.clone();
    for (credentials, part) in [
        (json!({ "certificateIds": ["my-cert"] }), "Certificate with id 'my-cert' not found."),
        (json!({ "certificate": ["A".repeat(40)] }), "not found."),
        (json!({ "certificate": ["core-c1-certificate"] }), "is not a SHA-1 thumbprint"),
        (json!({ "certificateIds": ["orders", "billing"] }), "Only one certificate"),
        (json!({ "header": { "x": ["y"] } }), "are supported in credentials"),
    ] {
        let refused = world
            .set("/backends/b", json!({ "url": url, "protocol": "http", "credentials": credentials }), "")
            .await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.text.contains(part), "{part}: {refused:?}");
        assert_eq!(refused.body["error"]["details"][0]["target"], "credentials", "{refused:?}");
    }
    for (name, value, part) in [
        ("url", json!("orders"), "url"),
        ("protocol", json!("soap"), "protocol"),
        ("pool", json!({ "services": [] , "x": 1 }), "pool is not supported"),
        ("proxy", json!({ "url": "http://p" }), "proxy is not supported"),
        ("type", json!("Pool"), "type Single"),
        ("credential", json!({ "certificateIds": ["orders"] }), "credential is not supported"),
        ("credentials", json!({ "certificateId": ["orders"] }), "credentials.certificateId is not supported"),
        ("credentials", json!({ "CertificateIDs": ["missing"] }), "'missing' not found"),
    ] {
        let mut properties = json!({ "url": url, "protocol": "http" });
        properties[name] = value;
        let refused = world.set("/backends/b", properties, "").await;
        assert_eq!(refused.status, 400, "{name}: {refused:?}");
        assert!(refused.text.contains(part), "{part}: {refused:?}");
    }
    // The full resource path as well, but not another text with the same end.
    let path = format!("{}/certificates/orders", super::world::SERVICE);
    for (id, status) in
        [(path.as_str(), 201), ("/subscriptions/x/certificates/orders", 400), ("x/certificates/orders", 400)]
    {
        let properties = json!({ "url": url, "protocol": "http", "credentials": { "certificateIds": [id] } });
        let made = world.set("/backends/path", properties, "").await;
        assert_eq!(made.status, status, "{id}: {made:?}");
        if status == 201 {
            assert_eq!(made.body["properties"]["credentials"]["certificateIds"], json!(["orders"]));
            let nulled = r#"{"properties":{"credentials":null}}"#;
            let nulled = world.ask(Method::PATCH, "/backends/path", &[("if-match", "*")], nulled).await;
            assert_eq!(nulled.status, 400, "{nulled:?}");
            let emptied = r#"{"properties":{"credentials":{}}}"#;
            let emptied = world.ask(Method::PATCH, "/backends/path", &[("if-match", "*")], emptied).await;
            assert!(emptied.body["properties"]["credentials"].is_null(), "{emptied:?}");
            let removed = world.ask(Method::DELETE, "/backends/path", &[("if-match", "*")], "").await;
            assert_eq!(removed.status, 200);
        }
    }
    let properties = json!({ "url": url, "protocol": "http", "title": "B", "credentials": { "certificateIds": ["orders"] } });
    assert_eq!(world.set("/backends/b", properties, "").await.status, 201);
    let delete = |path: &'static str| world.ask(Method::DELETE, path, &[("if-match", "*")], "");
    let refused = delete("/certificates/orders").await;
    assert!(refused.message().ends_with("\r\n/backends/b\r\n"), "{refused:?}");
    world.make_api("api", "api").await;
    assert_eq!(world.set_policy("api", r#"<set-backend-service backend-id="b" />"#).await.status, 201);
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/api").await, (200, ORDERS.to_owned()));
    let refused = delete("/backends/b").await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.message(),
        "The Backend 'b' is used by the following entities:\r\n/apis/api/policies/policy\r\n"
    );
    let unknown = world.set_policy("api", r#"<set-backend-service backend-id="c" />"#).await;
    assert_eq!(unknown.status, 412, "it has a policy");
    let value = r#"<policies><inbound><set-backend-service backend-id="c" /></inbound></policies>"#;
    let unknown =
        world.set("/apis/api/policies/policy", json!({ "format": "rawxml", "value": value }), "*").await;
    assert!(unknown.status == 400 && unknown.text.contains("no backend has the id"), "{unknown:?}");
    assert_eq!(delete("/apis/api").await.status, 204);
    assert_eq!(delete("/backends/b").await.status, 200);
    assert_eq!(delete("/backends/b").await.status, 204);
    assert_eq!(delete("/certificates/orders").await.status, 200);
}
