//! APIs that come through the management API: requests take them at once, under the policy that they have.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Value, json};

use crate::{
    effective::seen,
    support::{Running, metrics, replace, value},
    world::World,
};

const ORDERS: &str = "CN=orders-gateway, O=Contoso";
const BILLING: &str = "CN=billing-gateway, O=Contoso";

/// The seed's own, which lets nobody in but the demo's client.
fn only(thumbprint: &str) -> String {
    format!(
        r#"<choose><when condition="@(context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "{thumbprint}")" ><return-response><set-status code="403" reason="Invalid client certificate" /></return-response></when></choose>"#
    )
}

fn choose(id: &str) -> String {
    format!(r#"<authentication-certificate certificate-id="{id}" />"#)
}

async fn identities(world: &World) {
    for name in ["orders", "billing"] {
        let (pfx, password) = world.pfx(name);
        assert_eq!(world.put(name, &pfx, &password, &[]).await.status, 201);
    }
}

/// What a certificate is called by.
async fn thumbprint(world: &World, file: &str) -> String {
    let made = world.put("asked", &world.file(file), "", &[]).await;
    made.body["properties"]["thumbprint"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_api_is_served_with_its_policy_from_the_first_call_after_the_answer_on() {
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
    assert_eq!(gone.status, 404, "its policy went with it");
}

#[tokio::test]
async fn a_policy_is_written_in_both_forms_and_read_in_both() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    let raw =
        format!("<policies><inbound>{}{}</inbound></policies>", only(&"A".repeat(40)), choose("orders"));
    let escaped = raw.replace("\"@(", "'@(").replace(")\" >", ")' >").replace("&&", "&amp;&amp;");
    let path = "/apis/api/policies/policy";
    for (format, sent) in [("rawxml", &raw), ("xml", &escaped)] {
        let put = world.set(path, json!({ "format": format, "value": sent }), "*").await;
        let put = if put.status == 412 {
            world.set(path, json!({ "format": format, "value": sent }), "").await
        } else {
            put
        };
        assert!([200, 201].contains(&put.status), "{put:?}");
        let got = world.ask(Method::GET, &format!("{path}?format={format}"), &[], "").await;
        assert_eq!(got.body["properties"]["value"], **sent, "{format}: as it was given");
        let head = world.ask(Method::HEAD, path, &[], "").await;
        assert_eq!((head.status, head.etag(), head.text.as_str()), (200, put.etag(), ""));
        let xml = world.ask(Method::GET, path, &[], "").await;
        let xml = xml.body["properties"]["value"].as_str().unwrap();
        assert!(!xml.contains("\"@(") || xml.contains("Thumbprint != &quot;AAAA"), "well-formed: {xml}");
        let back = world.ask(Method::GET, &format!("{path}?format=rawxml"), &[], "").await;
        assert!(back.text.contains("Certificate.Thumbprint != \\\"AAAA"), "{back:?}");
    }
    let list = world.ask(Method::GET, "/apis/api/policies", &[], "").await;
    assert_eq!((list.status, &list.body["count"]), (200, &json!(1)));
    let raw_as_xml = world.set(path, json!({ "value": raw }), "*").await;
    assert_eq!(raw_as_xml.status, 400, "xml is what a document is without a format: {raw_as_xml:?}");
    assert!(raw_as_xml.text.contains("line 1, column"), "{raw_as_xml:?}");
    assert!(raw_as_xml.message().contains("Send the format rawxml"), "{raw_as_xml:?}");
    for (format, part) in [("xml-link", "Links are not followed"), ("json", "neither xml nor rawxml")] {
        let refused = world.set(path, json!({ "format": format, "value": "https://x" }), "*").await;
        assert_eq!(refused.status, 400);
        assert!(refused.message().contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn a_policy_that_would_not_be_enforced_is_refused_whole_and_everything_wrong_is_said() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    assert_eq!(world.set_policy("api", &choose("orders")).await.status, 201);
    let mut caller = world.demo.http1(None).await;
    let value = "<policies>\n <inbound>\n  <rate-limit calls=\"1\" renewal-period=\"1\" />\n  \
                 <authentication-certificate certificate-id=\"nobody\" />\n  <authentication-certificate \
                 certificate-id=\"asked\" />\n </inbound>\n</policies>";
    thumbprint(&world, "client.pem").await;
    let path = "/apis/api/policies/policy";
    let refused = world.set(path, json!({ "format": "rawxml", "value": value }), "*").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let details = refused.body["error"]["details"].as_array().unwrap();
    let told: Vec<_> = details.iter().map(|detail| detail["message"].as_str().unwrap()).collect();
    for part in ["line 3, column 3: <rate-limit>", "line 4", "\"nobody\"", "line 5"] {
        assert!(told.iter().any(|told| told.contains(part)), "{part}: {told:?}");
    }
    assert!(details.iter().all(|detail| detail["target"] == "representation"), "{details:?}");
    assert_eq!(seen(&mut caller, "/api").await, (200, ORDERS.to_owned()), "the old one serves");
    // Texts are kept as they are, and keys sealed: a key is no text.
    let (pfx, password) = world.pfx("orders");
    let body = STANDARD.encode(pfx);
    let value = format!(
        "<policies><inbound>\n<authentication-certificate body='@(Convert.FromBase64String(\"{body}\"))' \
         password='{password}' /></inbound></policies>"
    );
    let refused = world.set(path, json!({ "format": "rawxml", "value": value }), "*").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(
        refused.message().contains("line 2, column 29: body: private keys in documents are not allowed"),
        "{refused:?}"
    );
    assert!(!refused.text.contains(&password) && !refused.text.contains(&body[..32]), "{refused:?}");
    // What needs trust has it from the configuration.
    let verify = only("X").replace("Thumbprint != \"X\"", "Verify() == false");
    let put = world.set(path, json!({ "format": "rawxml", "value": format!("<policies><inbound>{verify}</inbound></policies>") }), "*").await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(seen(&mut caller, "/api").await.0, 403);
    for (name, status) in [("client", 502), ("stranger", 403), ("impostor", 403), ("expired", 403)] {
        let mut caller = world.demo.http1(Some(name)).await;
        assert_eq!(seen(&mut caller, "/api").await.0, status, "{name}");
    }
}

#[tokio::test]
async fn the_policy_of_all_apis_stands_above_each_ones_own_and_leaves_the_files_routes_alone() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("with", "with").await;
    world.make_api("without", "without").await;
    assert_eq!(world.set_policy("with", &choose("orders")).await.status, 201);
    let rule = only(&thumbprint(&world, "client.pem").await);
    let all = json!({ "format": "rawxml", "value": format!("<policies><inbound>{rule}{}</inbound></policies>", choose("billing")) });
    let made = world.set("/policies/policy", all.clone(), "").await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut client = world.demo.http1(Some("client")).await;
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut client, "/with").await, (200, ORDERS.to_owned()));
    assert_eq!(seen(&mut client, "/without").await, (200, BILLING.to_owned()));
    for path in ["/with", "/without"] {
        assert_eq!(seen(&mut caller, path).await.0, 403, "{path}");
    }
    assert_eq!(seen(&mut caller, "/open").await.0, 502, "a route of the file is no API");
    let stale =
        world.ask(Method::DELETE, "/policies/policy", &[("if-match", "\"0000000000000001\"")], "").await;
    assert_eq!(stale.status, 412);
    let deleted = world.ask(Method::DELETE, "/policies/policy", &[("if-match", made.etag())], "").await;
    assert_eq!(deleted.status, 200);
    assert_eq!(seen(&mut caller, "/with").await, (200, ORDERS.to_owned()));
    let again = world.ask(Method::DELETE, "/policies/policy", &[("if-match", "*")], "").await;
    assert_eq!(again.status, 204);
}

#[tokio::test]
async fn a_certificate_that_a_policy_names_is_not_deleted_and_its_users_are_told() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    assert_eq!(world.set_policy("api", &choose("orders")).await.status, 201);
    let certificate = world.ask(Method::GET, "/certificates/orders", &[], "").await;
    assert_eq!(certificate.body["properties"]["usedBy"], json!(["/apis/api/policies/policy"]));
    let delete = || world.ask(Method::DELETE, "/certificates/orders", &[("if-match", "*")], "");
    let refused = delete().await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.message(),
        "The Certificate 'orders' is used by the following entities:\r\n/apis/api/policies/policy\r\n"
    );
    // Nor does it lose its key.
    let replaced = world.put("orders", &world.file("client.pem"), "", &[("if-match", "*")]).await;
    assert_eq!(replaced.status, 400, "{replaced:?}");
    assert!(replaced.message().starts_with("The new certificate has no private key."), "{replaced:?}");
    let by_thumbprint = certificate.body["properties"]["thumbprint"].as_str().unwrap();
    let named = format!(r#"<authentication-certificate thumbprint="{by_thumbprint}" />"#);
    let value =
        json!({ "format": "rawxml", "value": format!("<policies><inbound>{named}</inbound></policies>") });
    assert_eq!(world.set("/apis/api/policies/policy", value, "*").await.status, 200);
    assert_eq!(delete().await.status, 400, "by its thumbprint");
    let told = r#"<set-variable name="who" value="orders" /><authentication-certificate certificate-id="@((string)context.Variables["who"])" />"#;
    let value =
        json!({ "format": "rawxml", "value": format!("<policies><inbound>{told}</inbound></policies>") });
    let put = world.set("/apis/api/policies/policy", value, "*").await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(delete().await.status, 400, "by an expression that may name it");
    let removed = world.ask(Method::DELETE, "/apis/api/policies/policy", &[("if-match", "*")], "").await;
    assert_eq!(removed.status, 200);
    assert_eq!(delete().await.status, 200);
}

