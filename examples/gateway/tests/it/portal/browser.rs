//! Chromium with the portal open.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::store_and_api::world::World;
use crate::support::Folder;

/// Timeout for anything on the page.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Headless, without network access.
const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--lang=en-GB",
];

pub(crate) struct Browser {
    client: Client,
    driver: Child,
    _folder: Folder,
}

/// chromedriver's commands for the browser.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

/// The browser's log.
#[derive(Debug)]
struct Console;

impl WebDriverCompatibleCommand for Console {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// The first of these programs that is installed.
fn program(names: &[&str]) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.find(|file| file.is_file()).ok_or_else(|| format!("there is no {}", names.join(", no ")))
}

/// Starts the driver in its own process group; returns its port, or None if it has ended without listening.
fn start_driver(driver: &Path, folder: &Path) -> Option<(Child, u16)> {
    let mut driver = Command::new(driver)
        .arg("--port=0")
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let mut ports = lines.map_while(Result::ok).filter_map(|line| {
        line.strip_prefix("ChromeDriver was started successfully on port ")?
            .trim_end_matches('.')
            .parse::<u16>()
            .ok()
    });
    let port = ports.next();
    if port.is_none() {
        let _ = driver.wait();
    }
    Some((driver, port?))
}

/// Reports a skipped test; panics where browsers are required.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("TOWER_MTLS_BROWSER").is_none(), "{reason}");
    // Not by a macro, whose output a passing test captures.
    let what = "SKIPPED: the portal in a browser (TOWER_MTLS_BROWSER=1 makes this an error)";
    let _ = writeln!(std::io::stderr(), "{what}: {reason}");
}

impl Browser {
    /// A browser that accepts this world's management certificate; None without a browser.
    pub(crate) async fn start(world: &World) -> Option<Self> {
        let found = program(&["chromium", "chromium-browser", "google-chrome"])
            .and_then(|chromium| Ok((chromium, program(&["chromedriver"])?)));
        let (chromium, driver) = match found {
            Ok(found) => found,
            Err(reason) => {
                skip(&reason);
                return None;
            }
        };
        let folder = Folder::new();
        // The driver's port can be free for one address family and taken for the other: then it ends.
        let (driver, port) =
            (0..5).find_map(|_| start_driver(&driver, folder.path())).expect("chromedriver does not listen");
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", folder.path().display()));
        arguments.push(format!("--ignore-certificate-errors-spki-list={}", key_hash(world)));
        let capabilities: Capabilities = serde_json::from_value(json!({
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }))
        .unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://localhost:{port}"))
            .await;
        let browser = Self { client: client.unwrap(), driver, _folder: folder };
        browser.resize(1280, 800).await;
        Some(browser)
    }

    /// The portal with the token entered; None without a browser.
    pub(crate) async fn open(world: &World) -> Option<Self> {
        let browser = Self::start(world).await?;
        browser.go(world, "").await;
        browser.enter_token(&world.token).await;
        Some(browser)
    }

    /// Loads the portal.
    pub(crate) async fn go(&self, world: &World, hash: &str) {
        let port = world.running.management_port();
        self.go_to(&format!("https://localhost:{port}/{hash}")).await;
    }

