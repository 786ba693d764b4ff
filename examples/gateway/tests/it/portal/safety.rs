//! The portal neither discloses secrets nor executes foreign content.

use std::sync::Arc;

use http::{Method, Request};
use http_body_util::Full;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{browser::Browser, material};
use crate::store_and_api::world::{Answer, World, ask_on};
use crate::support::{Running, replace};

const FILES: [&str; 16] = [
    "/",
    "/portal/portal.css",
    "/portal/icon.svg",
    "/portal/api.js",
    "/portal/apis.js",
    "/portal/backends.js",
    "/portal/certificates.js",
    "/portal/dialog.js",
    "/portal/dom.js",
    "/portal/effective.js",
    "/portal/main.js",
    "/portal/policy.js",
    "/portal/policy-text.js",
    "/portal/security.js",
    "/portal/upload.js",
    "/portal/used-by.js",
];

/// Requests a page with this host, without the token.
async fn plain(world: &World, method: Method, path: &str, host: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", host);
    ask_on(&mut world.connect().await, request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn portal_files_need_no_token_and_have_a_strict_policy() {
    let world = World::start("");
    for path in FILES {
        for method in [Method::GET, Method::HEAD] {
            let answer = plain(&world, method.clone(), path, "localhost").await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.text.is_empty(), method == Method::HEAD, "{path}");
            let kind = match path.rsplit('.').next().unwrap() {
                "css" => "text/css; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "svg" => "image/svg+xml",
                _ => "text/html; charset=utf-8",
            };
            let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                          img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                          require-trusted-types-for 'script'; trusted-types 'none'";
            for (name, value) in [
                ("content-type", kind),
                ("content-security-policy", policy),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-embedder-policy", "require-corp"),
                (
                    "permissions-policy",
                    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
                ),
            ] {
                assert_eq!(answer.headers.get(name).unwrap(), value, "{path}: {name}");
            }
        }
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(plain(&world, method, path, "localhost").await.status, 405, "{path}");
        }
        assert_eq!(plain(&world, Method::GET, path, "evil.example").await.status, 421, "{path}");
    }
    for path in ["/portal", "/portal/", "/portal/none.js", "/portal/../", "/index.html", "/favicon.ico"] {
        assert_eq!(plain(&world, Method::GET, path, "localhost").await.status, 404, "{path}");
    }
    let page = plain(&world, Method::GET, "/", "localhost").await.text;
    for part in ["http://", "https://", "<style", "onclick", " style="] {
        assert!(!page.contains(part), "{part}");
    }
}

#[tokio::test]
async fn text_of_a_certificate_is_never_markup_and_cannot_reverse_other_text() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    let markup = "<img src=x onerror=window.broken=1>\"'><script>window.broken=1</script>";
    for (id, subject) in [
        ("markup", markup),
        ("turned", "evil\u{202e}moc.osotnoc\u{2066}x\u{200b}y\u{7}"),
        ("rtl", "שלום (כן)"),
    ] {
        let file = material::certificate(&world, &format!("{id}.pem"), subject, 100);
        assert_eq!(world.put(id, &std::fs::read(file).unwrap(), "", &[]).await.status, 201);
    }
    browser.go(&world, "").await;
    browser.enter_token(&world.token).await;
    let row = browser.row("markup").await.text().await.unwrap();
    assert!(row.contains("<img src=x onerror=window.broken=1>"), "{row}");
    let row = browser.row("turned").await.text().await.unwrap();
    for name in ["U+202E", "U+2066", "U+200B", "U+0007"] {
        assert!(row.contains(name), "{name}: {row}");
    }
    let directed =
        browser.run("return /[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)").await;
    assert_eq!(directed, false, "a bidirectional control character is on the page");
    browser.screenshot("safety-subjects").await;
    for id in ["markup", "turned", "rtl"] {
        for (button, close) in [("Details of", "Close"), ("Delete", "No, keep it")] {
            browser.press(&format!("{button} {id}")).await;
            let script = "return document.querySelector('dialog[open] bdi') !== null";
            browser.holds("the subject stands apart", script).await;
            browser.press(close).await;
        }
    }
    let made = browser
        .run("return [window.broken ?? null, document.querySelectorAll('main img, main script').length]")
        .await;
    assert_eq!(made, json!([null, 0]));
    // Writing one by accident fails as well.
    let refused = browser
        .run("try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (error) { return error.name }")
        .await;
    assert_eq!(refused, "TypeError");
}

