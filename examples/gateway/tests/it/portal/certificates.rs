//! The certificates page.

use http::Method;

use super::{browser::Browser, material};
use crate::store_and_api::world::World;

/// A route that uses `orders`.
const USED: &str = "[[routes]]\npath = \"/used\"\nupstream = \"UPSTREAM\"\nidentity = { id = \"orders\" }\n";

async fn store(world: &World, name: &str) {
    let (pfx, password) = world.pfx(name);
    assert_eq!(world.put(name, &pfx, &password, &[]).await.status, 201);
}

async fn upload(browser: &Browser, file: &std::path::Path, password: &str) {
    browser.press("Upload certificate").await;
    browser.field("File").await.send_keys(file.to_str().unwrap()).await.unwrap();
    if !password.is_empty() {
        browser.field("Password").await.send_keys(password).await.unwrap();
    }
    browser.press("Upload").await;
}

#[tokio::test]
async fn certificates_of_the_store_are_listed() {
    let world = World::start(USED);
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    browser.says("Enter the token").await;
    browser.screenshot("0-token").await;
    browser.enter_token(&world.token).await;
    browser.says("The store is empty").await;
    browser.screenshot("1-empty").await;
    store(&world, "orders").await;
    store(&world, "billing").await;
    for (id, file) in [("partner-7", "client.pem"), ("partner-6", "expired.pem")] {
        assert_eq!(world.put(id, &world.file(file), "", &[]).await.status, 201);
    }
    let soon = material::certificate(&world, "soon.pem", "partner that ends soon", 12);
    assert_eq!(world.put("partner-8", &std::fs::read(soon).unwrap(), "", &[]).await.status, 201);
    browser.follow("APIs").await;
    browser.follow("Certificates").await;
    for (id, parts) in [
        ("orders", &["CN=orders-gateway, O=Contoso", "Yes", "route /used"][..]),
        ("billing", &["CN=billing-gateway, O=Contoso", "Yes", "not used"]),
        ("partner-6", &["CN=orders-client, O=Contoso", "No", "expired"]),
        ("partner-8", &["CN=partner that ends soon", "expires in 12 days"]),
    ] {
        let text = browser.row(id).await.text().await.unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{id}: {text}");
    }
    browser.screenshot("1-certificates").await;
    browser.press("Details of orders").await;
    let thumbprint =
        world.ask(Method::GET, "/certificates/orders", &[], "").await.body["properties"]["thumbprint"]
            .as_str()
            .unwrap()
            .to_owned();
    browser.says(&thumbprint).await;
    browser.screenshot("1-details").await;
}

#[tokio::test]
async fn upload_form_takes_file_password_and_id() {
    let world = World::start("");
    let Some(browser) = Browser::open(&world).await else { return };
    let (_, password) = world.pfx("orders");
    browser.press("Upload certificate").await;
    browser.press("Upload").await;
    browser.says("Choose a file.").await;
    browser
        .field("File")
        .await
        .send_keys(world.demo.dir().join("orders.pfx").to_str().unwrap())
        .await
        .unwrap();
    let id = browser.field("Id").await;
    assert_eq!(id.prop("value").await.unwrap().as_deref(), Some("orders"), "the name of the file");
    browser.field("Password").await.send_keys(&password).await.unwrap();
    browser.screenshot("2-upload-form").await;
    browser.press("Upload").await;
    browser.says("orders was uploaded").await;

    // A caller's certificate, without a password, with a chosen id.
    browser.press("Upload certificate").await;
    browser.field("Id").await.send_keys("partner 7").await.unwrap();
    browser
        .field("File")
        .await
        .send_keys(world.demo.dir().join("client.pem").to_str().unwrap())
        .await
        .unwrap();
    browser.press("Upload").await;
    browser.says("partner 7 was uploaded").await;
    let kept = world.ask(Method::GET, "/certificates/partner%207", &[], "").await;
    assert_eq!(kept.body["properties"]["hasPrivateKey"], false, "{kept:?}");

    // An id that exists, and an invalid one.
    upload(&browser, &world.demo.dir().join("orders.pfx"), &password).await;
    browser.says("A certificate with this id already exists").await;
    let id = browser.field("Id").await;
    id.clear().await.unwrap();
    id.send_keys("a*b").await.unwrap();
    browser.press("Upload").await;
    browser.says("The id of the certificate contains one of the characters").await;
    browser.focuses("input: Id").await;

    // An id that the server reserves.
    let answer = "window.fetch = async () => new Response(JSON.stringify({ error: { code: 'Conflict', \
                  message: 'the id is an identity of the configuration file' } }), { status: 409 })";
    browser.run(answer).await;
    id.clear().await.unwrap();
    id.send_keys("filed").await.unwrap();
    browser.press("Upload").await;
    browser.says("The id is an identity of the configuration file").await;
    browser.focuses("input: Id").await;
}

