//! Upstreams and backends of APIs.

use http::Method;
use serde_json::{Value, json};

use super::apis::*;
use super::{browser::Browser, material};
use crate::store_and_api::world::World;

#[tokio::test]
async fn self_signed_upstream_is_reached_without_a_chain() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    let url = material::self_signed_upstream().await;
    make_api(&world, "shop", "shop", &url).await;
    assert_eq!(call(&world, "/shop").await.0, 502);
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    assert!(browser.field("Verify").await.is_selected().await.unwrap());
    for (choice, expected) in [
        ("Do not verify the chain", 200),
        ("Do not verify the name", 502),
        ("Verify neither", 200),
        ("Verify", 502),
    ] {
        browser.field(choice).await.click().await.unwrap();
        if expected == 200 {
            browser.screenshot("9-trust").await;
        }
        browser.press("Save").await;
        browser.says("Saved.").await;
        assert!(browser.field(choice).await.is_selected().await.unwrap(), "{choice}");
        let text = browser.text().await;
        for sign in ["not verified", "The backend is not verified: an attacker"] {
            assert_eq!(text.contains(sign), choice != "Verify", "{choice}: {sign}");
        }
        assert_eq!(call(&world, "/shop").await.0, expected, "{choice}");
        let named = policy(&world, "shop").await.contains("<set-backend-service backend-id=\"shop\" />");
        assert_eq!(named, choice != "Verify", "{choice}");
    }
    let backend = world.ask(Method::GET, "/backends/shop", &[], "").await;
    assert_eq!(backend.status, 404, "an unused backend is deleted");

    // The backend moves with the API, and is deleted with it.
    browser.field("Do not verify the chain").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.follow("Settings").await;
    let field = browser.field("Backend URL").await;
    field.clear().await.unwrap();
    let other = material::self_signed_upstream().await;
    field.send_keys(&other).await.unwrap();
    browser.press("Save").await;
    browser.says("Saved.").await;
    let backend = world.ask(Method::GET, "/backends/shop", &[], "").await;
    assert_eq!(backend.body["properties"]["url"], other);
    assert_eq!(call(&world, "/shop").await.0, 200);
    // A backend that the policy no longer names is deleted with its API as well.
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    browser.follow("APIs").await;
    browser.press("Delete The shop API").await;
    browser.says("and so will the backend shop that was created for it").await;
    browser.screenshot("9-delete-api").await;
    browser.press("Yes, delete it").await;
    browser.says("The shop API was deleted.").await;
    for path in ["/apis/shop", "/backends/shop"] {
        assert_eq!(world.ask(Method::GET, path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(call(&world, "/shop").await.0, 404);
}

#[tokio::test]
async fn effective_backend_and_identity_are_those_of_the_policies() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "billing").await;
    let properties = json!({
        "url": format!("{}/elsewhere", world.upstream), "protocol": "http",
        "tls": { "validateCertificateChain": true, "validateCertificateName": false },
        "credentials": { "certificateIds": ["billing"] },
    });
    assert_eq!(world.set("/backends/b1", properties, "").await.status, 201);
    make_api(&world, "shop", "shop", &world.upstream).await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    let choose = "<choose><when condition=\"@(context.Request.Method == &quot;GET&quot;)\">\
                  <set-backend-service backend-id=\"b1\" /></when></choose>";
    for (inbound, backend, seen) in [
        ("", "URL", "None"),
        (
            "<set-backend-service backend-id=\"b1\" />",
            "URL/elsewhere (backend b1) not verified",
            "Backend b1: billing",
        ),
        (
            "<set-backend-service base-url=\"https://other.example/a\" />",
            "https://other.example/a (from the policy)",
            "None",
        ),
        (choose, "selected by the policy", "Selected by the backend"),
        (
            "<set-backend-service backend-id=\"b1\" /><set-backend-service base-url=\"https://other.example\" />",
            "https://other.example (from the policy)",
            "None",
        ),
    ] {
        let document = |base| format!("<policies><inbound>{base}{inbound}</inbound></policies>");
        put_policy(&world, "shop", &document("<base />")).await;
        browser.go(&world, "#/apis").await;
        browser.row("The shop API").await;
        browser.settled().await;
        let row = browser.row("The shop API").await.text().await.unwrap();
        assert!(row.contains(&backend.replace("URL", &world.upstream)), "{inbound}: {row}");
        browser.screenshot("12-in-the-list").await;
        browser.follow("The shop API").await;
        browser.says("Gateway credentials").await;
        assert!(browser.field(seen).await.is_selected().await.unwrap(), "{inbound}");
        let header = browser.find("//dl[@class='line']/div[dt='Backend']/dd").await.text().await.unwrap();
        assert_eq!(header, backend.replace("URL", &world.upstream), "{inbound}");
        if seen.starts_with("Backend") {
            browser.says("Backend b1, which the policy selects, is not verified").await;
            browser.says("and reach the backend with a certificate of").await;
            browser.screenshot("12-backend").await;
        }
        // "None" is shown only if it is true.
        assert_eq!(
            browser.text().await.contains("No client certificate is presented to the backend."),
            seen == "None"
        );
    }
    make_api(&world, "plain", "plain", "http://localhost:9").await;
    browser.go(&world, "#/apis/plain/security").await;
    browser.says("http://localhost:9 plain http").await;
    browser.says("The backend is called over plain http").await;
    assert!(!browser.text().await.contains("Verify"));
    // The same by the global policy.
    put_service_policy(&world, "<set-backend-service backend-id=\"b1\" />", "").await;
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    browser.go(&world, "#/apis").await;
    browser.follow("The shop API").await;
    assert!(browser.field("Backend b1: billing").await.is_selected().await.unwrap());
    // Policy text appears in the header once saved.
    browser.follow("Policy").await;
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys("<policies><inbound></inbound></policies>").await.unwrap();
    browser.press("Save").await;
    browser.says("The policy was saved").await;
    let header = browser.find("//dl[@class='line']/div[dt='Backend']/dd").await.text().await.unwrap();
    assert_eq!(header, world.upstream);
}

