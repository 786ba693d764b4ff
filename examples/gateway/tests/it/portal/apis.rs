//! The APIs page.

use http::Method;
use serde_json::{Value, json};

use super::browser::Browser;
use crate::store_and_api::world::World;
use crate::support::{get, replace, whole};

pub(super) const VALIDATE: &str = "<validate-client-certificate validate-revocation=\"false\" />";

pub(super) async fn store(world: &World, name: &str) {
    let (pfx, password) = world.pfx(name);
    assert_eq!(world.put(name, &pfx, &password, &[]).await.status, 201);
}

pub(crate) async fn make_api(world: &World, id: &str, path: &str, url: &str) {
    let properties = json!({ "displayName": format!("The {id} API"), "path": path, "serviceUrl": url });
    let body = json!({ "properties": properties }).to_string();
    let made = world.ask(Method::PUT, &format!("/apis/{id}"), &[], &body).await;
    assert_eq!(made.status, 201, "{made:?}");
}

pub(super) async fn put_policy(world: &World, id: &str, value: &str) {
    let body = json!({ "properties": { "format": "rawxml", "value": value } }).to_string();
    let path = format!("/apis/{id}/policies/policy");
    let tag = match world.ask(Method::GET, &path, &[], "").await.status {
        404 => "",
        _ => "*",
    };
    let put = world.ask(Method::PUT, &path, &[("if-match", tag)], &body).await;
    assert!(matches!(put.status, 200 | 201), "{put:?}");
}

pub(super) async fn policy(world: &World, id: &str) -> String {
    let path = format!("/apis/{id}/policies/policy?format=rawxml");
    let got = world.ask(Method::GET, &path, &[], "").await;
    got.body["properties"]["value"].as_str().unwrap_or_default().to_owned()
}

/// The response to a caller: status, and the subject that the upstream saw.
pub(super) async fn call(world: &World, path: &str) -> (u16, String) {
    let mut sender = world.demo.http1(None).await;
    let (status, _, text) = whole(sender.send_request(get(path)).await.unwrap()).await;
    let subject = serde_json::from_str::<Value>(&text).unwrap_or_default().to_string();
    let subject = subject.split("\"subject\":\"").nth(1).and_then(|rest| rest.split('"').next());
    (status, subject.unwrap_or_default().to_owned())
}

pub(super) async fn choose(browser: &Browser, value: &str) {
    let option = format!("//option[@value='{value}']");
    browser.find("//select").await.click().await.unwrap();
    browser.find(&option).await.click().await.unwrap();
}

#[tokio::test]
async fn client_certificate_is_chosen_by_id_subject_and_last_four() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    store(&world, "billing").await;
    assert_eq!(world.put("a-caller", &world.file("client.pem"), "", &[]).await.status, 201);
    browser.go(&world, "#/apis").await;
    browser.enter_token(&world.token).await;
    // A route of the file, which is read-only.
    let row = browser.row("/open read-only: gateway.toml").await.text().await.unwrap();
    assert!(row.contains("https://localhost:") && !row.contains("Delete"), "{row}");

    browser.press("Create API").await;
    browser.press("Create").await;
    browser.says("The display name is missing.").await;
    browser.field("Display name").await.send_keys("Orders & Co").await.unwrap();
    browser.press("Create").await;
    browser.says("The path is missing.").await;
    let id = browser.field("Id").await;
    assert_eq!(id.prop("value").await.unwrap().as_deref(), Some("orders-co"));
    id.send_keys("*").await.unwrap();
    browser.field("Path").await.send_keys("open/below").await.unwrap();
    browser.field("Backend URL").await.send_keys(&format!("{}/orders", world.upstream)).await.unwrap();
    browser.screenshot("6-create-api").await;
    browser.press("Create").await;
    browser.says("The id of the API contains one of the characters").await;
    browser.focuses("input: Id").await;
    id.clear().await.unwrap();
    id.send_keys("orders-co").await.unwrap();
    browser.press("Create").await;
    // The file has that id.
    browser.holds("the path is refused", "return document.activeElement.ariaInvalid === 'true'").await;
    browser.focuses("input: Path").await;
    browser.says("The path /open/below belongs to the route /open").await;
    let path = browser.field("Path").await;
    path.clear().await.unwrap();
    path.send_keys("shop/orders").await.unwrap();
    browser.press("Create").await;
    browser.says("Gateway credentials").await;
    browser.says("orders-co was created").await;
    assert_eq!(browser.run("return document.title").await, "Orders & Co – Gateway");

    browser.field("Client certificate").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Choose a certificate.").await;
    let options =
        browser.run("return [...document.querySelectorAll('option')].map((o) => o.textContent)").await;
    let four = |name: &str| {
        let path = format!("/certificates/{name}");
        let world = &world;
        async move {
            let got = world.ask(Method::GET, &path, &[], "").await;
            got.body["properties"]["thumbprint"].as_str().unwrap()[36..].to_owned()
        }
    };
    let expected = json!([
        "Choose a certificate",
        format!("billing - CN=billing-gateway, O=Contoso (…{})", four("billing").await),
        format!("orders - CN=orders-gateway, O=Contoso (…{})", four("orders").await),
    ]);
    assert_eq!(options, expected, "those with a private key");
    choose(&browser, "orders").await;
    assert!(!browser.text().await.contains("Choose a certificate."), "one is chosen");
    browser.screenshot("6-chosen").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.screenshot("6-saved").await;
}

