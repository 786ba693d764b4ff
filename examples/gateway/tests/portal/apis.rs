//! The steps of an administrator's day that are about APIs.

use http::Method;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    material,
    support::{get, whole},
    world::World,
};

const VALIDATE: &str = "<validate-client-certificate validate-revocation=\"false\" />";

async fn store(world: &World, name: &str) {
    let (pfx, password) = world.pfx(name);
    assert_eq!(world.put(name, &pfx, &password, &[]).await.status, 201);
}

pub(crate) async fn make_api(world: &World, id: &str, path: &str, url: &str) {
    let properties = json!({ "displayName": format!("The {id} API"), "path": path, "serviceUrl": url });
    let body = json!({ "properties": properties }).to_string();
    let made = world.ask(Method::PUT, &format!("/apis/{id}"), &[], &body).await;
    assert_eq!(made.status, 201, "{made:?}");
}

async fn put_policy(world: &World, id: &str, value: &str) {
    let body = json!({ "properties": { "format": "rawxml", "value": value } }).to_string();
    let path = format!("/apis/{id}/policies/policy");
    let tag = match world.ask(Method::GET, &path, &[], "").await.status {
        404 => "",
        _ => "*",
    };
    let put = world.ask(Method::PUT, &path, &[("if-match", tag)], &body).await;
    assert!(matches!(put.status, 200 | 201), "{put:?}");
}

async fn policy(world: &World, id: &str) -> String {
    let path = format!("/apis/{id}/policies/policy?format=rawxml");
    let got = world.ask(Method::GET, &path, &[], "").await;
    got.body["properties"]["value"].as_str().unwrap_or_default().to_owned()
}

/// What a caller is answered: status, and the subject that the backend saw.
async fn call(world: &World, path: &str) -> (u16, String) {
    let mut sender = world.demo.http1(None).await;
    let (status, _, text) = whole(sender.send_request(get(path)).await.unwrap()).await;
    let subject = serde_json::from_str::<Value>(&text).unwrap_or_default().to_string();
    let subject = subject.split("\"subject\":\"").nth(1).and_then(|rest| rest.split('"').next());
    (status, subject.unwrap_or_default().to_owned())
}

async fn choose(browser: &Browser, value: &str) {
    let option = format!("//option[@value='{value}']");
    browser.find("//select").await.click().await.unwrap();
    browser.find(&option).await.click().await.unwrap();
}

#[tokio::test]
async fn step_6_a_client_certificate_is_chosen_by_id_subject_and_last_four() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    store(&world, "billing").await;
    assert_eq!(world.put("a-caller", &world.file("client.pem"), "", &[]).await.status, 201);
    browser.go(&world, "#/apis").await;
    browser.enter_token(&world.token).await;
    // A route of the file, to be read only.
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
    browser.says("The id of the API has one of the characters").await;
    browser.focuses("input: Id").await;
    id.clear().await.unwrap();
    id.send_keys("orders-co").await.unwrap();
    browser.press("Create").await;
    // The file has that.
    browser.holds("the path is refused", "return document.activeElement.ariaInvalid === 'true'").await;
    browser.focuses("input: Path").await;
    browser.says("The path /open/below belongs to the route /open").await;
    let path = browser.field("Path").await;
    path.clear().await.unwrap();
    path.send_keys("shop/orders").await.unwrap();
    browser.press("Create").await;
    browser.says("Gateway credentials").await;
    browser.says("orders-co was created.").await;
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
async fn step_7_the_choice_is_in_effect_on_the_next_call() {
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
    // It is in use now.
    browser.follow("Certificates").await;
    let row = browser.row("billing").await.text().await.unwrap();
    assert!(row.contains("API shop"), "{row}");
    browser.press("Delete billing").await;
    browser.press("Yes, delete it").await;
    browser.says("It is in use, and was not deleted.").await;
    browser.screenshot("7-in-use").await;
    browser.find("//dialog//a[normalize-space()='API shop']").await.click().await.unwrap();
    browser.says("Policy document (XML)").await;
    let is_open = browser.run("return Boolean(document.querySelector('dialog[open]'))").await;
    assert_eq!(is_open, false, "the dialog goes with its page");
    // None again, but for what holds for all.
    let all =
        "<policies><inbound><authentication-certificate certificate-id=\"orders\" /></inbound></policies>";
    let body = json!({ "properties": { "format": "rawxml", "value": all } }).to_string();
    assert_eq!(world.ask(Method::PUT, "/policies/policy", &[], &body).await.status, 201);
    browser.go(&world, "#/apis/shop/security").await;
    browser.field("The policy of all APIs shows orders").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Saved.").await;
    assert_eq!(call(&world, "/shop").await, (200, "CN=orders-gateway, O=Contoso".to_owned()));
    browser.follow("Certificates").await;
    browser.press("Delete billing").await;
    browser.press("Yes, delete it").await;
    browser.says("billing was deleted.").await;
}

