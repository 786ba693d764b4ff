use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, header};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::{certificate::Presented, request::captured::capture_into};

/// Returns the URI and the headers of the forwarded request.
async fn forwarded(layer: ReverseProxyLayer, request: Request<Empty<Bytes>>) -> (String, HeaderMap) {
    let inner = service_fn(|request: Request<ProxyBody<Empty<Bytes>>>| async move {
        let (head, _) = request.into_parts();
        let mut response = Response::new((head.uri.to_string(), head.headers));
        response.headers_mut().insert(header::CONNECTION, "x-secret, close".parse().unwrap());
        response.headers_mut().insert("x-secret", "1".parse().unwrap());
        response.headers_mut().insert("x-kept", "1".parse().unwrap());
        Ok::<_, Infallible>(response)
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.headers().len(), 1, "hop-by-hop fields of the response are removed");
    assert!(response.headers().contains_key("x-kept"));
    response.into_body()
}

fn layer(prefix: &str, upstream: &str) -> ReverseProxyLayer {
    ReverseProxyLayer::new(prefix, upstream.parse().unwrap())
}

#[tokio::test]
async fn upstream_path_replaces_the_route_prefix() {
    for (prefix, upstream, path, expected) in [
        ("/orders", "https://h:1/api", "/orders/42", "https://h:1/api/42"),
        ("/orders", "https://h:1/api", "/orders", "https://h:1/api"),
        ("/orders", "https://h:1/api/", "/orders/", "https://h:1/api/"),
        ("/orders", "https://h:1", "/orders", "https://h:1/"),
        ("/orders", "https://h:1/orders", "/orders", "https://h:1/orders"),
        ("/orders", "https://h:1/orders", "/orders/42?a=%2F..", "https://h:1/orders/42?a=%2F.."),
        ("/", "https://h:1", "/orders/42?", "https://h:1/orders/42?"),
        ("/", "https://h:1/orders", "/orders", "https://h:1/orders/orders"),
        ("/orders/42", "https://h:1/orders", "/orders/42/42", "https://h:1/orders/42"),
        ("/orders", "https://h:1", "/orders?a=%2F..", "https://h:1/?a=%2F.."),
        ("/", "https://h:1", "/a/b", "https://h:1/a/b"),
        ("/", "https://h:1/api", "/", "https://h:1/api/"),
        ("/a", "http://h", "/a/b", "http://h/b"),
    ] {
        let (uri, _) =
            forwarded(layer(prefix, upstream), Request::get(path).body(Empty::new()).unwrap()).await;
        assert_eq!(uri, expected, "{prefix} {upstream} {path}");
    }
}

#[tokio::test]
async fn hop_by_hop_fields_and_forged_identities_are_removed() {
    let gone = [
        ("connection", "x-named, te, close"),
        ("x-named", "1"),
        ("keep-alive", "1"),
        ("proxy-connection", "1"),
        ("proxy-authorization", "1"),
        ("upgrade", "h2c"),
        ("transfer-encoding", "chunked"),
        ("x-arr-clientcert", "1"),
        ("X_ARR_ClientCert", "1"),
        ("x-forwarded-client-cert", "1"),
        ("client-cert", "1"),
        ("Client_Cert_Chain", "1"),
        ("x-ssl-client-dn", "1"),
        ("ssl_client_verify", "SUCCESS"),
        ("x-client-cert-dn", "1"),
        ("x-client-certificate", "1"),
        ("x-amzn-mtls-clientcert", "1"),
        ("ssl.client.cert", "1"),
        ("x-original-url", "/admin"),
        ("X_Rewrite_URL", "/admin"),
        ("remote_user", "admin"),
        ("forwarded", "for=1"),
        ("x-forwarded-for", "1"),
        ("x-forwarded-host", "1"),
        ("host", "example.com"),
    ];
    let kept = [
        ("te", "gzip, trailers"),
        ("x-client", "1"),
        ("authorization", "Bearer 1"),
        ("trailer", "x-sum, X-Forwarded-Client-Cert"),
    ];
    let mut request = Request::get("/orders");
    for (name, value) in gone.into_iter().chain(kept) {
        request = request.header(name, value);
    }
    let (_, headers) = forwarded(layer("/orders", "https://h"), request.body(Empty::new()).unwrap()).await;
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "te", "trailer", "x-client"]);
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["trailer"], "x-sum");
}

