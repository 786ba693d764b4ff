//! The portal passes axe's accessibility checks.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use serde_json::json;

use super::{
    apis::make_api,
    browser::{Browser, skip, target},
    material,
};
use crate::store_and_api::world::World;

const AXE: &str = "axe-core@4.14.1";

/// axe's script, fetched once into the target folder, or the reason why it is unavailable.
fn axe() -> Result<String, String> {
    static SCRIPT: OnceLock<Result<String, String>> = OnceLock::new();
    let fetch = || {
        let folder: PathBuf = target().join("axe");
        let script = folder.join("node_modules").join("axe-core").join("axe.min.js");
        if !script.is_file() {
            std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            let arguments =
                ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
            let output = Command::new("npm").args(arguments).arg(&folder).arg(AXE).output();
            let output = output.map_err(|error| format!("npm: {error}"))?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        std::fs::read_to_string(script).map_err(|error| error.to_string())
    };
    SCRIPT.get_or_init(fetch).clone()
}

impl Browser {
    /// axe finds no violation in light and dark, wide and narrow; keeps a screenshot of each.
    pub(crate) async fn is_accessible(&self, name: &str) {
        let axe = match axe() {
            Ok(axe) => axe,
            Err(reason) => return skip(&reason),
        };
        for (width, height, size) in [(1280, 800, "wide"), (390, 844, "narrow")] {
            self.resize(width, height).await;
            for scheme in ["light", "dark"] {
                self.scheme(scheme).await;
                self.screenshot(&format!("{name}-{size}-{scheme}")).await;
                self.run(&axe).await;
                let found = self
                    .run_async(
                        "const { violations } = await window.axe.run(document, { resultTypes: ['violations'] }); \
                         return violations.flatMap(({ id, help, nodes }) => \
                           nodes.map((node) => `${id} (${help}): ${node.html}`))",
                        json!(null),
                    )
                    .await;
                assert_eq!(found, json!([]), "{name}, {size}, {scheme}");
                let overflow = self
                    .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    .await;
                assert_eq!(overflow, 0, "{name}, {size}: the page is wider than the screen");
            }
        }
        self.scheme("light").await;
        self.resize(320, 700).await;
        self.screenshot(&format!("{name}-smallest")).await;
        let outside = self
            .run(
                "const places = 'tbody tr, .sheet, .notice, dialog, .badge, .empty'; \
                 const right = (element) => element.getBoundingClientRect().right; \
                 const isSeen = (element) => !element.closest('.visually-hidden, thead, caption') && element.checkVisibility(); \
                 return [...document.querySelectorAll(places)].flatMap((place) => \
                   [...place.querySelectorAll('*')].filter((part) => isSeen(part) && right(part) > right(place) + 1) \
                     .map((part) => part.outerHTML))",
            )
            .await;
        assert_eq!(outside, json!([]), "{name}: an element overflows its card");
        let overflow = self
            .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        assert_eq!(overflow, 0, "{name}: the page is wider than the smallest screen");
        self.resize(1280, 800).await;
    }
}

#[tokio::test]
async fn certificates_page_and_its_dialogs_are_accessible() {
    let world = World::start(
        "[[routes]]\npath = \"/used\"\nupstream = \"UPSTREAM\"\nidentity = { id = \"orders\" }\n",
    );
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    browser.says("Enter the token").await;
    browser.is_accessible("a-token").await;
    browser.enter_token(&world.token).await;
    browser.is_accessible("a-empty").await;
    let (pfx, password) = world.pfx("orders");
    assert_eq!(world.put("orders", &pfx, &password, &[]).await.status, 201);
    assert_eq!(world.put("partner-6", &world.file("expired.pem"), "", &[]).await.status, 201);
    for (id, name, days) in [
        ("partner-8", "ends soon", 12),
        ("partner-9", "turned \u{202e} round", 300),
        (
            "a-rather-long-id-that-was-made-up-for-a-partner",
            "a rather long name of a partner that goes on and on, and has no end in sight",
            90,
        ),
    ] {
        let file = material::certificate(&world, &format!("{id}.pem"), name, days);
        assert_eq!(world.put(id, &std::fs::read(file).unwrap(), "", &[]).await.status, 201);
    }
    browser.follow("APIs").await;
    browser.follow("Certificates").await;
    browser.row("partner-9").await;
    browser.is_accessible("a-certificates").await;
    browser.press("Details of orders").await;
    browser.says("SHA-256 thumbprint").await;
    browser.is_accessible("a-details").await;
    browser.press("Close").await;
    browser.press("Delete orders").await;
    browser.press("Yes, delete it").await;
    browser.says("Not deleted: it is still used by").await;
    browser.is_accessible("a-in-use").await;
    browser.press("Close").await;
    browser.press("Upload certificate").await;
    browser
        .field("File")
        .await
        .send_keys(world.demo.dir().join("orders.pfx").to_str().unwrap())
        .await
        .unwrap();
    let id = browser.field("Id").await;
    id.clear().await.unwrap();
    id.send_keys("another").await.unwrap();
    browser.press("Upload").await;
    browser.says("The password is missing").await;
    browser.is_accessible("a-upload").await;
}

#[tokio::test]
async fn apis_and_their_pages_are_accessible() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    let (pfx, password) = world.pfx("orders");
    assert_eq!(world.put("orders", &pfx, &password, &[]).await.status, 201);
    make_api(&world, "shop", "shop/orders", &world.upstream).await;
    for (id, url) in
        [("b1", &*world.upstream), ("a-rather-long-id-of-a-upstream-without-an-end", "http://h.example/")]
    {
        let tls = json!({ "validateCertificateChain": false, "validateCertificateName": false });
        let properties = json!({ "url": url, "protocol": "http", "tls": tls });
        assert_eq!(world.set(&format!("/backends/{id}"), properties, "").await.status, 201);
    }
    let name = "a-rather-long-id-that-was-made-up";
    make_api(
        &world,
        name,
        "a/rather/long/path/that/goes/on/and/on/and/on/for-longer-than-a-telephone-is-wide",
        &world.upstream,
    )
    .await;
    browser.go(&world, "#/apis").await;
    browser.enter_token(&world.token).await;
    browser.is_accessible("b-apis").await;
    browser.press("Create API").await;
    browser.is_accessible("b-create").await;
    browser.press("Cancel").await;
    browser.follow("/open").await;
    browser.is_accessible("b-read-only").await;
    browser.go(&world, "#/apis/shop/security").await;
    browser.says("Gateway credentials").await;
    browser.field("Client certificate").await.click().await.unwrap();
    browser.field("Do not verify the chain").await.click().await.unwrap();
    browser.press("Save").await;
    browser.says("Choose a certificate.").await;
    browser.is_accessible("b-security").await;
    browser.follow("Policy").await;
    browser.field("Policy document (XML)").await.send_keys("<rate-limit calls=\"1\" />").await.unwrap();
    browser.press("Save").await;
    browser.says("Nothing was saved.").await;
    browser.is_accessible("b-policy").await;
    browser.follow("Settings").await;
    browser.is_accessible("b-settings").await;
    browser.follow("Global policy").await;
    browser.is_accessible("b-all-apis").await;
    browser.follow("Backends").await;
    browser.is_accessible("b-upstreams").await;
}
