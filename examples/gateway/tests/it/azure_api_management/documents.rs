//! Policy documents at run time.

use std::{convert::Infallible, fs, future::ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::world::*;
use crate::support::{Demo, Running, get, metrics, replace, shell, upstream::Upstream, value, whole};

#[tokio::test]
async fn snippets_of_articles_answer_as_in_apim() {
    let world = World::start(&[
        ("expiry", EXPIRY),
        ("names", NAMES),
        ("thumbprint", THUMBPRINT),
        ("store", STORE),
        ("names-today", NAMES_TODAY),
        ("thumbprint-today", THUMBPRINT_TODAY),
        ("store-today", STORE_TODAY),
        ("chain-today", CHAIN_TODAY),
    ]);
    for (path, refused) in [
        ("/expiry", &["expired"][..]),
        // Names alone prove nothing, in APIM as well: the impostor's certificate has the CA's name.
        ("/names", &["stranger"]),
        ("/thumbprint", &["expired", "stranger", "impostor"]),
        ("/store", &["expired", "stranger", "impostor"]),
        ("/names-today", &["expired", "stranger", "impostor"]),
        ("/thumbprint-today", &["expired", "stranger", "impostor"]),
        ("/store-today", &["expired", "stranger", "impostor"]),
        ("/chain-today", &["expired", "stranger", "impostor"]),
    ] {
        for caller in ["client", "expired", "stranger", "impostor", ""] {
            let presented = Some(caller).filter(|caller| !caller.is_empty());
            let answer = world.get(presented, path, "").await;
            if refused.contains(&caller) || caller.is_empty() {
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert!(answer.starts_with(REFUSED), "{path} {caller:?}: {answer}");
                assert!(body.is_empty() && head.to_lowercase().contains("content-length: 0"), "{answer}");
                assert!(!head.to_lowercase().contains("content-type"), "{path} {caller:?}: {answer}");
            } else {
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path} {caller:?}: {answer}");
                assert!(answer.contains("CN=orders-gateway"), "under the route's identity: {answer}");
            }
        }
    }
    let refused = metrics(&world.demo, world.running.management_port()).await;
    let series = "tower_mtls_requests_refused_total{reason=\"policy_document\"}";
    assert_eq!(value(&refused, series), Some(8.0 + 1.0 + 1.0 + 6.0 * 3.0), "{refused}");
    let line = world.running.logged(0, "request answered by its policy document");
    let sha1 = format!("thumbprint_sha1=\"{}\"", thumbprint(&world.demo, "expired"));
    for field in ["reason=\"policy_document\"", "status=403", "line=3", "path=\"/expiry\"", &sha1] {
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(!line.contains("chain="), "no chain was asked for: {line}");
    for field in
        ["chain=\"the certificate has expired\"", "chain=\"no root or presented certificate issued it\""]
    {
        let line = world.running.logged(0, field);
        assert!(line.contains("path=\"/names-today\""), "{line}");
    }
}

#[tokio::test]
async fn document_answers_curl_http_2_and_head() {
    let world = World::start(&[("expiry", EXPIRY), ("validate", VALIDATE)]);
    let dir = world.demo.dir();
    let curl = |more: &str, path: &str| {
        let (dir, port) = (dir.display(), world.demo.port);
        shell(&format!("curl -sS --cacert {dir}/ca.pem {more} https://localhost:{port}{path}"))
    };
    let expired = format!("--cert {0}/expired.pem --key {0}/expired.key", dir.display());
    assert_eq!(curl(&format!("--http1.1 -i {expired}"), "/expiry").lines().next(), Some(REFUSED.trim_end()));
    assert_eq!(
        curl(&format!("--http2 -o /dev/null -w '%{{http_version}} %{{http_code}}' {expired}"), "/expiry"),
        "2 403"
    );
    assert_eq!(
        curl(&format!("-I -o /dev/null -w '%{{http_code}} %{{size_download}}' {expired}"), "/validate"),
        "401 0"
    );
    let client = format!("--cert {0}/client.pem --key {0}/client.key", dir.display());
    assert_eq!(curl(&format!("--http2 -o /dev/null -w '%{{http_code}}' {client}"), "/validate"), "200");
    assert_eq!(curl(&format!("-I -o /dev/null -w '%{{http_code}}' {client}"), "/validate"), "200");
}

#[tokio::test]
async fn grpc_fields_pass_a_document_both_ways() {
    let demo = Demo::start();
    let serve = |connection| async {
        let answer = service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.headers()["te"], "trailers");
            assert_eq!(request.uri().path(), "/api/orders.Orders/Get");
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            let body = Full::new(Bytes::from_static(b"body")).with_trailers(ready(Some(Ok(trailers))));
            Ok::<_, Infallible>(Response::new(body))
        });
        let served = server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = served.serve_connection(TokioIo::new(connection), answer).await;
    };
    let upstream = Upstream::start(&demo.dir(), &["h2"], serve).await;
    let config = write(&demo, &[("grpc", CHAIN_TODAY)], "identity = \"orders\"");
    let text = fs::read_to_string(&config).unwrap();
    let own = format!("https://localhost:{}", upstream.address.port());
    fs::write(&config, text.replace(&upstreams(&demo)[0], &own)).unwrap();
    let (_running, port) = Running::start(&config);
    let demo = demo.on_port(port);
    let mut request = get("/grpc/orders.Orders/Get");
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let response = demo.http2(Some("client")).await.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "body");
}