#[tokio::test]
async fn step_8_the_choice_is_part_of_the_policy_and_leaves_the_rest_as_it_was() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    make_api(&world, "shop", "shop", &format!("{}/orders", world.upstream)).await;
    let before = "<policies>\n  <inbound>\n    <base />\n    <!-- who calls -->\n    \
                  <choose>\n      <when condition=\"@(context.Request.Certificate == null || \
                  context.Request.Certificate.Thumbprint != \"94A6\")\">\n        <return-response>\
                  <set-status code=\"403\" reason=\"Invalid client certificate\" /></return-response>\n      </when>\n    \
                  </choose>\n    \
                  <set-header name=\"X-Team\" exists-action=\"override\"><value>orders</value></set-header>\n  \
                  </inbound>\n  <backend>\n    <base />\n  </backend>\n  <outbound>\n    <base />\n  </outbound>\n  \
                  <on-error>\n    <base />\n  </on-error>\n</policies>";
    put_policy(&world, "shop", before).await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.field("Client certificate").await.click().await.unwrap();
    choose(&browser, "orders").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.follow("Policy").await;
    let text = browser.field("Policy document (XML)").await.prop("value").await.unwrap().unwrap();
    let element = "\n    <authentication-certificate certificate-id=\"orders\" />";
    assert_eq!(text, before.replacen("<base />", &format!("<base />{element}"), 1));
    browser.screenshot("8-policy").await;

    // What is written there is what the other page shows.
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(before).await.unwrap();
    browser.press("Save").await;
    browser.says("The policy is saved.").await;
    browser.follow("Security").await;
    assert!(browser.field("None").await.is_selected().await.unwrap());
}