#[tokio::test]
async fn backends_are_listed_and_deleted_unless_used_or_changed_meanwhile() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "billing").await;
    make_api(&world, "shop", "shop", &world.upstream).await;
    make_api(&world, "other", "other", &world.upstream).await;
    browser.go(&world, "#/backends").await;
    browser.enter_token(&world.token).await;
    browser.says("There are no backends yet.").await;
    let properties = |tls: Value, credentials: Value| json!({ "url": world.upstream, "protocol": "http", "tls": tls, "credentials": credentials });
    let credentials = json!({ "certificateIds": ["billing"] });
    let backend = properties(json!({}), credentials);
    assert_eq!(world.set("/backends/other", backend, "").await.status, 201);
    browser.go(&world, "#/apis/shop/security").await;
    browser.field("Verify neither").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.follow("Backends").await;
    let row = browser.row("shop").await.text().await.unwrap();
    for part in
        ["Created for the API 'shop' by the portal.", "chain not verified", "name not verified", "none"]
    {
        assert!(row.contains(part), "{part}: {row}");
    }
    let row = browser.row("other").await.text().await.unwrap();
    assert!(row.contains("chain and name") && row.contains("billing"), "{row}");
    browser.screenshot("14-backends").await;
    browser.press("Delete shop").await;
    browser.press("Yes, delete it").await;
    browser.says("Not deleted: it is still used by\n\nAPI shop").await;
    browser.follow("API shop").await;
    browser.says("Policy document (XML)").await;
    // A backend created by another client stays when the API of that id is deleted.
    browser.follow("APIs").await;
    browser.press("Delete The other API").await;
    browser.says("Its policy will be deleted.").await;
    browser.press("Yes, delete it").await;
    browser.says("The other API was deleted.").await;
    browser.follow("Backends").await;
    browser.press("Delete other").await;
    browser.press("Yes, delete it").await;
    browser.says("other was deleted.").await;
    assert_eq!(world.ask(Method::GET, "/backends/other", &[], "").await.status, 404);
}