#[tokio::test]
async fn routes_of_the_file_are_visible_and_keep_what_is_theirs() {
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
async fn what_an_api_demands_and_nobody_would_enforce_is_refused() {
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
        ("protocols", json!(["http"]), "https only"),
        ("protocols", json!(["wss"]), "not supported"),
        ("subscriptionRequired", json!(true), "subscription keys are not checked"),
        (
            "authenticationSettings",
            json!({ "oAuth2": { "authorizationServerId": "x" } }),
            "tokens are not checked",
        ),
        ("type", json!("soap"), "only http"),
        ("apiRevision", json!("2"), "one revision"),
        ("apiVersion", json!("v1"), "versions are not told apart"),
        ("format", json!("openapi"), "definitions are not imported"),
        ("displayName", json!("x".repeat(301)), "longer than 300"),
        ("displayName", json!(7), "not the JSON"),
        ("SubscriptionRequired", json!(true), "subscription keys are not checked"),
        ("subscriptionRequred", json!(true), "subscriptionRequred is not known here"),
        ("displayname", json!("B"), "displayName stands there twice"),
        ("path", json!("a/{id}"), "is no template"),
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
    assert!(nulled.status == 400 && nulled.message().contains("takes nothing away"), "{nulled:?}");
    let missing = world.ask(Method::PATCH, "/apis/b", &[("if-match", "*")], &patch).await;
    assert_eq!(missing.status, 404, "{missing:?}");
    let unknown = world.ask(Method::GET, "/apis/b", &[], "").await;
    assert_eq!((unknown.status, unknown.message()), (404, "There is no API 'b'."));
}

#[tokio::test]
async fn a_policy_that_proves_no_certificate_needs_the_operators_consent() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    world.make_api("other", "other").await;
    let when = |condition: &str| {
        let condition = condition.replace("CERT", "context.Request.Certificate");
        only("X").replace("context.Request.Certificate.Thumbprint != \"X\"", &condition) + &choose("orders")
    };
    let thumbprint = format!("CERT.Thumbprint != \"{}\"", thumbprint(&world, "client.pem").await);
    let store = "!context.Deployment.Certificates.Any(c => c.Value.Thumbprint == CERT.Thumbprint)";
    let names = when(
        "CERT.Issuer != \"CN=Partners CA, O=Contoso\" || CERT.SubjectName != \"CN=orders-client, O=Contoso\"",
    );
    let expiry = when("CERT.NotAfter < DateTime.Now");
    let whole = |inbound: &str| json!({ "format": "rawxml", "value": format!("<policies><inbound>\n{inbound}</inbound></policies>") });
    let of_api = "/apis/api/policies/policy";
    for path in [of_api, "/policies/policy"] {
        for policy in [&expiry, &names] {
            let refused = world.set(path, whole(policy), "").await;
            assert_eq!(refused.status, 400, "{path} {policy}: {refused:?}");
            let details = refused.body["error"]["details"].as_array().unwrap();
            let told: Vec<_> = details.iter().map(|detail| detail["message"].as_str().unwrap()).collect();
            let [told, ..] = told.as_slice() else { panic!("{refused:?}") };
            assert!(told.contains("line 2, column 9: certificates are judged and none is proven"), "{told}");
            assert!(told.contains("allow_unanchored = true into [apis]"), "{told}");
        }
    }
    let mut tag = String::new();
    for proven in [when(&thumbprint), when(store), when("!CERT.Verify()")] {
        let put = world.set(of_api, whole(&proven), &tag).await;
        assert!([200, 201].contains(&put.status), "{proven}: {put:?}");
        tag = put.etag().to_owned();
    }
    let mut impostor = world.demo.http1(Some("impostor")).await;
    assert_eq!(seen(&mut impostor, "/api").await.0, 403);

    // With the flag, which none of the others needs.
    let text = fs::read_to_string(&world.config).unwrap();
    let with = text.replace("[apis]\n", "[apis]\nallow_unanchored = true\n");
    let before = world.running.lines();
    replace(&world.config, &with);
    world.running.logged(before, "reloaded");
    assert_eq!(seen(&mut impostor, "/api").await.0, 403);
    let put = world.set(of_api, whole(&names), "*").await;
    assert_eq!(put.status, 200, "{put:?}");
    assert!(put.body["properties"]["warnings"].to_string().contains("none is proven"), "{put:?}");
    assert_eq!(seen(&mut impostor, "/api").await, (200, ORDERS.to_owned()));
    let line = world.running.logged(before, "certificate admitted without a proof");
    assert!(line.contains("verified=false") && line.contains("route=\"/api\""), "{line}");
    let counted = metrics(&world.demo, world.running.management_port()).await;
    let series = "gateway_unverified_certificates_total{route=\"/api\"}";
    assert_eq!(value(&counted, series), Some(1.0), "{counted}");

    // It is not taken away from under an API.
    let before = world.running.lines();
    replace(&world.config, &text);
    let told = world.running.logged(before, "configuration not reloaded");
    assert!(told.contains("the API 'api' could not be served any more"), "{told}");
    assert!(told.contains("none is proven"), "{told}");
    assert_eq!(seen(&mut impostor, "/api").await.0, 200);
    // A start without it refuses what the API would have got, and serves the rest.
    let World { demo, running, config, .. } = world;
    drop(running);
    let (running, port) = Running::start(&config);
    let said = running.log();
    assert!(said.contains("the API 'api' cannot be served") && said.contains("allow_unanchored"), "{said}");
    let demo = demo.on_port(port);
    let mut impostor = demo.http1(Some("impostor")).await;
    assert_eq!(seen(&mut impostor, "/api").await.0, 503);
    assert_eq!(seen(&mut impostor, "/other").await.0, 502, "its upstream demands a certificate");
}