#[tokio::test]
async fn step_9_a_self_signed_upstream_is_reached_without_its_chain() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    let url = material::self_signed_upstream().await;
    make_api(&world, "shop", "shop", &url).await;
    assert_eq!(call(&world, "/shop").await.0, 502);
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    assert!(browser.field("Verify it").await.is_selected().await.unwrap());
    for (choice, expected) in [
        ("Do not verify the chain", 200),
        ("Do not verify the name", 502),
        ("Verify neither", 200),
        ("Verify it", 502),
    ] {
        browser.field(choice).await.click().await.unwrap();
        if expected == 200 {
            browser.screenshot("9-trust").await;
        }
        browser.press("Save").await;
        browser.says("Saved.").await;
        assert!(browser.field(choice).await.is_selected().await.unwrap(), "{choice}");
        let text = browser.text().await;
        for sign in ["not verified", "The backend is not verified: whoever stands between"] {
            assert_eq!(text.contains(sign), choice != "Verify it", "{choice}: {sign}");
        }
        assert_eq!(call(&world, "/shop").await.0, expected, "{choice}");
        let named = policy(&world, "shop").await.contains("<set-backend-service backend-id=\"shop\" />");
        assert_eq!(named, choice != "Verify it", "{choice}");
    }
    let backend = world.ask(Method::GET, "/backends/shop", &[], "").await;
    assert_eq!(backend.status, 404, "what nobody uses is cleaned up");

    // The backend goes where the API goes, and with it.
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
    // What the policy does not name any more goes all the same.
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    browser.follow("APIs").await;
    browser.press("Delete The shop API").await;
    browser.says("and so does the backend shop that was made for it").await;
    browser.screenshot("9-delete-api").await;
    browser.press("Yes, delete it").await;
    browser.says("The shop API was deleted.").await;
    for path in ["/apis/shop", "/backends/shop"] {
        assert_eq!(world.ask(Method::GET, path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(call(&world, "/shop").await.0, 404);
}

#[tokio::test]
async fn step_10_scripts_and_the_page_see_the_same() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    make_api(&world, "shop", "shop", &format!("{}/orders", world.upstream)).await;
    let thumbprint =
        world.ask(Method::GET, "/certificates/orders", &[], "").await.body["properties"]["thumbprint"]
            .as_str()
            .unwrap()
            .to_owned();
    let by_thumbprint = format!("<authentication-certificate thumbprint=\"{thumbprint}\" />");
    let document = format!("<policies><inbound><base />{by_thumbprint}</inbound></policies>");
    put_policy(&world, "shop", &document).await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.says("The policy names the certificate by its thumbprint.").await;
    assert!(browser.field("Client certificate").await.is_selected().await.unwrap());
    assert_eq!(browser.run("return document.querySelector('select').value").await, "orders");
    browser.screenshot("10-by-script").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    let by_id = "<authentication-certificate certificate-id=\"orders\" />";
    assert_eq!(policy(&world, "shop").await, document.replace(&by_thumbprint, by_id));
    let listed = world.ask(Method::GET, "/apis", &[], "").await;
    assert_eq!(listed.body["count"], 2, "{listed:?}");

    // Somebody else is faster.
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    browser.field("None").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Somebody else changed the policy").await;
    browser.screenshot("10-changed-meanwhile").await;
    browser.press("Show what stands now").await;
    browser.settled().await;
    browser.holds("what stands is shown", "return document.querySelector('input[value=none]').checked").await;
}

#[tokio::test]
async fn an_identity_of_the_file_is_told_from_those_of_the_store() {
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
    browser.says("filed is not in the store: it is an identity of gateway.toml.").await;
    let chosen = browser.run("return document.querySelector('select').selectedOptions[0].textContent").await;
    assert_eq!(chosen, "filed (gateway.toml)");
    browser.screenshot("13-of-the-file").await;
    // Saved as it is, it stays.
    browser.press("Save").await;
    browser.says("Saved.").await;
    assert!(policy(&world, "shop").await.contains("certificate-id=\"filed\""));
}

async fn put_service_policy(world: &World, inbound: &str, tag: &str) {
    let value = format!("<policies><inbound>{inbound}</inbound></policies>");
    let put = world.set("/policies/policy", json!({ "format": "rawxml", "value": value }), tag).await;
    assert!(matches!(put.status, 200 | 201), "{put:?}");
}

#[tokio::test]
async fn an_api_that_anybody_may_call_says_so_until_a_certificate_is_demanded() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    make_api(&world, "shop", "shop", &format!("{}/orders", world.upstream)).await;
    make_api(&world, "guarded", "guarded", &world.upstream).await;
    assert_eq!(world.set_policy("guarded", VALIDATE).await.status, 201);
    browser.go(&world, "#/apis").await;
    browser.enter_token(&world.token).await;
    for (name, who) in [
        ("The shop API", "Anybody"),
        ("The guarded API", "as its policy says"),
        ("/open read-only: gateway.toml", "as gateway.toml says"),
    ] {
        let row = browser.row(name).await.text().await.unwrap();
        assert!(row.contains(who), "{name}: {row}");
    }
    browser.screenshot("11-callers").await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.says("Anybody can call this API. Nothing in the policies refuses").await;
    assert!(!browser.text().await.contains("and so reaches the backend"));
    browser.field("Client certificate").await.click().await.unwrap();
    choose(&browser, "orders").await;
    browser.says("Anybody can call this API, and so reaches the backend as orders.").await;
    browser.screenshot("11-anybody").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.says("Anybody can call this API, and so reaches the backend as orders.").await;
    assert_eq!(call(&world, "/shop").await.0, 200);

    browser.press("Demand a certificate").await;
    browser.says("Callers must show a certificate from now on.").await;
    browser.says("The policy of this API decides by the caller's certificate.").await;
    assert!(!browser.text().await.contains("Anybody can call"));
    browser.screenshot("11-demanded").await;
    assert_eq!(call(&world, "/shop").await.0, 401);
    let text = policy(&world, "shop").await;
    let demand = text.find(VALIDATE).unwrap();
    assert!(text.find("<base />").unwrap() < demand, "{text}");
    assert!(demand < text.find("<authentication-certificate").unwrap(), "{text}");

    // Whoever the policy of all APIs refuses is refused where <base /> stands.
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    put_service_policy(&world, VALIDATE, "").await;
    browser.go(&world, "#/apis").await;
    browser.row("The shop API").await;
    browser.says("as the policy of all APIs says").await;
    browser.follow("The shop API").await;
    browser.says("The policy of all APIs decides by the caller's certificate.").await;
    put_policy(&world, "shop", "<policies><inbound></inbound></policies>").await;
    browser.go(&world, "#/apis").await;
    browser.follow("The shop API").await;
    browser.says("Anybody can call this API.").await;
}