#[tokio::test]
async fn wrong_password_is_shown_beside_the_field_and_nothing_is_stored() {
    let world = World::start("");
    let Some(browser) = Browser::open(&world).await else { return };
    upload(&browser, &world.demo.dir().join("orders.pfx"), "wrong-horse").await;
    browser.says("The password is wrong").await;
    browser.focuses("input: Password").await;
    let password = browser.field("Password").await;
    assert_eq!(password.attr("aria-invalid").await.unwrap().as_deref(), Some("true"));
    let described = browser
        .run(
            "return document.activeElement.getAttribute('aria-describedby').split(' ')\
             .map((id) => document.getElementById(id).textContent).join(' ')",
        )
        .await;
    assert!(described.as_str().unwrap().contains("The password is wrong"), "{described}");
    browser.screenshot("3-wrong-password").await;
    let list = world.ask(Method::GET, "/certificates", &[], "").await;
    assert_eq!(list.body["count"], 0);
    // The right password, without selecting the file again.
    password.clear().await.unwrap();
    password.send_keys(&world.pfx("orders").1).await.unwrap();
    browser.press("Upload").await;
    browser.says("orders was uploaded").await;
}

#[tokio::test]
async fn uploaded_certificate_is_listed_with_subject_last_four_and_expiry() {
    let world = World::start("");
    let Some(browser) = Browser::open(&world).await else { return };
    upload(&browser, &world.demo.dir().join("orders.pfx"), &world.pfx("orders").1).await;
    browser.says("orders was uploaded").await;
    browser.screenshot("4-uploaded").await;
    let properties = world.ask(Method::GET, "/certificates/orders", &[], "").await.body["properties"].clone();
    let text = browser.row("orders").await.text().await.unwrap();
    let thumbprint = properties["thumbprint"].as_str().unwrap();
    let expiry = &properties["expirationDate"].as_str().unwrap()[..10];
    for part in ["CN=orders-gateway, O=Contoso", &format!("…{}", &thumbprint[36..]), expiry, "in ", "Yes"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(&thumbprint[..36]), "the details contain the full value");
    // Renewed under the same id.
    browser.press("Details of orders").await;
    browser.press("Replace…").await;
    browser
        .field("File")
        .await
        .send_keys(world.demo.dir().join("billing.pfx").to_str().unwrap())
        .await
        .unwrap();
    browser.field("Password").await.send_keys(&world.pfx("billing").1).await.unwrap();
    browser.press("Replace").await;
    browser.says("CN=billing-gateway").await;
}

#[tokio::test]
async fn delete_is_confirmed_and_a_certificate_in_use_lists_its_users() {
    let world = World::start(USED);
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    store(&world, "billing").await;
    browser.go(&world, "").await;
    browser.enter_token(&world.token).await;

    browser.press("Delete billing").await;
    browser.says("Delete billing?").await;
    // Enter deletes nothing by accident.
    browser.focuses("button: No, keep it").await;
    browser.screenshot("5-confirm").await;
    browser.press("No, keep it").await;
    browser.focuses("button: Delete billing").await;
    assert_eq!(world.ask(Method::GET, "/certificates/billing", &[], "").await.status, 200);
    browser.press("Delete billing").await;
    browser.press("Yes, delete it").await;
    browser.says("billing was deleted.").await;
    assert_eq!(world.ask(Method::GET, "/certificates/billing", &[], "").await.status, 404);
    browser.focuses("h1: Certificates").await;

    browser.press("Delete orders").await;
    browser.press("Yes, delete it").await;
    browser.says("Not deleted: it is still used by\n\nroute /used").await;
    browser.screenshot("5-in-use").await;
    browser.press("Close").await;
    assert_eq!(world.ask(Method::GET, "/certificates/orders", &[], "").await.status, 200);
}

#[tokio::test]
async fn concurrent_change_is_not_overwritten() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    store(&world, "orders").await;
    let (pfx, password) = world.pfx("billing");
    browser.go(&world, "").await;
    browser.enter_token(&world.token).await;
    browser.press("Delete orders").await;
    browser.says("Delete orders?").await;
    assert_eq!(world.put("orders", &pfx, &password, &[("if-match", "*")]).await.status, 200);
    browser.press("Yes, delete it").await;
    browser.says("It was changed by someone else").await;
    assert_eq!(world.ask(Method::GET, "/certificates/orders", &[], "").await.status, 200);
}

#[tokio::test]
async fn long_lists_are_paged_and_filtered() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    let client = world.file("client.pem");
    for number in 0..120 {
        assert_eq!(world.put(&format!("partner-{number:03}"), &client, "", &[]).await.status, 201);
    }
    store(&world, "orders").await;
    browser.go(&world, "").await;
    browser.enter_token(&world.token).await;
    browser.says("1 to 50 of 121").await;
    browser.press("Next page").await;
    browser.says("51 to 100 of 121").await;
    browser.focuses("h1: Certificates").await;
    browser.press("Next page").await;
    browser.says("101 to 121 of 121").await;
    browser.screenshot("1-paged").await;
    browser.press("Previous page").await;
    browser.says("51 to 100 of 121").await;

    let filter = browser.field("Filter").await;
    let thumbprint =
        world.ask(Method::GET, "/certificates/orders", &[], "").await.body["properties"]["thumbprint"]
            .as_str()
            .unwrap()
            .to_owned();
    for (text, expected) in [
        ("ORDERS-GATEWAY", "1 to 1 of 1"),
        ("partner-00", "1 to 10 of 10"),
        (&thumbprint[34..], "1 to 1 of 1"),
        ("it's", "No certificate matches this filter"),
        ("", "1 to 50 of 121"),
    ] {
        filter.clear().await.unwrap();
        filter.send_keys(text).await.unwrap();
        if text.is_empty() {
            browser.run("document.activeElement.dispatchEvent(new Event('input'))").await;
        }
        browser.says(expected).await;
    }
}