#[tokio::test]
async fn chosen_certificate_is_effective_on_the_next_call() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    store(&world, "billing").await;
    make_api(&world, "shop", "shop", &format!("{}/orders", world.upstream)).await;
    assert_eq!(call(&world, "/shop").await.0, 502, "the backend demands a certificate");
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.field("Client certificate").await.click().await.unwrap();
    for name in ["orders", "billing"] {
        choose(&browser, name).await;
        browser.press("Save").await;
        browser.says("Saved.").await;
        assert_eq!(call(&world, "/shop").await, (200, format!("CN={name}-gateway, O=Contoso")));
        assert_eq!(call(&world, "/shop/42").await, (200, format!("CN={name}-gateway, O=Contoso")));
    }
    browser.screenshot("7-in-effect").await;
    // The certificate is in use now.
    browser.follow("Certificates").await;
    let row = browser.row("billing").await.text().await.unwrap();
    assert!(row.contains("API shop"), "{row}");
    browser.press("Delete billing").await;
    browser.press("Yes, delete it").await;
    browser.says("Not deleted: it is still used by").await;
    browser.screenshot("7-in-use").await;
    browser.find("//dialog//a[normalize-space()='API shop']").await.click().await.unwrap();
    browser.says("Policy document (XML)").await;
    let is_open = browser.run("return Boolean(document.querySelector('dialog[open]'))").await;
    assert_eq!(is_open, false, "the dialog closes with its page");
    // None again, except the one of the global policy.
    let all =
        "<policies><inbound><authentication-certificate certificate-id=\"orders\" /></inbound></policies>";
    let body = json!({ "properties": { "format": "rawxml", "value": all } }).to_string();
    assert_eq!(world.ask(Method::PUT, "/policies/policy", &[], &body).await.status, 201);
    browser.go(&world, "#/apis/shop/security").await;
    browser.field("Global policy: orders").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Saved.").await;
    assert_eq!(call(&world, "/shop").await, (200, "CN=orders-gateway, O=Contoso".to_owned()));
    browser.follow("Certificates").await;
    browser.press("Delete billing").await;
    browser.press("Yes, delete it").await;
    browser.says("billing was deleted.").await;
}

#[tokio::test]
async fn identity_of_the_file_is_marked_apart_from_those_of_the_store() {
    let identity = "[identities.filed]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n";
    let world = World::start(identity);
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "billing").await;
    make_api(&world, "shop", "shop", &format!("{}/orders", world.upstream)).await;
    assert_eq!(
        world.set_policy("shop", "<authentication-certificate certificate-id=\"filed\" />").await.status,
        201
    );
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.says("filed is an identity of gateway.toml, not of the store.").await;
    let chosen = browser.run("return document.querySelector('select').selectedOptions[0].textContent").await;
    assert_eq!(chosen, "filed (gateway.toml)");
    browser.screenshot("13-of-the-file").await;
    // Saved unchanged, the policy stays as it is.
    browser.press("Save").await;
    browser.says("Saved.").await;
    assert!(policy(&world, "shop").await.contains("certificate-id=\"filed\""));
}

pub(super) async fn put_service_policy(world: &World, inbound: &str, tag: &str) {
    let value = format!("<policies><inbound>{inbound}</inbound></policies>");
    let put = world.set("/policies/policy", json!({ "format": "rawxml", "value": value }), tag).await;
    assert!(matches!(put.status, 200 | 201), "{put:?}");
}