#[tokio::test]
async fn validate_client_certificate_answers_401_without_details() {
    let world = World::start(&[("validate", VALIDATE)]);
    let invalid = r#"{"statusCode":401,"message":"Invalid client certificate"}"#;
    let missing = r#"{"statusCode":401,"message":"Client certificate missing"}"#;
    for (caller, expected) in [
        (Some("expired"), invalid),
        (Some("stranger"), invalid),
        (Some("impostor"), invalid),
        (None, missing),
    ] {
        let answer = world.get(caller, "/validate", "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 401 "), "{caller:?}: {answer}");
        assert_eq!(body, expected, "{caller:?}");
    }
    assert!(world.get(Some("client"), "/validate", "").await.starts_with("HTTP/1.1 200 "));
    // The reasons are for operators.
    let line = world.running.logged(0, "code=\"ClientCertificateNotTrusted\"");
    assert!(line.contains("reason=\"not_trusted\""), "{line}");
    world.running.logged(0, "code=\"ClientCertificateNotFound\"");
    world.running.logged(0, "code=\"ClientCertificateExpired\"");
}

#[tokio::test]
async fn document_chooses_backend_identity_and_headers() {
    let world = World::start(&[("routing", ROUTING)]);
    for (header, status, path, upstream, identity) in [
        ("", 200, "/api/42", "upstream 1", "CN=orders-gateway"),
        ("X-Region: west\r\n", 200, "/west/42", "upstream 2", "CN=billing-gateway"),
        ("X-Region: thumbprint\r\n", 200, "/api/42", "upstream 1", "CN=billing-gateway"),
        ("X-Region: embedded\r\n", 200, "/api/42", "upstream 1", "CN=billing-gateway"),
        ("X-Region: nowhere\r\n", 502, "unknown_identity", "", ""),
        ("X-Region: plain\r\n", 502, "plaintext_identity", "", ""),
        ("X-Region: untrusted\r\n", 502, "back_end_not_trusted", "", ""),
        (
            "X-Client-Cert-Subject: CN=admin\r\nX_Client_Cert_Subject: CN=admin\r\n",
            200,
            "/api/42",
            "upstream 1",
            "",
        ),
    ] {
        let answer = world.get(Some("client"), "/routing/42", header).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{header:?}: {answer}");
        if status != 200 {
            assert!(body.contains(&format!("\"code\":\"{path}\"")), "{header:?}: {answer}");
            continue;
        }
        let seen: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(seen["path"], path, "{header:?}: {seen}");
        assert!(seen["upstream"].as_str().unwrap().contains(upstream), "{header:?}: {seen}");
        assert!(seen["client_certificate"].to_string().contains(identity), "{header:?}: {seen}");
        assert_eq!(
            seen["headers"]["x-client-cert-subject"], "CN=orders-client, O=Contoso",
            "{header:?}: {seen}"
        );
        assert!(seen["headers"].get("x_client_cert_subject").is_none(), "{seen}");
        assert!(head.to_lowercase().contains("\r\nx-checked: yes"), "{header:?}: {answer}");
    }
    let answer = world.get(None, "/routing", "X-Region: west\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 Who are you?\r\n"), "{answer}");
    world.running.logged(
        0,
        "policy document chose an unknown identity for the backend: the certificate with the id nobody",
    );
}