#[tokio::test]
async fn configured_headers_are_removed_before_the_proxy_sets_its_own() {
    let removed = ["x-my-identity", "X-Corp-*", "authorization", "x-forwarded-for"];
    let layer = layer("/", "https://h")
        .remove_request_headers(removed.map(|pattern| pattern.parse().unwrap()))
        .forwarded(Forwarded::XForwarded);
    let mut request = Request::get("/")
        .header("x_my_identity", "forged")
        .header("x-corp-user", "forged")
        .header("X.Corp.Groups", "forged")
        .header("authorization", "Bearer 1")
        .header("trailer", "x-sum, x-corp-sum")
        .header("x-corporate", "1")
        .body(Empty::new())
        .unwrap();
    let own =
        Rewrite::new().header(HeaderName::from_static("x-corp-role"), [HeaderValue::from_static("reader")]);
    request.extensions_mut().insert(own);
    capture_into(request.extensions_mut(), Presented::Nothing, Some(([192, 0, 2, 1], 4711).into()));
    let (_, headers) = forwarded(layer, request).await;
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["trailer", "x-corp-role", "x-corporate", "x-forwarded-for", "x-forwarded-proto"]);
    assert_eq!(
        (&headers["trailer"], &headers["x-forwarded-for"]),
        (&"x-sum".parse().unwrap(), &"192.0.2.1".parse().unwrap())
    );
}

#[tokio::test]
async fn response_version_of_the_upstream_is_not_forwarded() {
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let inner = service_fn(move |_: Request<ProxyBody<Empty<Bytes>>>| async move {
            Ok::<_, Infallible>(Response::builder().version(version).body(Empty::<Bytes>::new()).unwrap())
        });
        let proxy = layer("/", "https://h").layer(inner);
        let response = proxy.oneshot(Request::new(Empty::new())).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11, "{version:?}");
    }
}

#[tokio::test]
async fn request_that_cannot_be_rewritten_is_not_sent_to_its_own_authority() {
    let long = format!("https://evil.example/orders/{}", "a".repeat(65_480));
    for (prefix, upstream, target) in [
        ("/orders", "https://h/services/production/orders-service/api/v2/public/and/so/on", long.as_str()),
        ("/orders", "https://h", "https://evil.example/elsewhere"),
        ("/orders", "https://h", "https://evil.example/ordersx"),
    ] {
        let (uri, _) =
            forwarded(layer(prefix, upstream), Request::get(target).body(Empty::new()).unwrap()).await;
        assert!(uri == "/", "{uri:.60} for {target:.60}");
    }
}

#[tokio::test]
async fn rewrite_sends_one_request_to_another_upstream() {
    let with = |rewrite: Rewrite| {
        let mut request = Request::get("/orders/42?full=1").body(Empty::new()).unwrap();
        request.extensions_mut().insert(rewrite);
        request
    };
    for (upstream, expected) in [
        ("https://west:1/v2", "https://west:1/v2/42?full=1"),
        ("https://west/", "https://west/42?full=1"),
        ("http://west", "http://west/42?full=1"),
    ] {
        let request = with(Rewrite::new().upstream(upstream.parse().unwrap()));
        let (uri, _) = forwarded(layer("/orders", "https://h/api"), request).await;
        assert_eq!(uri, expected, "{upstream}");
    }
    let (uri, _) = forwarded(layer("/orders", "https://h/api"), with(Rewrite::new())).await;
    assert_eq!(uri, "https://h/api/42?full=1");
}