#[tokio::test]
async fn apis_survive_a_restart_and_no_reload_breaks_them() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    let verify = only("X").replace("Thumbprint != \"X\"", "Verify() == false") + &choose("orders");
    assert_eq!(world.set_policy("api", &verify).await.status, 201);
    let mut client = world.demo.http1(Some("client")).await;
    assert_eq!(seen(&mut client, "/api").await, (200, ORDERS.to_owned()));
    let text = fs::read_to_string(&world.config).unwrap();
    // Both what it needs and where it is can be taken away by the file; neither is.
    let overlap = format!("{text}\n[[routes]]\npath = \"/api\"\nupstream = \"{}\"\n", world.upstream);
    for (changed, part) in [
        (text.replace("[apis]\n            trust = \"demo\"", ""), "needs trusted roots"),
        (overlap, "belongs to the route /api of the configuration file"),
    ] {
        let before = world.running.lines();
        replace(&world.config, &changed);
        let told = world.running.logged(before, "configuration not reloaded");
        assert!(told.contains(part) && told.contains("the API 'api' could not be served any more"), "{told}");
        assert_eq!(seen(&mut client, "/api").await, (200, ORDERS.to_owned()), "{part}");
    }
    // A start serves the rest, and refuses what the API would have got.
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
    assert_eq!(seen(&mut client, "/api/x").await.0, 503, "it does not fall to the route of the root");
    assert_eq!(seen(&mut client, "/other").await.0, 502);
    let before = running.lines();
    replace(&config, &text);
    running.logged(before, "reloaded");
    assert_eq!(seen(&mut client, "/api").await, (200, ORDERS.to_owned()));
}