#[tokio::test]
async fn token_is_entered_once_never_stored_and_forgotten_on_demand() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    browser.field("Token").await.send_keys("0123456789-not-it").await.unwrap();
    browser.press("Continue").await;
    browser.says("The token is invalid.").await;
    browser.focuses("input: Token").await;
    browser.press("Cancel").await;
    browser.says("The gateway requires its management token.").await;
    browser.press("Enter the token").await;
    browser.enter_token(&world.token).await;
    browser.says("The store is empty").await;
    for page in ["APIs", "Backends", "Global policy", "Certificates"] {
        browser.follow(page).await;
        let is_asked = browser.run("return Boolean(document.querySelector('dialog[open]'))").await;
        assert_eq!(is_asked, false, "{page}");
    }
    let kept = browser
        .run_async(
            "const inputs = [...document.querySelectorAll('input')].map((input) => input.value); \
             const caches = await window.caches.keys(); const bases = await indexedDB.databases(); \
             return [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href, \
                     history.state, window.name, document.documentElement.outerHTML, inputs, caches, bases]",
            json!(null),
        )
        .await;
    assert!(!kept.to_string().contains(&world.token), "{kept}");
    assert_eq!(kept[0], "{}");
    assert_eq!(kept[1], "{}");

    browser.press("Forget the token").await;
    browser.says("Enter the token").await;
    assert!(!browser.text().await.contains("The store is empty"));
    browser.press("Enter the token").await;
    browser.enter_token(&world.token).await;

    // With another token the portal prompts again, and continues on the same page.
    let lines = world.running.lines();
    let file = world.demo.dir().join("management.token");
    replace(&file, "another-token-0123456789\n");
    world.running.hang_up();
    world.running.logged(lines, "reloaded");
    browser.press("Upload certificate").await;
    browser
        .field("File")
        .await
        .send_keys(world.demo.dir().join("client.pem").to_str().unwrap())
        .await
        .unwrap();
    browser.press("Upload").await;
    browser.says("Enter the token").await;
    browser.field("Token").await.send_keys("another-token-0123456789").await.unwrap();
    browser.press("Continue").await;
    browser.says("client was uploaded").await;
    // A reloaded page does not keep the token.
    browser.go(&world, "#/apis").await;
    browser.run("location.reload()").await;
    browser.says("Enter the token").await;
}

/// A proxy to the management listener that presents the demo's client certificate; returns its port.
async fn with_a_client_certificate(world: Arc<World>) -> u16 {
    let dir = world.demo.dir();
    let chain = CertificateDer::pem_file_iter(dir.join("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (world, acceptor) = (world.clone(), acceptor.clone());
            tokio::spawn(async move {
                let Ok(mut browser) = acceptor.accept(socket).await else { return };
                let socket =
                    TcpStream::connect(("127.0.0.1", world.running.management_port())).await.unwrap();
                let mut gateway = world.demo.handshake(socket, Some("client"), b"http/1.1").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut browser, &mut gateway).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn client_certificate_replaces_the_token() {
    let world = World::start_with_management(
        "client_certificate = { trust = \"demo\" }",
        "",
        "info,gateway::server=debug",
    );
    let world = Arc::new(world);
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    browser.says("The gateway requires a client certificate").await;
    let port = with_a_client_certificate(world.clone()).await;
    browser.go_to(&format!("https://localhost:{port}/")).await;
    browser.says("The store is empty").await;
    browser.press("Upload certificate").await;
    browser
        .field("File")
        .await
        .send_keys(world.demo.dir().join("client.pem").to_str().unwrap())
        .await
        .unwrap();
    browser.press("Upload").await;
    browser.says("client was uploaded").await;
    let text = browser.text().await;
    assert!(!text.to_lowercase().contains("token"), "{text}");
}

#[tokio::test]
async fn gateway_without_a_store_shows_the_remedy() {
    let mut world = World::start("");
    let with = std::fs::read_to_string(&world.config).unwrap();
    let from = with.find("[store]").unwrap();
    let until = with.find("[trust.demo]").unwrap();
    std::fs::write(&world.config, format!("{}{}", &with[..from], &with[until..])).unwrap();
    (world.running, _) = Running::start(&world.config);
    let Some(browser) = Browser::open(&world).await else { return };
    for page in ["APIs", "Backends", "Global policy", "Certificates"] {
        browser.follow(page).await;
        browser.says("Add [store] to its configuration").await;
    }
}

#[tokio::test]
async fn portal_loads_nothing_from_other_hosts_and_logs_no_error() {
    let world = World::start("");
    let Some(browser) = Browser::open(&world).await else { return };
    for page in ["APIs", "Backends", "Global policy", "Certificates"] {
        browser.follow(page).await;
    }
    let loaded = browser
        .run(
            "return performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)\
             .filter((origin) => origin !== location.origin)",
        )
        .await;
    assert_eq!(loaded, json!([]));
    for entry in browser.console().await.as_array().unwrap() {
        let message = entry["message"].as_str().unwrap();
        // The 401 that demands a token, and the 404 of a missing policy.
        let is_expected = message.contains("status of 401") || message.contains("status of 404");
        assert!(is_expected, "{message}");
    }
}
