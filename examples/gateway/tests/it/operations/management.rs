//! The management listener and its access control.

use std::{fs, net::TcpListener, process::Stdio, time::Duration};

use http::{HeaderMap, HeaderValue, Method};

use crate::support::{Demo, Folder, Running, check, gateway, get, metrics, value, whole};

/// Serves the demo's routes with this [management] section, on free ports.
fn start(demo: Demo, management: &str) -> (Running, Demo) {
    let text = demo.toml();
    let (before, rest) = text.split_once("[management]").unwrap();
    let (_, after) = rest.split_once("[trust.").unwrap();
    let config = demo.dir().join("managed.toml");
    fs::write(
        &config,
        format!("{before}[management]\naddress = \"127.0.0.1:0\"\n{management}\n[trust.{after}"),
    )
    .unwrap();
    let (running, port) = Running::start(&config);
    (running, demo.on_port(port))
}

async fn ask(
    demo: &Demo,
    certificate: Option<&str>,
    token: Option<&str>,
    path: &str,
) -> (u16, HeaderMap, String) {
    let mut request = get(path);
    if let Some(token) = token {
        request.headers_mut().insert("authorization", HeaderValue::from_str(token).unwrap());
    }
    whole(demo.http1(certificate).await.send_request(request).await.unwrap()).await
}