#[tokio::test]
async fn changed_document_applies_to_the_next_request_and_a_broken_one_never() {
    let world = World::start(&[("changing", EXPIRY)]);
    let file = world.demo.dir().join("changing.policy.xml");
    let status = async || world.get(Some("client"), "/changing", "").await[9..12].to_owned();
    assert_eq!(status().await, "200");

    let from = world.running.lines();
    replace(&file, EXPIRY.replace("context.Request.Certificate == null", "true").replace("403", "410"));
    world.running.logged(from, "INFO gateway::server::follow: reloaded");
    assert_eq!(status().await, "410");

    let from = world.running.lines();
    replace(&file, EXPIRY.replace("NotAfter", "NotAfterwards"));
    let line = world.running.logged(from, "configuration not reloaded: ");
    assert!(line.contains("\"changing.policy.xml\", line 2, column "), "{line}");
    assert_eq!(status().await, "410", "the old document continues to serve");

    let from = world.running.lines();
    replace(&file, EXPIRY);
    world.running.logged(from, "INFO gateway::server::follow: reloaded");
    assert_eq!(status().await, "200");
}

#[tokio::test]
async fn certificate_removed_from_the_identities_gets_403() {
    let world = World::start(&[("store", STORE)]);
    let config = world.demo.dir().join("policy.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (before, rest) = text.split_once("[identities.caller]").unwrap();
    let without = format!("{before}{}", &rest[rest.find("[upstream_tls]").unwrap()..]);
    let mut connection = world.demo.http1(Some("client")).await;
    for (contents, expected) in [(&text, 200), (&without, 403), (&text, 200)] {
        if expected == 403 || fs::read_to_string(&config).unwrap() != *contents {
            let from = world.running.lines();
            replace(&config, contents);
            world.running.logged(from, "INFO gateway::server::follow: reloaded");
        }
        connection.ready().await.unwrap();
        let response = connection.send_request(get("/store")).await.unwrap();
        assert_eq!(whole(response).await.0, expected);
    }
}

#[tokio::test]
async fn document_in_shadow_mode_refuses_no_request_and_is_counted() {
    let demo = Demo::start();
    let config = write(&demo, &[("shadow", EXPIRY)], "identity = \"orders\"");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("policy = \"shadow", "mode = \"shadow\", policy = \"shadow")).unwrap();
    let (running, port) = Running::start(&config);
    let world = World { demo: demo.on_port(port), running };
    for caller in [Some("client"), Some("expired"), None] {
        let answer = world.get(caller, "/shadow", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{caller:?}: {answer}");
    }
    let counted = metrics(&world.demo, world.running.management_port()).await;
    let series = "tower_mtls_requests_shadow_refused_total{reason=\"policy_document\"}";
    assert_eq!(value(&counted, series), Some(2.0), "{counted}");
    world.running.logged(0, "request would be refused by its policy document");
}