#[tokio::test]
async fn a_gateway_that_trusts_no_callers_says_so_when_a_certificate_is_demanded() {
    let world = World::start("");
    let with = std::fs::read_to_string(&world.config).unwrap();
    let without = with.replace("[apis]\n", "").replace("            trust = \"demo\"\n", "");
    assert!(without.len() + 20 < with.len());
    let lines = world.running.lines();
    crate::support::replace(&world.config, &without);
    world.running.hang_up();
    world.running.logged(lines, "reloaded");
    let Some(browser) = Browser::start(&world).await else { return };
    make_api(&world, "shop", "shop", &world.upstream).await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.press("Demand a certificate").await;
    browser.says("The gateway refused this.").await;
    browser.says("the gateway's operator names a set in [apis] trust").await;
    browser.screenshot("11-no-trust").await;
    assert_eq!(policy(&world, "shop").await, "");
}

#[tokio::test]
async fn what_the_backend_sees_and_which_one_it_is_is_what_the_policies_say() {
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
            "Backend b1 shows billing",
        ),
        (
            "<set-backend-service base-url=\"https://other.example/a\" />",
            "https://other.example/a (from the policy)",
            "None",
        ),
        (choose, "chosen by the policy", "What the chosen backend shows"),
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
            browser.says("Backend b1, which the policy chooses, is not verified").await;
            browser.says("and so reaches the backend with a certificate of").await;
            browser.screenshot("12-backend").await;
        }
        // None is said only where it is true.
        assert_eq!(browser.text().await.contains("The backend sees no client certificate."), seen == "None");
    }
    make_api(&world, "plain", "plain", "http://localhost:9").await;
    browser.go(&world, "#/apis/plain/security").await;
    browser.says("http://localhost:9 plain http").await;
    browser.says("The backend is called over plain http").await;
    assert!(!browser.text().await.contains("Verify it"));
    // The same by the policy of all APIs.
    put_service_policy(&world, "<set-backend-service backend-id=\"b1\" />", "").await;
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    browser.go(&world, "#/apis").await;
    browser.follow("The shop API").await;
    assert!(browser.field("Backend b1 shows billing").await.is_selected().await.unwrap());
    // What is saved as text is in the header at once.
    browser.follow("Policy").await;
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys("<policies><inbound></inbound></policies>").await.unwrap();
    browser.press("Save").await;
    browser.says("The policy is saved.").await;
    let header = browser.find("//dl[@class='line']/div[dt='Backend']/dd").await.text().await.unwrap();
    assert_eq!(header, world.upstream);
}

#[tokio::test]
async fn backends_are_listed_and_deleted_unless_they_are_used_or_somebody_elses() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "billing").await;
    make_api(&world, "shop", "shop", &world.upstream).await;
    make_api(&world, "other", "other", &world.upstream).await;
    browser.go(&world, "#/backends").await;
    browser.enter_token(&world.token).await;
    browser.says("There is no backend yet.").await;
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
        ["Made for the API 'shop' with its security.", "chain not verified", "name not verified", "none"]
    {
        assert!(row.contains(part), "{part}: {row}");
    }
    let row = browser.row("other").await.text().await.unwrap();
    assert!(row.contains("chain and name") && row.contains("billing"), "{row}");
    browser.screenshot("14-backends").await;
    browser.press("Delete shop").await;
    browser.press("Yes, delete it").await;
    browser.says("It is in use, and was not deleted. Remove it first from:\n\nAPI shop").await;
    browser.follow("API shop").await;
    browser.says("Policy document (XML)").await;
    // One that somebody else has made stays when the API with its id goes.
    browser.follow("APIs").await;
    browser.press("Delete The other API").await;
    browser.says("Its policy goes with it.").await;
    browser.press("Yes, delete it").await;
    browser.says("The other API was deleted.").await;
    browser.follow("Backends").await;
    browser.press("Delete other").await;
    browser.press("Yes, delete it").await;
    browser.says("other was deleted.").await;
    assert_eq!(world.ask(Method::GET, "/backends/other", &[], "").await.status, 404);
}

#[tokio::test]
async fn a_choice_that_is_refused_changes_nothing() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    make_api(&world, "shop", "shop", &world.upstream).await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.enter_token(&world.token).await;
    browser.field("Client certificate").await.click().await.unwrap();
    choose(&browser, "orders").await;
    browser.field("Do not verify the chain").await.click().await.unwrap();
    let deleted = world.ask(Method::DELETE, "/certificates/orders", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 200);
    browser.press("Save").await;
    browser.says("no certificate has the id \"orders\"").await;
    browser.settled().await;
    assert_eq!(world.ask(Method::GET, "/backends", &[], "").await.body["count"], 0);
    assert_eq!(policy(&world, "shop").await, "");
    // It comes back, and the same choice is saved.
    store(&world, "orders").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.focuses("button: Save").await;
    assert!(policy(&world, "shop").await.contains("certificate-id=\"orders\""));
}

