//! The management API by raw requests.

use http::Method;

use super::world::{World, ask_on, upload};
use crate::support::{Demo, Running, shell};

#[tokio::test]
async fn certificate_is_created_replaced_read_and_deleted() {
    let world = World::start("");
    let (pfx, password) = world.pfx("orders");
    let path = "/certificates/orders?api-version=2024-05-01";

    let made = world.put("orders", &pfx, &password, &[]).await;
    assert_eq!(made.status, 201, "{made:?}");
    let properties = &made.body["properties"];
    assert_eq!(made.body["name"], "orders");
    assert_eq!(made.body["type"], "Microsoft.ApiManagement/service/certificates");
    let id = made.body["id"].as_str().unwrap();
    assert!(
        id.starts_with("/subscriptions/0000") && id.ends_with("/service/gateway/certificates/orders"),
        "{id}"
    );
    assert_eq!(properties["subject"], "CN=orders-gateway, O=Contoso");
    assert_eq!(properties["thumbprint"].as_str().unwrap().len(), 40);
    assert!(properties["expirationDate"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(properties["hasPrivateKey"], true);
    assert!(properties.get("data").is_none() && properties.get("password").is_none());

    let got = world.ask(Method::GET, path, &[], "").await;
    assert_eq!((got.status, got.etag(), &got.body), (200, made.etag(), &made.body));
    assert_eq!(got.headers["cache-control"], "no-store");
    let head = world.ask(Method::HEAD, path, &[], "").await;
    assert_eq!((head.status, head.etag(), head.text.as_str()), (200, made.etag(), ""));

    // Replaced only with the current ETag.
    let (billing, billing_password) = world.pfx("billing");
    for (tag, expected) in [("", 412), ("\"0000000000000000\"", 412), ("W/\"x\"", 412)] {
        let answer = world.put("orders", &billing, &billing_password, &[("if-match", tag)]).await;
        assert_eq!(answer.status, expected, "{tag}: {answer:?}");
        assert_eq!(answer.body["error"]["code"], "PreconditionFailed");
    }
    let replaced = world.put("orders", &billing, &billing_password, &[("if-match", made.etag())]).await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert_eq!(replaced.body["properties"]["subject"], "CN=billing-gateway, O=Contoso");
    assert_ne!(replaced.etag(), made.etag());
    let absent = world.put("another", &billing, &billing_password, &[("if-match", "*")]).await;
    assert_eq!(absent.status, 412, "{absent:?}");

    let refreshed = world.ask(Method::POST, "/certificates/orders/refreshSecret", &[], "").await;
    assert_eq!((refreshed.status, refreshed.etag()), (200, replaced.etag()));

    for (tag, expected) in [("", 400), (made.etag(), 412), (replaced.etag(), 200), ("*", 204)] {
        let answer = world.ask(Method::DELETE, path, &[("if-match", tag)], "").await;
        assert_eq!(answer.status, expected, "{tag}: {answer:?}");
    }
    let gone = world.ask(Method::GET, path, &[], "").await;
    assert_eq!((gone.status, gone.body["error"]["code"].as_str()), (404, Some("ResourceNotFound")));
}

#[tokio::test]
async fn unusable_certificates_get_400_with_a_reason() {
    let world = World::start("");
    let (pfx, password) = world.pfx("orders");
    let pem = String::from_utf8(world.file("client.pem")).unwrap();
    let key = String::from_utf8(world.file("client.key")).unwrap();
    for (case, data, password, target, part) in [
        ("a wrong password", &pfx[..], "Wrong-Horse", "password", "The password is wrong"),
        ("no password", &pfx, "", "password", "The password is missing"),
        ("no such file", b"hello", &password, "data", "neither a .pfx (PKCS#12) file nor a certificate"),
        ("half a file", &pfx[..pfx.len() / 2], &password, "data", "neither a .pfx"),
        ("PEM with a key", format!("{pem}{key}").as_bytes(), "", "data", "PEM with a private key"),
        (
            "PEM without a certificate",
            b"-----BEGIN X-----\n-----END X-----\n",
            "",
            "data",
            "PEM without a valid certificate",
        ),
    ] {
        let answer = world.put("x", data, password, &[]).await;
        assert_eq!(
            (answer.status, answer.body["error"]["code"].as_str()),
            (400, Some("ValidationError")),
            "{case}: {answer:?}"
        );
        assert!(answer.message().contains(part), "{case}: {answer:?}");
        let detail = &answer.body["error"]["details"][0];
        assert_eq!(
            (detail["target"].as_str(), detail["message"].as_str()),
            (Some(target), Some(answer.message())),
            "{case}"
        );
        assert!(!answer.text.contains("Wrong-Horse"), "{case}");
    }
    let count = world.ask(Method::GET, "/certificates", &[], "").await;
    assert_eq!((count.status, count.body["count"].as_u64()), (200, Some(0)), "nothing was stored");
}

#[tokio::test]
async fn caller_certificate_is_uploaded_as_der_or_pem() {
    let world = World::start("");
    let pem = world.file("client.pem");
    let made = world.put("pem", &pem, "", &[]).await;
    assert_eq!((made.status, &made.body["properties"]["hasPrivateKey"]), (201, &false.into()), "{made:?}");
    let bare =
        serde_json::json!({ "properties": { "data": String::from_utf8(pem.clone()).unwrap() } }).to_string();
    let made = world.ask(Method::PUT, "/certificates/bare", &[], &bare).await;
    assert_eq!(made.status, 201, "{made:?}");
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    let again = world.put("der", &der, "any", &[]).await;
    assert_eq!(again.body["properties"]["thumbprint"], made.body["properties"]["thumbprint"]);
}

/// Every response has Azure's form and is never a 5xx.
#[tokio::test]
async fn bad_requests_are_refused_precisely() {
    let world = World::start("");
    let json = upload(b"x", "");
    let mut open = world.connect().await;
    let long = "x".repeat(81);
    let large = format!("{{\"properties\":{{\"data\":\"{}\"}}}}", "A".repeat(1536 * 1024));
    for (method, path, headers, body, expected, part) in [
        // Credentials and origin.
        (Method::GET, "/certificates", &[("authorization", "")][..], "", 401, ""),
        (Method::PUT, "/certificates/x", &[("authorization", "Bearer 0123456789abcdef")], &*json, 401, ""),
        (Method::GET, "/certificates", &[("host", "evil.example")], "", 421, "does not match this listener"),
        (Method::GET, "/certificates", &[("host", "localhost:1")], "", 200, ""),
        (Method::GET, "/certificates", &[("host", "127.0.0.1")], "", 200, ""),
        (Method::GET, "/certificates", &[("origin", "https://evil.example")], "", 403, "another site"),
        (Method::GET, "/certificates", &[("origin", "null")], "", 403, "another site"),
        (Method::GET, "/certificates", &[("origin", "https://localhost")], "", 200, ""),
        (
            Method::DELETE,
            "/certificates/x",
            &[("if-match", "*"), ("sec-fetch-site", "cross-site")],
            "",
            403,
            "another site",
        ),
        (Method::PUT, "/certificates/x", &[("content-type", "")], &json, 415, "application/json"),
        (Method::PUT, "/certificates/x", &[("content-type", "text/plain")], &json, 415, "application/json"),
        (
            Method::POST,
            "/certificates/x/refreshSecret",
            &[("content-type", "text/plain")],
            "a=b",
            415,
            "application/json",
        ),
        // Without a body no content type is required.
        (Method::DELETE, "/certificates/x", &[("if-match", "*")], "", 204, ""),
        (Method::POST, "/certificates/x/refreshSecret", &[], "", 404, "The certificate 'x' was not found"),
        // Paths and methods.
        (Method::GET, "/certificates/x", &[], "", 404, "The certificate 'x' was not found"),
        (Method::GET, "/certificates/a%2Fb%252f", &[], "", 404, "The certificate 'a/b%2f' was not found"),
        (Method::GET, "/certificates/..%2F..%2Fetc%2Fpasswd", &[], "", 404, "was not found"),
        (Method::GET, "/certificates/a%3Ab", &[], "", 400, "* # & + : < > ?"),
        (Method::GET, "/certificates/%00", &[], "", 400, "invisible character"),
        (Method::GET, "/certificates/%ff", &[], "", 400, "percent-encoding"),
        (Method::GET, &format!("/certificates/{long}"), &[], "", 400, "longer than 80"),
        (Method::GET, "/other", &[], "", 404, "The resource was not found"),
        (Method::GET, "/CERTIFICATE%73", &[], "", 200, ""),
        (Method::GET, "/certificates/", &[], "", 400, "The id of the certificate is empty"),
        (Method::GET, "/certificates//", &[], "", 404, "The resource was not found"),
        (Method::GET, "/certificates%2Fx", &[], "", 404, "The resource was not found"),
        (Method::GET, "/certificates%3Fx", &[], "", 404, "The resource was not found"),
        (Method::GET, "/certificates/x/other", &[], "", 404, "The resource was not found"),
        (Method::GET, "/apis//policies/policy", &[], "", 400, "The id of the API is empty"),
        (Method::GET, "/apis/x;rev=2", &[], "", 404, "Only revision 1"),
        (Method::GET, "/policies/Policy", &[], "", 404, "There is no global policy"),
        (Method::PATCH, "/certificates/x", &[], &json, 405, "GET, HEAD, PUT, DELETE"),
        (Method::POST, "/certificates", &[], &json, 405, "GET, HEAD"),
        (Method::GET, "/certificates?api-version=x", &[], "", 400, "api-version"),
        (Method::GET, "/certificates?$filter=issuer%20eq%20'x'", &[], "", 400, "the field issuer"),
        (Method::GET, "/certificates?$top=0", &[], "", 400, "$top"),
        (Method::GET, "/certificates?$orderby=name", &[], "", 400, "$orderby"),
        // Bodies.
        (Method::PUT, "/certificates/x", &[], "{", 400, "line 1, column 1"),
        (Method::PUT, "/certificates/x", &[], "{}", 400, "properties is missing"),
        (Method::PUT, "/certificates/x", &[], "{\"properties\":{\"data\":\"!\"}}", 400, "not base64"),
        (Method::PUT, "/certificates/x", &[("if-none-match", "\"x\"")], &json, 400, "If-None-Match"),
        (Method::PUT, "/certificates/x", &[], &large, 413, "larger than"),
    ] {
        if open.is_closed() {
            open = world.connect().await;
        }
        let answer = ask_on(&mut open, world.request(method.clone(), path, headers, body)).await;
        assert_eq!(answer.status, expected, "{method} {path} {headers:?}: {answer:?}");
        assert!(answer.message().contains(part), "{method} {path} {headers:?}: {answer:?}");
        let is_error = expected >= 400;
        assert_eq!(answer.body["error"]["code"].is_string(), is_error, "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::start("");
    let pem = world.file("client.pem");
    let mut open = world.connect().await;
    for number in 0..250 {
        let path = format!("/certificates/caller-{number:03}");
        let put = world.request(Method::PUT, &path, &[], &upload(&pem, ""));
        assert_eq!(ask_on(&mut open, put).await.status, 201, "{number}");
    }
    let (pfx, password) = world.pfx("orders");
    let orders = world.put("orders", &pfx, &password, &[]).await;
    let last_four = orders.body["properties"]["thumbprint"].as_str().unwrap()[36..].to_owned();

    let mut link = Some("/certificates?api-version=2024-05-01&$filter=startswith(name,'caller-')".to_owned());
    let mut names = Vec::new();
    let mut pages = 0;
    while let Some(next) = link {
        let page = ask_on(&mut open, world.request(Method::GET, &next, &[], "")).await;
        assert_eq!((page.status, page.body["count"].as_u64()), (200, Some(250)), "{page:?}");
        names.extend(
            page.body["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        link = page.body["nextLink"].as_str().map(|link| {
            assert!(link.starts_with("https://localhost/subscriptions/"), "{link}");
            assert!(link.contains("api-version=2024-05-01") && link.contains("filter="), "{link}");
            format!("/certificates{}", link.split_once("/certificates").unwrap().1)
        });
    }
    let expected: Vec<_> = (0..250).map(|number| format!("caller-{number:03}")).collect();
    assert_eq!((names, pages), (expected, 3));

    for (filter, expected) in [
        (format!("endswith(thumbprint,'{last_four}')"), 1),
        ("subject eq 'CN=orders-gateway, O=Contoso'".into(), 1),
        ("subject ne 'CN=orders-gateway, O=Contoso'".into(), 250),
        ("substringof('ler-24',name)".into(), 10),
        ("contains(name,'ler-24') or name eq 'orders'".into(), 11),
        ("name gt 'caller-248'".into(), 2),
        ("name le 'caller-001'".into(), 2),
        ("expirationDate gt 2000-01-01T00:00:00Z".into(), 251),
        ("expirationDate lt 2000-01-01T00:00:00Z".into(), 0),
    ] {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("$filter", &filter)
            .append_pair("$top", "1")
            .finish();
        let page =
            ask_on(&mut open, world.request(Method::GET, &format!("/certificates?{query}"), &[], "")).await;
        assert_eq!((page.status, page.body["count"].as_u64()), (200, Some(expected)), "{filter}: {page:?}");
        assert_eq!(page.body["nextLink"].is_string(), expected > 1, "{filter}");
    }
}

#[tokio::test]
async fn gateway_without_a_store_answers_with_that_reason() {
    let demo = Demo::start();
    let config = demo.dir().join("alone.toml");
    std::fs::write(&config, demo.toml()).unwrap();
    let (running, _) = Running::start(&config);
    let token = std::fs::read_to_string(demo.dir().join("management.token")).unwrap();
    let line = format!(
        "curl -s --cacert {0}/ca.pem -H 'Authorization: Bearer {1}' https://localhost:{2}{3}/certificates",
        demo.dir().display(),
        token.trim(),
        running.management_port(),
        super::world::SERVICE,
    );
    let answer = shell(&line);
    assert!(answer.contains("The gateway has no store"), "{answer}");
}
