//! APIs of the management API: requests are served under their policy at once.

use std::fs;

use http::Method;
use serde_json::{Value, json};

use super::{effective::seen, world::World};
use crate::support::{Running, replace};

pub(super) const ORDERS: &str = "CN=orders-gateway, O=Contoso";
pub(super) const BILLING: &str = "CN=billing-gateway, O=Contoso";

/// The policy that admits the demo's client only.
pub(super) fn only(thumbprint: &str) -> String {
    format!(
        r#"<choose><when condition="@(context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "{thumbprint}")" ><return-response><set-status code="403" reason="Invalid client certificate" /></return-response></when></choose>"#
    )
}

pub(super) fn choose(id: &str) -> String {
    format!(r#"<authentication-certificate certificate-id="{id}" />"#)
}

pub(super) async fn identities(world: &World) {
    for name in ["orders", "billing"] {
        let (pfx, password) = world.pfx(name);
        assert_eq!(world.put(name, &pfx, &password, &[]).await.status, 201);
    }
}

/// The thumbprint of a certificate.
pub(super) async fn thumbprint(world: &World, file: &str) -> String {
    let made = world.put("asked", &world.file(file), "", &[]).await;
    made.body["properties"]["thumbprint"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn api_is_served_with_its_policy_from_the_first_call_after_the_response() {
    let world = World::start("");
    identities(&world).await;
    let mut client = world.demo.http1(Some("client")).await;
    let mut stranger = world.demo.http1(Some("stranger")).await;
    assert_eq!(seen(&mut client, "/api").await.0, 404);
    world.make_api("api", "api").await;
    assert_eq!(seen(&mut client, "/api/x").await, (502, String::new()), "the upstream demands a certificate");
    let rule = only(&thumbprint(&world, "client.pem").await);
    let mut tag = String::new();
    for turn in 0..20 {
        let (id, subject) = [("orders", ORDERS), ("billing", BILLING)][turn % 2];
        let value = format!("<policies><inbound>{rule}{}</inbound></policies>", choose(id));
        let put =
            world.set("/apis/api/policies/policy", json!({ "format": "rawxml", "value": value }), &tag).await;
        assert_eq!(put.status, if turn == 0 { 201 } else { 200 }, "{put:?}");
        assert_ne!(tag, put.etag());
        tag = put.etag().to_owned();
        assert_eq!(seen(&mut client, "/api").await, (200, subject.to_owned()), "turn {turn}");
        assert_eq!(seen(&mut stranger, "/api").await.0, 403, "turn {turn}");
    }
    let deleted = world.ask(Method::DELETE, "/apis/api", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(seen(&mut client, "/api").await.0, 404);
    let gone = world.ask(Method::GET, "/apis/api/policies/policy", &[], "").await;
    assert_eq!(gone.status, 404, "its policy was deleted as well");
}

#[tokio::test]
async fn routes_of_the_file_are_visible_and_keep_their_paths() {
    let world = World::start(
        "[[routes]]\npath = \"/used/deep\"\nhost = \"api.example.com\"\nupstream = \"UPSTREAM\"\n",
    );
    let list = world.ask(Method::GET, "/apis", &[], "").await;
    let names: Vec<_> =
        list.body["value"].as_array().unwrap().iter().map(|api| api["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["file!!open", "file!api.example.com!used!deep"]);
    assert!(list.body["value"].as_array().unwrap().iter().all(|api| api["properties"]["readOnly"] == true));
    let got = world.ask(Method::GET, "/apis/file!!open", &[], "").await;
    assert_eq!((got.status, &got.body["properties"]["path"]), (200, &json!("open")));
    let api = |path: &str| json!({ "path": path, "serviceUrl": world.upstream, "displayName": "x" });
    assert_eq!(got.body["properties"]["serviceUrl"], world.upstream);
    let policies = world.ask(Method::GET, "/apis/file!!open/policies", &[], "").await;
    assert_eq!((policies.status, &policies.body["count"]), (200, &json!(0)));
    let policy = world.ask(Method::GET, "/apis/file!!open/policies/policy", &[], "").await;
    assert_eq!(policy.status, 404, "{policy:?}");
    for path in ["/apis/file!!open", "/apis/file!!open/policies/policy"] {
        let changed = world.set(path, api("x"), "*").await;
        assert_eq!(changed.status, 409, "{changed:?}");
    }
    let deleted = world.ask(Method::DELETE, "/apis/file!!open", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 409);
    for (path, status) in
        [("open", 409), ("open/below", 409), ("used/deep/er", 409), ("opened", 201), ("used", 201), ("", 201)]
    {
        let id = format!("/apis/at{}", path.replace('/', "-"));
        let made = world.set(&id, api(path), "").await;
        assert_eq!(made.status, status, "{path}: {made:?}");
    }
    let twin = world.set("/apis/twin", api("opened"), "").await;
    assert_eq!(twin.status, 409, "{twin:?}");
    assert!(twin.message().contains("belongs to the API 'atopened'"), "{twin:?}");
    for path in ["opened", "opened/", "/opened"] {
        let first = world.set("/apis/a", api(path), "").await;
        assert_eq!(first.status, 409, "whatever it is called and however it is spelled: {first:?}");
    }
    let spelled = world.set("/apis/a", api("opened//"), "").await;
    assert_eq!(spelled.status, 400, "{spelled:?}");
}

#[tokio::test]
async fn unenforceable_demands_of_an_api_are_refused() {
    let world = World::start("");
    let good =
        json!({ "displayName": "A", "path": "a", "serviceUrl": world.upstream, "protocols": ["https"] });
    for (name, value, part) in [
        ("path", json!("a//b"), "empty segment"),
        ("path", json!("../a"), "path"),
        ("path", Value::Null, "path is missing"),
        ("serviceUrl", Value::Null, "serviceUrl is missing"),
        ("serviceUrl", json!("ftp://x"), "serviceUrl"),
        ("serviceUrl", json!("https://user:hunter2@x"), "user name or password"),
        ("protocols", json!(["http"]), "Only https"),
        ("protocols", json!(["wss"]), "not supported"),
        ("subscriptionRequired", json!(true), "subscription keys are not supported"),
        (
            "authenticationSettings",
            json!({ "oAuth2": { "authorizationServerId": "x" } }),
            "token validation is not supported",
        ),
        ("type", json!("soap"), "only http"),
        ("apiRevision", json!("2"), "only revision 1"),
        ("apiVersion", json!("v1"), "versions are not supported"),
        ("format", json!("openapi"), "import of API definitions is not supported"),
        ("displayName", json!("x".repeat(301)), "longer than 300"),
        ("displayName", json!(7), "not valid JSON for this resource"),
        ("SubscriptionRequired", json!(true), "subscription keys are not supported"),
        ("subscriptionRequred", json!(true), "subscriptionRequred is not supported"),
        ("displayname", json!("B"), "displayName occurs twice"),
        ("path", json!("a/{id}"), "must not be a template"),
    ] {
        let mut properties = good.clone();
        properties[name] = value.clone();
        let refused = world.set("/apis/a", properties, "").await;
        assert_eq!(refused.status, 400, "{name} {value}: {refused:?}");
        assert!(
            refused.text.contains(part) && !refused.text.contains("hunter2"),
            "{name} {value}: {refused:?}"
        );
    }
    let mut accepted = good.clone();
    accepted["subscriptionRequired"] = json!(false);
    accepted["authenticationSettings"] = json!({ "oAuth2": null, "openidAuthenticationSettings": [] });
    accepted["subscriptionKeyParameterNames"] = json!({ "header": "x" });
    accepted["nothingSaid"] = Value::Null;
    let made = world.set("/apis/a", accepted, "").await;
    assert_eq!((made.status, &made.body["properties"]["provisioningState"]), (201, &json!("Succeeded")));
    let exists = world.set("/apis/a", good.clone(), "").await;
    assert_eq!(exists.status, 412);
    let patch = json!({ "properties": { "displayName": "B" } }).to_string();
    let unsaid = world.ask(Method::PATCH, "/apis/a", &[], &patch).await;
    assert_eq!(unsaid.status, 400, "{unsaid:?}");
    let patched = world.ask(Method::PATCH, "/apis/a", &[("if-match", made.etag())], &patch).await;
    let properties = &patched.body["properties"];
    assert_eq!(
        (patched.status, &properties["displayName"], &properties["path"]),
        (200, &json!("B"), &json!("a"))
    );
    let stale = world.set("/apis/a", good, made.etag()).await;
    assert_eq!(stale.status, 412);
    let filtered = world.ask(Method::GET, "/apis?$filter=displayName%20eq%20'b'", &[], "").await;
    assert_eq!(filtered.body["count"], 1, "{filtered:?}");
    let nulled = world
        .ask(Method::PATCH, "/apis/a", &[("if-match", "*")], r#"{"properties":{"description":null}}"#)
        .await;
    assert!(nulled.status == 400 && nulled.message().contains("does not remove it"), "{nulled:?}");
    let missing = world.ask(Method::PATCH, "/apis/b", &[("if-match", "*")], &patch).await;
    assert_eq!(missing.status, 404, "{missing:?}");
    let unknown = world.ask(Method::GET, "/apis/b", &[], "").await;
    assert_eq!((unknown.status, unknown.message()), (404, "The API 'b' was not found."));
}

#[tokio::test]
async fn apis_survive_a_restart_and_no_reload_breaks_them() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    let verify = only("X")
        .replace("context.Request.Certificate.Thumbprint != \"X\"", "!context.Request.Certificate.Verify()")
        + &choose("orders");
    assert_eq!(world.set_policy("api", &verify).await.status, 201);
    let mut client = world.demo.http1(Some("client")).await;
    assert_eq!(seen(&mut client, "/api").await, (200, ORDERS.to_owned()));
    let text = fs::read_to_string(&world.config).unwrap();
    // The file can remove both the API's needs and its path; neither is removed.
    let overlap = format!("{text}\n[[routes]]\npath = \"/api\"\nupstream = \"{}\"\n", world.upstream);
    for (changed, part) in [
        (text.replace("[apis]\n            trust = \"demo\"", ""), "needs trusted roots"),
        (overlap, "belongs to the route /api of the configuration file"),
    ] {
        let before = world.running.lines();
        replace(&world.config, &changed);
        let reported = world.running.logged(before, "configuration not reloaded");
        assert!(
            reported.contains(part) && reported.contains("the API 'api' could not be served any more"),
            "{reported}"
        );
        assert_eq!(seen(&mut client, "/api").await, (200, ORDERS.to_owned()), "{part}");
    }
    // A start serves the rest, and refuses the API's requests.
    let World { demo, running, config, .. } = world;
    drop(running);
    fs::write(
        &config,
        text.replace("[apis]\n            trust = \"demo\"", "")
            + "\n[[routes]]\npath = \"/\"\nupstream = \"http://127.0.0.1:9\"\n",
    )
    .unwrap();
    let (running, port) = Running::start(&config);
    assert!(running.log().contains("the API 'api' cannot be served"), "{}", running.log());
    let demo = demo.on_port(port);
    let mut client = demo.http1(Some("client")).await;
    assert_eq!(seen(&mut client, "/api/x").await.0, 503, "the request does not match the root route");
    assert_eq!(seen(&mut client, "/other").await.0, 502);
    let before = running.lines();
    replace(&config, &text);
    running.logged(before, "reloaded");
    assert_eq!(seen(&mut client, "/api").await, (200, ORDERS.to_owned()));
}

#[tokio::test]
async fn upload_cannot_take_the_name_of_an_identity_of_the_file() {
    let world = World::start("");
    let text = fs::read_to_string(&world.config).unwrap();
    let named = "[identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n";
    let before = world.running.lines();
    replace(&world.config, text + named);
    world.running.logged(before, "reloaded");
    world.make_api("api", "api").await;
    assert_eq!(world.set_policy("api", &choose("orders")).await.status, 201);
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/api").await, (200, ORDERS.to_owned()));
    let (pfx, password) = world.pfx("billing");
    for (data, password) in [(pfx.as_slice(), &*password), (&world.file("client.pem"), "")] {
        let refused = world.put("orders", data, password, &[]).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        assert!(refused.message().contains("Choose another id"), "{refused:?}");
    }
    assert_eq!(seen(&mut caller, "/api").await, (200, ORDERS.to_owned()));
}