#[tokio::test]
async fn rewrite_headers_are_set_after_claims_are_removed() {
    let value = |text: &'static str| HeaderValue::from_static(text);
    let name = |text: &'static str| HeaderName::from_static(text);
    let mut request = Request::get("/")
        .header("connection", "x-caller")
        .header("x-caller", "forged")
        .header("x_caller", "forged")
        .header("X_SSL_Subject", "forged")
        .header("x-secret", "1")
        .header("x_kept", "1")
        .body(Empty::new())
        .unwrap();
    let rewrite = Rewrite::new()
        .header(name("x-caller"), [value("CN=a"), value("CN=b")])
        .header(name("x-ssl-subject"), [value("CN=c")])
        .header(name("x-secret"), [])
        .header(name("host"), [value("elsewhere")])
        .header(name("transfer-encoding"), [value("gzip")])
        .header(name("content-length"), [value("7")]);
    request.extensions_mut().insert(rewrite);
    let (_, headers) = forwarded(layer("/", "https://h"), request).await;
    assert_eq!(headers.get_all("x-caller").iter().collect::<Vec<_>>(), ["CN=a", "CN=b"]);
    assert_eq!(headers["x-ssl-subject"], "CN=c");
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-caller", "x-ssl-subject", "x_kept"]);
}

#[tokio::test]
async fn trailers_that_claim_an_identity_are_removed_and_others_pass() {
    let trailers = HeaderMap::from_iter([
        ("x-forwarded-client-cert".parse().unwrap(), "forged".parse().unwrap()),
        ("x_caller".parse().unwrap(), "forged".parse().unwrap()),
        ("x_corp_user".parse().unwrap(), "forged".parse().unwrap()),
        ("x-consumer-id".parse().unwrap(), "forged".parse().unwrap()),
        ("x-sum".parse().unwrap(), "1".parse().unwrap()),
    ]);
    let body = Full::new(Bytes::from_static(b"data")).with_trailers(std::future::ready(Some(Ok(trailers))));
    let collected = ProxyBody::new(body, vec!["x-caller".into()], ["x-corp-*".parse().unwrap()].into())
        .collect()
        .await
        .unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-sum"]);
    assert_eq!(collected.to_bytes(), "data");
}

#[tokio::test]
async fn forwarded_fields_are_set_if_configured() {
    let remote: SocketAddr = "[2001:db8::1]:4711".parse().unwrap();
    let request = || {
        let request = Request::get("https://api.example.com/orders").header("x-forwarded-for", "forged");
        let mut request = request.body(Empty::new()).unwrap();
        capture_into(request.extensions_mut(), Presented::Nothing, Some(remote));
        request
    };
    let both = layer("/orders", "https://h").forwarded(Forwarded::Both);
    let (_, headers) = forwarded(both, request()).await;
    assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "api.example.com");
    assert_eq!(headers["forwarded"], r#"for="[2001:db8::1]";proto=https;host="api.example.com""#);
    assert!(!headers.contains_key("host"));

    let (_, headers) = forwarded(layer("/orders", "https://h").preserve_host(), request()).await;
    assert_eq!(headers["host"], "api.example.com");
    assert!(!headers.contains_key("x-forwarded-for"));
}

#[tokio::test]
async fn cookie_fields_are_joined() {
    let request = Request::get("/").header("cookie", "a=1").header("cookie", "b=2; c=3");
    let (_, headers) = forwarded(layer("/", "https://h"), request.body(Empty::new()).unwrap()).await;
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
}

#[test]
fn text_that_is_not_an_upstream_is_an_error() {
    for text in
        ["", "h", "/a", "ftp://h", "https://", "https://u:p@h", "https://h/?q", "https://h/#f", "https://h /"]
    {
        assert!(text.parse::<Upstream>().is_err(), "{text}");
    }
}