#[tokio::test]
async fn health_and_portal_are_public_and_metrics_need_the_token() {
    let demo = Demo::start();
    let token = format!("Bearer {}", fs::read_to_string(demo.dir().join("management.token")).unwrap().trim());
    let port = demo.management_port;
    let demo = demo.on_port(port);
    let wrong = token.replace(|c: char| c.is_ascii_digit(), "f");
    for (token, path, expected) in [
        (None, "/healthz", 200),
        (None, "/readyz", 200),
        (None, "/metrics", 401),
        (Some("Bearer "), "/metrics", 401),
        (Some("Basic Zm9v"), "/metrics", 401),
        (Some(wrong.as_str()), "/metrics", 401),
        (Some(token.as_str()), "/metrics", 200),
        (None, "/", 200),
        (None, "/portal", 404),
        (Some(token.as_str()), "/orders", 404),
        (Some(token.as_str()), "/metrics/", 404),
        (None, "//metrics", 404),
        (None, "/%6detrics", 404),
    ] {
        let (status, headers, body) = ask(&demo, None, token, path).await;
        assert_eq!(status, expected, "{token:?} {path}: {body}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{path}");
        let has_body = status == 401 || status == 200 && ["/", "/metrics"].contains(&path);
        assert!(has_body || body.is_empty(), "{path} discloses {body}");
        assert!(status != 401 || body.contains("The bearer token is missing or invalid"), "{body}");
    }
    // The same over HTTP/2, and with other methods.
    let mut two = demo.http2(None).await;
    for (method, path, expected) in
        [(Method::GET, "/healthz", 200), (Method::GET, "/metrics", 401), (Method::POST, "/metrics", 401)]
    {
        let mut request = get(path);
        *request.method_mut() = method.clone();
        assert_eq!(whole(two.send_request(request).await.unwrap()).await.0, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn silent_connections_make_room_and_guesses_are_logged() {
    let (running, demo) = start(Demo::start(), "token_file = \"management.token\"");
    let demo = demo.on_port(running.management_port());
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(demo.connect(None, b"http/1.1").await);
    }
    let asked = tokio::time::timeout(Duration::from_secs(8), ask(&demo, None, None, "/healthz")).await;
    assert_eq!(asked.unwrap().0, 200);
    for _ in 0..3 {
        assert_eq!(ask(&demo, None, Some("Bearer guess"), "/metrics").await.0, 401);
    }
    let reported = running.logged(0, "management request rejected: invalid bearer token");
    assert!(reported.contains(" WARN ") && reported.contains("remote=127.0.0.1:"), "{reported}");
    assert!(
        running.count(0, "management request rejected: invalid bearer token") <= 2,
        "not for each of them"
    );
}

#[tokio::test]
async fn certificate_can_accompany_or_replace_the_token() {
    let rules = "[management.client_certificate]\ntrust = \"partners\"";
    let (running, demo) = start(Demo::start(), rules);
    let demo = demo.on_port(running.management_port());
    for (certificate, path, expected) in [
        (None, "/healthz", 200),
        (None, "/metrics", 403),
        (Some("stranger"), "/metrics", 403),
        (Some("expired"), "/metrics", 403),
        (Some("client"), "/metrics", 200),
    ] {
        assert_eq!(ask(&demo, certificate, None, path).await.0, expected, "{certificate:?} {path}");
    }
    drop(running);

    let (running, demo) = start(demo, &format!("token_file = \"management.token\"\n{rules}"));
    let token = format!("Bearer {}", fs::read_to_string(demo.dir().join("management.token")).unwrap().trim());
    let demo = demo.on_port(running.management_port());
    for (certificate, token, expected) in [
        (None, Some(token.as_str()), 403),
        (Some("client"), None, 401),
        (Some("client"), Some(token.as_str()), 200),
    ] {
        assert_eq!(ask(&demo, certificate, token, "/metrics").await.0, expected, "{certificate:?} {token:?}");
    }
}

#[tokio::test]
async fn management_listener_presents_its_own_certificate_if_configured() {
    let (other, demo) = (Demo::start(), Demo::start());
    for name in ["server.pem", "server.key"] {
        fs::copy(other.dir().join(name), demo.dir().join(format!("own-{name}"))).unwrap();
    }
    let own = "token_file = \"management.token\"\ncertificate = \"own-server.pem\"\nprivate_key = \"own-server.key\"";
    let (running, demo) = start(demo, own);
    let other = other.on_port(running.management_port());
    assert_eq!(ask(&other, None, None, "/healthz").await.0, 200);
    assert_eq!(ask(&demo, Some("client"), None, "/orders").await.0, 200);
}

#[tokio::test]
async fn requests_errors_connections_and_certificates_are_counted() {
    let (running, demo) = start(Demo::start(), "token_file = \"management.token\"");
    for (certificate, path, expected) in [
        (Some("client"), "/orders", 200),
        (Some("client"), "/orders/42", 200),
        (Some("client"), "/billing", 200),
        (None, "/orders", 403),
        (None, "/nowhere", 404),
        (None, "/open/../orders", 400),
    ] {
        assert_eq!(ask(&demo, certificate, None, path).await.0, expected, "{path}");
    }
    let open = demo.http1(None).await;
    let text = metrics(&demo, running.management_port()).await;
    let upstream = text
        .split("gateway_requests_total{")
        .nth(1)
        .unwrap()
        .split("upstream=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let requests = |route: &str, identity: &str, status: &str| {
        let labels = format!("route=\"{route}\",identity=\"{identity}\",upstream=\"");
        let series = format!("gateway_requests_total{{{labels}");
        let status = format!("status=\"{status}\"");
        let line = text.lines().find(|line| line.starts_with(&series) && line.contains(&status));
        line.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
    };
    assert!(upstream.starts_with("localhost:"), "{upstream}");
    assert_eq!(requests("/orders", "orders", "2xx"), Some(2.0), "{text}");
    assert_eq!(requests("/orders", "orders", "4xx"), Some(1.0), "{text}");
    assert_eq!(requests("/billing", "billing", "2xx"), Some(1.0), "{text}");
    assert_eq!(value(&text, "gateway_unrouted_requests_total{code=\"no_route\"}"), Some(1.0), "{text}");
    assert_eq!(value(&text, "gateway_unrouted_requests_total{code=\"ambiguous_path\"}"), Some(1.0), "{text}");
    assert_eq!(value(&text, "tower_mtls_requests_refused_total{reason=\"missing\"}"), Some(1.0), "{text}");
    assert_eq!(
        value(&text, "gateway_request_duration_seconds_count{route=\"/orders\"}"),
        Some(3.0),
        "{text}"
    );
    assert!(value(&text, "gateway_caller_connections{listener=\"main\"}").unwrap() >= 1.0, "{text}");
    assert_eq!(value(&text, "config_stale_seconds"), Some(0.0));
    assert_eq!(value(&text, "gateway_draining"), Some(0.0));
    assert!(value(&text, "gateway_config_last_load_timestamp_seconds").unwrap() > 1.0e9);
    for series in [
        "gateway_identity_expires_in_days{identity=\"orders\"}",
        "gateway_identity_expires_in_days{identity=\"billing\"}",
        "gateway_listener_certificate_expires_in_days{listener=\"main\"}",
        "gateway_listener_certificate_expires_in_days{listener=\"management\"}",
    ] {
        assert!(value(&text, series).unwrap() > 0.0, "{series} in\n{text}");
    }
    drop(open);
}

#[test]
fn check_validates_the_management_section() {
    let demo = Demo::start();
    let good = demo.toml();
    let address = format!("127.0.0.1:{}\"\ntoken_file", 0);
    let write = |name: &str, text: &str| fs::write(demo.dir().join(name), text).unwrap();
    write("short.token", "fifteen-bytes!\n");
    write("two.token", "0123456789abcdef\n0123456789abcdef\n");
    for (case, from, to, code, expected) in [
        ("good", "", "", Some(0), "good.toml: ok"),
        (
            "open to others",
            &*address,
            "0.0.0.0:9443\"\ntoken_file",
            Some(0),
            ": warning: management.address: can be reached",
        ),
        (
            "a short token",
            "management.token",
            "short.token",
            Some(1),
            "management.token_file: \"short.token\" contains a token of less than 16",
        ),
        (
            "two tokens",
            "management.token",
            "two.token",
            Some(1),
            "management.token_file: \"two.token\" must contain one line",
        ),
        (
            "no token",
            "management.token",
            "no.token",
            Some(1),
            "management.token_file: \"no.token\" cannot be read",
        ),
    ] {
        assert!(good.contains(from), "{case}");
        let file = if case == "good" { "good.toml" } else { "other.toml" };
        write(file, &good.replace(from, to));
        let (exit, printed) = check(&demo.dir().join(file));
        assert_eq!(exit, code, "{case}: {printed}");
        assert!(printed.contains(expected), "{case}: {printed}");
        assert!(!printed.contains("fifteen") && !printed.contains("0123456789"), "{case}: {printed}");
    }
}

#[test]
fn demo_reports_a_management_port_in_use() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = gateway()
        .args(["demo", "--port", "0", "--management-port", &port, "--dir"])
        .arg(folder.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("management.address: cannot listen on 127.0.0.1:"), "{printed}");
    assert!(
        printed.contains("; choose another port with --management-port N, or stop the process"),
        "{printed}"
    );
}