#[tokio::test]
async fn open_api_is_marked_until_it_demands_a_certificate() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    make_api(&world, "shop", "shop", &format!("{}/orders", world.upstream)).await;
    make_api(&world, "guarded", "guarded", &world.upstream).await;
    assert_eq!(world.set_policy("guarded", VALIDATE).await.status, 201);
    browser.go(&world, "#/apis").await;
    browser.enter_token(&world.token).await;
    for (name, who) in [
        ("The shop API", "Anyone"),
        ("The guarded API", "by its policy"),
        ("/open read-only: gateway.toml", "see gateway.toml"),
    ] {
        let row = browser.row(name).await.text().await.unwrap();
        assert!(row.contains(who), "{name}: {row}");
    }
    browser.screenshot("11-callers").await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.says("Anyone can call this API. The policies accept").await;
    assert!(!browser.text().await.contains("and so reaches the backend"));
    browser.field("Client certificate").await.click().await.unwrap();
    choose(&browser, "orders").await;
    browser.says("Anyone can call this API and reach the backend as orders.").await;
    browser.screenshot("11-open-api").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.says("Anyone can call this API and reach the backend as orders.").await;
    assert_eq!(call(&world, "/shop").await.0, 200);

    browser.press("Require a certificate").await;
    browser.says("Callers must now present a certificate.").await;
    browser.says("The policy of this API checks the caller's certificate.").await;
    assert!(!browser.text().await.contains("Anybody can call"));
    browser.screenshot("11-demanded").await;
    assert_eq!(call(&world, "/shop").await.0, 401);
    let text = policy(&world, "shop").await;
    let demand = text.find(VALIDATE).unwrap();
    assert!(text.find("<base />").unwrap() < demand, "{text}");
    assert!(demand < text.find("<authentication-certificate").unwrap(), "{text}");

    // Callers that the global policy refuses are refused at `<base />`.
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    put_service_policy(&world, VALIDATE, "").await;
    browser.go(&world, "#/apis").await;
    browser.row("The shop API").await;
    browser.says("by the global policy").await;
    browser.follow("The shop API").await;
    browser.says("The global policy checks the caller's certificate.").await;
    put_policy(&world, "shop", "<policies><inbound></inbound></policies>").await;
    browser.go(&world, "#/apis").await;
    browser.follow("The shop API").await;
    browser.says("Anyone can call this API.").await;
}

#[tokio::test]
async fn gateway_without_trusted_callers_warns_when_a_certificate_is_demanded() {
    let world = World::start("");
    let with = std::fs::read_to_string(&world.config).unwrap();
    let without = with.replace("[apis]\n", "").replace("            trust = \"demo\"\n", "");
    assert!(without.len() + 20 < with.len());
    let lines = world.running.lines();
    replace(&world.config, &without);
    world.running.hang_up();
    world.running.logged(lines, "reloaded");
    let Some(browser) = Browser::start(&world).await else { return };
    make_api(&world, "shop", "shop", &world.upstream).await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.press("Require a certificate").await;
    browser.says("The change was rejected.").await;
    browser.says("the gateway's operator names a set in [apis] trust").await;
    browser.screenshot("11-no-trust").await;
    assert_eq!(policy(&world, "shop").await, "");
}

#[tokio::test]
async fn text_of_an_api_is_never_markup() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    let markup = "<img src=x onerror=window.broken=1>\u{202e}";
    let properties = json!({ "displayName": markup, "path": "shop", "serviceUrl": world.upstream });
    let body = json!({ "properties": properties }).to_string();
    assert_eq!(world.ask(Method::PUT, "/apis/it's%20(a)%2Fb", &[], &body).await.status, 201);
    browser.go(&world, "#/apis").await;
    browser.enter_token(&world.token).await;
    browser.says("<img src=x onerror=window.broken=1>").await;
    browser.find("//tr/th//a[contains(., 'onerror')]").await.click().await.unwrap();
    browser.says("Gateway credentials").await;
    for page in ["Policy", "Settings", "Security"] {
        browser.follow(page).await;
        browser.says("<img src=x onerror=window.broken=1>").await;
    }
    let made =
        browser.run("return [window.broken ?? null, document.querySelectorAll('main img').length]").await;
    assert_eq!(made, json!([null, 0]));
}
