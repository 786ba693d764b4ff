//! The portal without a mouse.

use http::Method;

use super::browser::Browser;
use crate::store_and_api::world::World;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

#[tokio::test]
async fn certificate_is_uploaded_and_deleted_by_keyboard_only() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    browser.says("Enter the token").await;
    browser.focuses("input: Token").await;
    browser.keys(&world.token).await;
    browser.keys(ENTER).await;
    browser.says("The store is empty").await;

    browser.start_at_the_top().await;
    for expected in [
        "a: Skip to content",
        "a: Certificates",
        "a: APIs",
        "a: Backends",
        "a: Global policy",
        "button: Forget the token",
        "button: Upload certificate",
    ] {
        browser.keys(TAB).await;
        browser.focuses(expected).await;
        let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, "solid", "{expected} does not show its focus");
    }
    browser.keys(ENTER).await;
    browser.says("Upload a certificate").await;
    browser.focuses("input: File").await;
    browser.choose(&world.demo.dir().join("orders.pfx")).await;
    browser.keys(TAB).await;
    browser.focuses("input: Password").await;
    browser.keys("wrong-horse").await;
    browser.keys(ENTER).await;
    browser.says("The password is wrong").await;
    browser.focuses("input: Password").await;
    browser.run("document.activeElement.select()").await;
    browser.keys(&world.pfx("orders").1).await;
    for expected in ["input: Id", "button: Cancel", "button: Upload"] {
        browser.keys(TAB).await;
        browser.focuses(expected).await;
    }
    browser.keys(ENTER).await;
    browser.says("orders was uploaded").await;
    browser.focuses("button: Upload certificate").await;

    for expected in ["input: Filter", "button: Details of orders", "button: Delete orders"] {
        browser.keys(TAB).await;
        browser.focuses(expected).await;
    }
    browser.keys(ENTER).await;
    browser.says("Delete orders?").await;
    browser.keys(ESCAPE).await;
    browser.focuses("button: Delete orders").await;
    browser.keys(ENTER).await;
    browser.says("Delete orders?").await;
    browser.keys(TAB).await;
    browser.focuses("button: Yes, delete it").await;
    browser.keys(ENTER).await;
    browser.says("orders was deleted.").await;
    assert_eq!(world.ask(Method::GET, "/certificates/orders", &[], "").await.status, 404);
}

#[tokio::test]
async fn first_tab_skips_the_common_header() {
    let world = World::start("");
    let Some(browser) = Browser::open(&world).await else { return };
    browser.start_at_the_top().await;
    browser.keys(TAB).await;
    browser.keys(ENTER).await;
    browser.keys(TAB).await;
    browser.focuses("button: Upload certificate").await;
    // Another page announces its title.
    browser.follow("Global policy").await;
    browser.focuses("h1: Global policy").await;
    assert_eq!(browser.run("return document.title").await, "Global policy – Gateway");
}