#[tokio::test]
async fn a_policy_that_would_not_be_enforced_is_refused_with_line_and_column() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    make_api(&world, "shop", "shop", &world.upstream).await;
    browser.go(&world, "#/apis/shop/policy").await;
    browser.enter_token(&world.token).await;
    browser.says("There is no policy document yet.").await;
    let text = "<policies>\n  <inbound>\n    <base />\n    <rate-limit calls=\"1\" renewal-period=\"1\" />\n    \
                <authentication-certificate certificate-id=\"gone\" />\n  </inbound>\n</policies>";
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(text).await.unwrap();
    browser.press("Save").await;
    browser.says("The gateway refused this document. Nothing was saved.").await;
    browser.says("Line 4, column 5: <rate-limit>").await;
    browser.screenshot("8-policy-refused").await;
    browser.press("Go to line 4").await;
    let selected = browser
        .run("const e = document.activeElement; return e.value.slice(e.selectionStart, e.selectionEnd)")
        .await;
    assert_eq!(selected, "<rate-limit calls=\"1\" renewal-period=\"1\" />");
    assert_eq!(world.ask(Method::GET, "/apis/shop/policies/policy", &[], "").await.status, 404);
    // What was not saved is there after a look at another page.
    browser.follow("APIs").await;
    browser.go(&world, "#/apis/shop/policy").await;
    browser.says("This is what you had not saved yet.").await;
    let kept = browser.field("Policy document (XML)").await.prop("value").await.unwrap();
    assert_eq!(kept.as_deref(), Some(text));

    let good = "<policies>\n  <inbound>\n    <base />\n  </inbound>\n</policies>";
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(good).await.unwrap();
    browser.press("Save").await;
    browser.says("The policy is saved.").await;
    // And again, by the ETag of what was just saved.
    browser.field("Policy document (XML)").await.send_keys("\n").await.unwrap();
    browser.press("Save").await;
    browser.says("The policy is saved.").await;
    let odd = "<policies>\n<inbound>\n<base />\n<choose><when condition=\"@(context.Request.Certificate == null || \
               context.Request.Certificate.Thumbprint != \"ca06f56b258b7a0d4f2b05470939478651151984\")\">\n<return-response><set-status code=\"403\" \
               /></return-response></when></choose></inbound></policies>";
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(odd).await.unwrap();
    browser.press("Save").await;
    browser.says("The gateway has doubts about this document:").await;
    browser.screenshot("8-policy-doubts").await;
    // Doubts about what is stored do not stand above what is wrong with what is not.
    browser.field("Policy document (XML)").await.send_keys("<!-- ").await.unwrap();
    browser.press("Save").await;
    browser.says("The gateway refused this document.").await;
    assert!(!browser.text().await.contains("has doubts"));
    put_policy(&world, "shop", good).await;
    browser.field("Policy document (XML)").await.send_keys("\n").await.unwrap();
    browser.press("Save").await;
    browser.says("Somebody else changed this policy meanwhile.").await;
    browser.press("Show the policy as it stands now").await;
    browser.says("This is the policy as it stands now.").await;

    // An empty one is none.
    for by_button in [true, false] {
        if by_button {
            browser.press("Remove policy").await;
        } else {
            put_policy(&world, "shop", good).await;
            browser.go(&world, "#/apis").await;
            browser.go(&world, "#/apis/shop/policy").await;
            browser.settled().await;
            browser.field("Policy document (XML)").await.clear().await.unwrap();
            browser.press("Save").await;
        }
        browser.says("Remove the policy?").await;
        browser.focuses("button: No, keep it").await;
        browser.screenshot("8-policy-remove").await;
        browser.press("Yes, remove it").await;
        browser.says("The policy was removed.").await;
        browser.says("There is no policy document yet.").await;
        assert_eq!(world.ask(Method::GET, "/apis/shop/policies/policy", &[], "").await.status, 404);
    }
    browser.field("Policy document (XML)").await.clear().await.unwrap();
    browser.press("Save").await;
    browser.says("The document is empty.").await;
}

#[tokio::test]
async fn what_an_api_says_of_itself_is_never_markup() {
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