    pub(crate) async fn go_to(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(crate) async fn enter_token(&self, token: &str) {
        self.field("Token").await.send_keys(token).await.unwrap();
        self.press("Continue").await;
        self.holds("no dialog is open", "return !document.querySelector('dialog[open]')").await;
        self.settled().await;
    }

    /// Waits until the page has loaded its data.
    pub(crate) async fn settled(&self) {
        self.holds("the page is at rest", "return !document.querySelector('[aria-busy=true]')").await;
    }

    /// The result of a script.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// The result of an asynchronous function with this body.
    pub(crate) async fn run_async(&self, body: &str, argument: Value) -> Value {
        let script = format!(
            "const [argument, done] = arguments; (async () => {{ {body} }})().then((value) => done({{ value }}), \
             (error) => done({{ error: String(error) }}))"
        );
        let outcome = self.client.execute_async(&script, vec![argument]).await.unwrap();
        assert!(outcome["error"].is_null(), "{outcome}");
        outcome["value"].clone()
    }

    /// Waits until the script returns true.
    pub(crate) async fn holds(&self, what: &str, script: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while !matches!(self.client.execute(script, vec![]).await, Ok(Value::Bool(true))) {
            if Instant::now() > deadline {
                self.screenshot("failed").await;
                panic!("waited too long until {what}; the page says:\n{}", self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the page shows this text.
    pub(crate) async fn says(&self, text: &str) {
        let quoted = json!(text);
        let script = format!("return document.body.innerText.includes({quoted})");
        self.holds(&format!("the page says {text:?}"), &script).await;
    }

    /// The visible text of the page.
    pub(crate) async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits for the element of this XPath to be visible and enabled.
    pub(crate) async fn find(&self, path: &str) -> Element {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            for element in self.client.find_all(Locator::XPath(path)).await.unwrap() {
                if element.is_displayed().await.unwrap_or(false) {
                    return element;
                }
            }
            if Instant::now() > deadline {
                self.screenshot("failed").await;
                panic!("there is no {path}; the page says:\n{}", self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The field with this label, in the dialog if one is open.
    pub(crate) async fn field(&self, label: &str) -> Element {
        self.find(&format!("{}//*[@id=//label[normalize-space()='{label}']/@for]", self.place().await)).await
    }

    /// Clicks the button with this name.
    pub(crate) async fn press(&self, name: &str) {
        let path = format!("{}//button[normalize-space()='{name}']", self.place().await);
        self.find(&path).await.click().await.unwrap();
    }

    /// Follows the link with this name.
    pub(crate) async fn follow(&self, name: &str) {
        self.find(&format!("//a[normalize-space()='{name}']")).await.click().await.unwrap();
        self.settled().await;
    }

    /// The interactive part: the last dialog, or the page.
    async fn place(&self) -> &'static str {
        let is_open = self.run("return Boolean(document.querySelector('dialog[open]'))").await;
        if is_open == true { "//dialog[last()]" } else { "//body" }
    }

    /// The row of a table with this text in its first cell.
    pub(crate) async fn row(&self, first: &str) -> Element {
        self.find(&format!("//tr[th[normalize-space()='{first}']]")).await
    }

    /// Waits until this element, with this name, has the focus.
    pub(crate) async fn focuses(&self, expected: &str) {
        let script = format!(
            "const e = document.activeElement; \
             const label = e.labels?.[0]?.textContent ?? e.getAttribute('aria-label') ?? e.textContent; \
             return `${{e.localName}}: ${{label.trim()}}` === {}",
            json!(expected)
        );
        self.holds(&format!("the focus is on {expected:?}"), &script).await;
    }

    /// Presses keys one after the other.
    pub(crate) async fn keys(&self, keys: &str) {
        let strokes =
            keys.chars().flat_map(|key| [KeyAction::Down { value: key }, KeyAction::Up { value: key }]);
        let actions =
            strokes.fold(KeyActions::new("keyboard".into()), |actions, stroke| actions.then(stroke));
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Moves the focus to the top of the page.
    pub(crate) async fn start_at_the_top(&self) {
        self.run("document.body.tabIndex = -1; document.body.focus()").await;
    }

    /// Sets the file of an input; the file dialog itself is not part of the page.
    pub(crate) async fn choose(&self, file: &Path) {
        self.client.active_element().await.unwrap().send_keys(file.to_str().unwrap()).await.unwrap();
    }

    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.dev_tools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.dev_tools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    async fn dev_tools(&self, command: &str, parameters: Value) {
        self.client.issue_cmd(DevTools(json!({ "cmd": command, "params": parameters }))).await.unwrap();
    }

    /// Errors and warnings in the browser's log.
    pub(crate) async fn console(&self) -> Value {
        self.client.issue_cmd(Console).await.unwrap()
    }

    /// Saves a screenshot as NAME.png.
    pub(crate) async fn screenshot(&self, name: &str) {
        let folder = screenshots();
        fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium is in the driver's process group, and writes to the folder until it has ended.
        let group = Pid::from_child(&self.driver);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.driver.wait();
        let deadline = Instant::now() + TIMEOUT;
        while test_kill_process_group(group).is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The target folder of this build.
pub(crate) fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

fn screenshots() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let named = std::env::var_os("TOWER_MTLS_SCREENSHOTS").map(PathBuf::from);
        let folder = named.unwrap_or_else(|| target().join("portal-screenshots"));
        fs::create_dir_all(&folder).unwrap();
        folder
    })
}

/// The hash of the listener's public key, the only key that the browser accepts without a CA.
fn key_hash(world: &World) -> String {
    let der = CertificateDer::from_pem_file(world.demo.dir().join("server.pem")).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    STANDARD.encode(Sha256::digest(certificate.public_key().raw))
}