#[tokio::test]
async fn while_the_policy_of_all_apis_cannot_be_served_no_api_is_changed_unjudged() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    let verify = only("X").replace("Thumbprint != \"X\"", "Verify() == false");
    let all =
        json!({ "format": "rawxml", "value": format!("<policies><inbound>{verify}</inbound></policies>") });
    assert_eq!(world.set("/policies/policy", all, "").await.status, 201);
    // A start without what it needs.
    let text = fs::read_to_string(&world.config).unwrap();
    let World { upstream, demo, running, token, config } = world;
    drop(running);
    fs::write(&config, text.replace("[apis]\n            trust = \"demo\"", "")).unwrap();
    let (running, port) = Running::start(&config);
    let world = World { upstream, demo: demo.on_port(port), running, token, config };
    let mut caller = world.demo.http1(Some("client")).await;
    assert_eq!(seen(&mut caller, "/api").await.0, 503);
    let bad = json!({ "value": "<policies><inbound><rate-limit calls='1' /></inbound></policies>" });
    let refused = world.set("/apis/api/policies/policy", bad, "").await;
    assert!(refused.status == 400 && refused.text.contains("rate-limit"), "{refused:?}");
    let good = json!({ "value": "<policies><inbound><base /></inbound></policies>" });
    let refused = world.set("/apis/api/policies/policy", good, "").await;
    assert!(refused.status == 400 && refused.text.contains("mend that first"), "{refused:?}");
    let other = json!({ "path": "other", "serviceUrl": "gopher://x" });
    assert_eq!(world.set("/apis/other", other, "").await.status, 400);
    // Mended, or removed, all is well again.
    let removed = world.ask(Method::DELETE, "/policies/policy", &[("if-match", "*")], "").await;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(seen(&mut caller, "/api").await.0, 502, "it is called anonymously");
}

#[tokio::test]
async fn an_upload_takes_no_name_from_an_identity_of_the_file() {
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
        assert!(refused.message().contains("choose another id"), "{refused:?}");
    }
    assert_eq!(seen(&mut caller, "/api").await, (200, ORDERS.to_owned()));
}
