//! Policies of APIs, and the global policy.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::json;

use super::apis::*;
use super::{effective::seen, world::World};
use crate::support::{Running, metrics, replace, value};

#[tokio::test]
async fn policy_is_written_and_read_in_both_forms() {
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
        assert_eq!(got.body["properties"]["value"], **sent, "{format}: as uploaded");
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
    assert_eq!(raw_as_xml.status, 400, "the default format is xml: {raw_as_xml:?}");
    assert!(raw_as_xml.text.contains("line 1, column"), "{raw_as_xml:?}");
    assert!(raw_as_xml.message().contains("Send it with the format rawxml"), "{raw_as_xml:?}");
    for (format, part) in [("xml-link", "Links are not supported"), ("json", "use xml or rawxml")] {
        let refused = world.set(path, json!({ "format": format, "value": "https://x" }), "*").await;
        assert_eq!(refused.status, 400);
        assert!(refused.message().contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn unenforceable_policy_is_refused_with_all_its_errors() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    assert_eq!(world.set_policy("api", &choose("orders")).await.status, 201);
    let mut caller = world.demo.http1(None).await;
    let value = "<policies>\n <inbound>\n  <rate-limit calls=\"1\" renewal-period=\"1\" />\n  \
                 <authentication-certificate certificate-id=\"missing\" />\n  <authentication-certificate \
                 certificate-id=\"asked\" />\n </inbound>\n</policies>";
    thumbprint(&world, "client.pem").await;
    let path = "/apis/api/policies/policy";
    let refused = world.set(path, json!({ "format": "rawxml", "value": value }), "*").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let details = refused.body["error"]["details"].as_array().unwrap();
    let reported: Vec<_> = details.iter().map(|detail| detail["message"].as_str().unwrap()).collect();
    for part in ["line 3, column 3: <rate-limit>", "line 4", "\"missing\"", "line 5"] {
        assert!(reported.iter().any(|reported| reported.contains(part)), "{part}: {reported:?}");
    }
    assert!(details.iter().all(|detail| detail["target"] == "representation"), "{details:?}");
    assert_eq!(seen(&mut caller, "/api").await, (200, ORDERS.to_owned()), "the old policy serves");
    // Policy texts are stored as they are and keys sealed, so a key must not be in a text.
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
    // Trust comes from the configuration.
    let verify = only("X")
        .replace("context.Request.Certificate.Thumbprint != \"X\"", "!context.Request.Certificate.Verify()");
    let put = world.set(path, json!({ "format": "rawxml", "value": format!("<policies><inbound>{verify}</inbound></policies>") }), "*").await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(seen(&mut caller, "/api").await.0, 403);
    for (name, status) in [("client", 502), ("stranger", 403), ("impostor", 403), ("expired", 403)] {
        let mut caller = world.demo.http1(Some(name)).await;
        assert_eq!(seen(&mut caller, "/api").await.0, status, "{name}");
    }
}

#[tokio::test]
async fn global_policy_applies_to_each_api_and_not_to_routes_of_the_file() {
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
    assert_eq!(seen(&mut caller, "/open").await.0, 502, "a route of the file is not an API");
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
async fn guard_of_the_global_policy_stays_while_an_api_relies_on_it() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    let whole = |inbound: &str| json!({ "format": "rawxml", "value": format!("<policies><inbound>{inbound}</inbound></policies>") });
    let guard = whole(&only(&thumbprint(&world, "client.pem").await));
    let selecting = whole(
        r#"<base /><authentication-certificate certificate-id="@("of-" + context.Request.Certificate.Thumbprint)" />"#,
    );
    let refused = world.set("/apis/api/policies/policy", selecting.clone(), "").await;
    assert!(refused.status == 400 && refused.text.contains("the caller would choose"), "{refused:?}");
    assert_eq!(world.set("/policies/policy", guard, "").await.status, 201);
    let put = world.set("/apis/api/policies/policy", selecting, "").await;
    assert_eq!(put.status, 201, "{put:?}");
    let open = whole(r#"<set-variable name="a" value="b" />"#);
    let replaced = world.set("/policies/policy", open.clone(), "*").await;
    assert!(replaced.status == 400 && replaced.text.contains("the caller would choose"), "{replaced:?}");
    let deleted = world.ask(Method::DELETE, "/policies/policy", &[("if-match", "*")], "").await;
    assert!(deleted.status == 400 && deleted.text.contains("the caller would choose"), "{deleted:?}");
    let mut stranger = world.demo.http1(Some("stranger")).await;
    assert_eq!(seen(&mut stranger, "/api").await.0, 403);
    assert_eq!(world.set("/apis/api/policies/policy", whole(&choose("orders")), "*").await.status, 200);
    assert_eq!(world.set("/policies/policy", open, "*").await.status, 200);
}

#[tokio::test]
async fn certificate_used_by_a_policy_is_not_deleted_and_its_users_are_listed() {
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
    // Its key is kept as well.
    let replaced = world.put("orders", &world.file("client.pem"), "", &[("if-match", "*")]).await;
    assert_eq!(replaced.status, 400, "{replaced:?}");
    assert!(replaced.message().starts_with("The new certificate has no private key."), "{replaced:?}");
    let by_thumbprint = certificate.body["properties"]["thumbprint"].as_str().unwrap();
    let named = format!(r#"<authentication-certificate thumbprint="{by_thumbprint}" />"#);
    let value =
        json!({ "format": "rawxml", "value": format!("<policies><inbound>{named}</inbound></policies>") });
    assert_eq!(world.set("/apis/api/policies/policy", value, "*").await.status, 200);
    assert_eq!(delete().await.status, 400, "by its thumbprint");
    let dynamic = r#"<set-variable name="who" value="orders" /><authentication-certificate certificate-id="@((string)context.Variables["who"])" />"#;
    let value =
        json!({ "format": "rawxml", "value": format!("<policies><inbound>{dynamic}</inbound></policies>") });
    let put = world.set("/apis/api/policies/policy", value, "*").await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(delete().await.status, 400, "by an expression that may name it");
    let removed = world.ask(Method::DELETE, "/apis/api/policies/policy", &[("if-match", "*")], "").await;
    assert_eq!(removed.status, 200);
    assert_eq!(delete().await.status, 200);
}

#[tokio::test]
async fn policy_that_proves_no_certificate_needs_the_operators_consent() {
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
            let reported: Vec<_> = details.iter().map(|detail| detail["message"].as_str().unwrap()).collect();
            let [reported, ..] = reported.as_slice() else { panic!("{refused:?}") };
            assert!(
                reported.contains("line 2, column 9: certificates are judged but not proven"),
                "{reported}"
            );
            assert!(reported.contains("allow_unanchored = true into [apis]"), "{reported}");
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

    // With the flag, which none of the other policies needs.
    let text = fs::read_to_string(&world.config).unwrap();
    let with = text.replace("[apis]\n", "[apis]\nallow_unanchored = true\n");
    let before = world.running.lines();
    replace(&world.config, &with);
    world.running.logged(before, "reloaded");
    assert_eq!(seen(&mut impostor, "/api").await.0, 403);
    let put = world.set(of_api, whole(&names), "*").await;
    assert_eq!(put.status, 200, "{put:?}");
    assert!(put.body["properties"]["warnings"].to_string().contains("not proven"), "{put:?}");
    assert_eq!(seen(&mut impostor, "/api").await, (200, ORDERS.to_owned()));
    let line = world.running.logged(before, "certificate admitted without a proof");
    assert!(line.contains("verified=false") && line.contains("route=\"/api\""), "{line}");
    let counted = metrics(&world.demo, world.running.management_port()).await;
    let series = "gateway_unverified_certificates_total{route=\"/api\"}";
    assert_eq!(value(&counted, series), Some(1.0), "{counted}");

    // It is not removed while an API needs it.
    let before = world.running.lines();
    replace(&world.config, &text);
    let reported = world.running.logged(before, "configuration not reloaded");
    assert!(reported.contains("the API 'api' could not be served any more"), "{reported}");
    assert!(reported.contains("not proven"), "{reported}");
    assert_eq!(seen(&mut impostor, "/api").await.0, 200);
    // A start without it refuses the API, and serves the rest.
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
async fn apis_are_not_changed_while_the_global_policy_cannot_be_served() {
    let world = World::start("");
    identities(&world).await;
    world.make_api("api", "api").await;
    let verify = only("X")
        .replace("context.Request.Certificate.Thumbprint != \"X\"", "!context.Request.Certificate.Verify()");
    let all =
        json!({ "format": "rawxml", "value": format!("<policies><inbound>{verify}</inbound></policies>") });
    assert_eq!(world.set("/policies/policy", all, "").await.status, 201);
    // A start without a requirement of the API.
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
    assert!(refused.status == 400 && refused.text.contains("fix it first"), "{refused:?}");
    let other = json!({ "path": "other", "serviceUrl": "gopher://x" });
    assert_eq!(world.set("/apis/other", other, "").await.status, 400);
    // Once fixed, or deleted, all is served again.
    let removed = world.ask(Method::DELETE, "/policies/policy", &[("if-match", "*")], "").await;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(seen(&mut caller, "/api").await.0, 502, "the upstream is called anonymously");
}
