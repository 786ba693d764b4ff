//! Policies of APIs.

use http::Method;

use super::apis::*;
use super::browser::Browser;
use crate::store_and_api::world::World;

#[tokio::test]
async fn chosen_certificate_is_written_to_the_policy_and_keeps_the_rest() {
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

    // A value written by script appears on the page.
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(before).await.unwrap();
    browser.press("Save").await;
    browser.says("The policy was saved").await;
    browser.follow("Security").await;
    assert!(browser.field("None").await.is_selected().await.unwrap());
}

#[tokio::test]
async fn scripts_and_the_page_show_the_same_state() {
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
    browser.says("The policy refers to the certificate by its thumbprint.").await;
    assert!(browser.field("Client certificate").await.is_selected().await.unwrap());
    assert_eq!(browser.run("return document.querySelector('select').value").await, "orders");
    browser.screenshot("10-by-script").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    let by_id = "<authentication-certificate certificate-id=\"orders\" />";
    assert_eq!(policy(&world, "shop").await, document.replace(&by_thumbprint, by_id));
    let listed = world.ask(Method::GET, "/apis", &[], "").await;
    assert_eq!(listed.body["count"], 2, "{listed:?}");

    // A concurrent change.
    put_policy(&world, "shop", "<policies><inbound><base /></inbound></policies>").await;
    browser.field("None").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("The policy or the backend of this API was changed by someone else").await;
    browser.screenshot("10-changed-meanwhile").await;
    browser.press("Show current version").await;
    browser.settled().await;
    browser.holds("what stands is shown", "return document.querySelector('input[value=none]').checked").await;
}

#[tokio::test]
async fn refused_choice_changes_nothing() {
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
    // It is created again, and the same choice is saved.
    store(&world, "orders").await;
    browser.press("Save").await;
    browser.says("Saved.").await;
    browser.focuses("button: Save").await;
    assert!(policy(&world, "shop").await.contains("certificate-id=\"orders\""));
}

#[tokio::test]
async fn unenforceable_policy_is_refused_with_line_and_column() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    make_api(&world, "shop", "shop", &world.upstream).await;
    browser.go(&world, "#/apis/shop/policy").await;
    browser.enter_token(&world.token).await;
    browser.says("There is no policy yet.").await;
    let text = "<policies>\n  <inbound>\n    <base />\n    <rate-limit calls=\"1\" renewal-period=\"1\" />\n    \
                <authentication-certificate certificate-id=\"gone\" />\n  </inbound>\n</policies>";
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(text).await.unwrap();
    browser.press("Save").await;
    browser.says("The policy was rejected. Nothing was saved.").await;
    browser.says("Line 4, column 5: <rate-limit>").await;
    browser.screenshot("8-policy-refused").await;
    browser.press("Go to line 4").await;
    let selected = browser
        .run("const e = document.activeElement; return e.value.slice(e.selectionStart, e.selectionEnd)")
        .await;
    assert_eq!(selected, "<rate-limit calls=\"1\" renewal-period=\"1\" />");
    assert_eq!(world.ask(Method::GET, "/apis/shop/policies/policy", &[], "").await.status, 404);
    // Unsaved text remains after a visit to another page.
    browser.follow("APIs").await;
    browser.go(&world, "#/apis/shop/policy").await;
    browser.says("These are your unsaved changes.").await;
    let kept = browser.field("Policy document (XML)").await.prop("value").await.unwrap();
    assert_eq!(kept.as_deref(), Some(text));

    let good = "<policies>\n  <inbound>\n    <base />\n  </inbound>\n</policies>";
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(good).await.unwrap();
    browser.press("Save").await;
    browser.says("The policy was saved").await;
    // Saved again, with the ETag of the previous save.
    browser.field("Policy document (XML)").await.send_keys("\n").await.unwrap();
    browser.press("Save").await;
    browser.says("The policy was saved").await;
    let odd = "<policies>\n<inbound>\n<base />\n<choose><when condition=\"@(context.Request.Certificate == null || \
               context.Request.Certificate.Thumbprint != \"ca06f56b258b7a0d4f2b05470939478651151984\")\">\n<return-response><set-status code=\"403\" \
               /></return-response></when></choose></inbound></policies>";
    let input = browser.field("Policy document (XML)").await;
    input.clear().await.unwrap();
    input.send_keys(odd).await.unwrap();
    browser.press("Save").await;
    browser.says("Warnings about this document:").await;
    browser.screenshot("8-policy-doubts").await;
    // Warnings about the stored text are hidden while there are errors in the edited one.
    browser.field("Policy document (XML)").await.send_keys("<!-- ").await.unwrap();
    browser.press("Save").await;
    browser.says("The policy was rejected.").await;
    assert!(!browser.text().await.contains("has doubts"));
    put_policy(&world, "shop", good).await;
    browser.field("Policy document (XML)").await.send_keys("\n").await.unwrap();
    browser.press("Save").await;
    browser.says("This policy was changed by someone else.").await;
    browser.press("Show current policy").await;
    browser.says("The current policy is shown.").await;

    // Empty text is not a policy.
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
        browser.says("There is no policy yet.").await;
        assert_eq!(world.ask(Method::GET, "/apis/shop/policies/policy", &[], "").await.status, 404);
    }
    browser.field("Policy document (XML)").await.clear().await.unwrap();
    browser.press("Save").await;
    browser.says("The document is empty.").await;
}
