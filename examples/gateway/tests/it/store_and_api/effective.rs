//! A change applies to the next request, including on open connections.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower_mtls::{MtlsListener, ServerTls, certificate::Presented, danger::presented};

use super::world::World;
use crate::support::{Running, get, replace, whole};

const ROUTES: &str = r#"
    [[routes]]
    path = "/by-id"
    upstream = "UPSTREAM"
    identity = { id = "chosen" }
    [[routes]]
    path = "/partners"
    upstream = "UPSTREAM"
    identity = { id = "chosen" }
    client_certificate = { in_store = true }
    [[routes]]
    path = "/any"
    upstream = "UPSTREAM"
    identity = { id = "chosen" }
    client_certificate = { in_store = "any" }
"#;

/// Status, and the subject that the upstream saw.
pub(crate) async fn seen(
    sender: &mut hyper::client::conn::http1::SendRequest<http_body_util::Empty<Bytes>>,
    path: &str,
) -> (u16, String) {
    sender.ready().await.unwrap();
    let (status, _, text) = whole(sender.send_request(get(path)).await.unwrap()).await;
    let subject = text.split("\"subject\": \"").nth(1).and_then(|rest| rest.split('"').next());
    (status, subject.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn identity_reaches_the_upstream_on_the_first_call_after_the_response() {
    let world = World::start(ROUTES);
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/by-id").await.0, 502, "the entry does not exist yet");
    let identities =
        ["orders", "billing"].map(|name| (world.pfx(name), format!("CN={name}-gateway, O=Contoso")));
    for turn in 0..20 {
        let ((pfx, password), subject) = &identities[turn % 2];
        let tag = if turn == 0 { "" } else { "*" };
        let put = world.put("chosen", pfx, password, &[("if-match", tag)]).await;
        assert_eq!(put.status, if turn == 0 { 201 } else { 200 }, "{put:?}");
        assert_eq!(seen(&mut caller, "/by-id").await, (200, subject.clone()), "turn {turn}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_no_request_and_leave_none_with_the_old_identity() {
    let world = World::start(ROUTES);
    let identities =
        ["orders", "billing"].map(|name| (world.pfx(name), format!("CN={name}-gateway, O=Contoso")));
    let ((pfx, password), _) = &identities[0];
    assert_eq!(world.put("chosen", pfx, password, &[]).await.status, 201);
    // Started swaps, and completed swaps.
    let (begun, answered, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let subjects = [&*identities[0].1, &*identities[1].1];
    let load = async {
        let mut callers = FuturesUnordered::new();
        for _ in 0..8 {
            callers.push(async {
                let (mut caller, mut calls) = (world.demo.http1(None).await, 0);
                while !over.load(Ordering::SeqCst) {
                    let least = answered.load(Ordering::SeqCst);
                    let (status, subject) = seen(&mut caller, "/by-id").await;
                    let most = begun.load(Ordering::SeqCst);
                    assert_eq!(status, 200);
                    let possible: Vec<_> = (least..=most).map(|swaps| subjects[swaps % 2]).collect();
                    assert!(possible.contains(&&*subject), "{subject} between swaps {least} and {most}");
                    calls += 1;
                }
                calls
            });
        }
        let mut calls = 0;
        while let Some(more) = callers.next().await {
            calls += more;
        }
        calls
    };
    let swaps = async {
        for swap in 1..=60 {
            begun.store(swap, Ordering::SeqCst);
            let ((pfx, password), _) = &identities[swap % 2];
            assert_eq!(world.put("chosen", pfx, password, &[("if-match", "*")]).await.status, 200);
            answered.store(swap, Ordering::SeqCst);
        }
        over.store(true, Ordering::SeqCst);
    };
    let (calls, ()) = tokio::join!(load, swaps);
    assert!(calls > 60, "{calls} calls");
    println!("60 swaps, {calls} calls");
}

#[tokio::test]
async fn certificate_in_use_is_not_deleted_and_its_users_are_named() {
    let world = World::start(ROUTES);
    let (pfx, password) = world.pfx("orders");
    let made = world.put("chosen", &pfx, &password, &[]).await;
    let users = serde_json::json!(["route /by-id", "route /partners", "route /any"]);
    assert_eq!(made.body["properties"]["usedBy"], users);
    let refused = world.ask(Method::DELETE, "/certificates/chosen", &[("if-match", "*")], "").await;
    assert_eq!((refused.status, refused.body["error"]["code"].as_str()), (400, Some("ValidationError")));
    let reported = "The Certificate 'chosen' is used by the following entities:\r\nroute /by-id\r\nroute /partners\r\nroute /any\r\n";
    assert_eq!(refused.message(), reported);
    // It cannot be replaced by a certificate that cannot be presented to an upstream.
    let refused = world.put("chosen", &world.file("client.pem"), "", &[("if-match", "*")]).await;
    let reported = format!("The new certificate has no private key. {reported}");
    assert_eq!((refused.status, refused.message()), (400, &*reported));
    // Another entry with the same certificate is not in use.
    world.put("spare", &pfx, &password, &[]).await;
    let deleted = world.ask(Method::DELETE, "/certificates/spare", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");

    // It is in use by its thumbprint as well, and must not become another certificate.
    let thumbprint = made.body["properties"]["thumbprint"].as_str().unwrap();
    let text = fs::read_to_string(&world.config).unwrap();
    let other = text.replace(
        "identity = { id = \"chosen\" }",
        &format!("identity = {{ thumbprint = \"{thumbprint}\" }}"),
    );
    let before = world.running.lines();
    replace(&world.config, other);
    world.running.logged(before, "reloaded");
    let refused = world.ask(Method::DELETE, "/certificates/chosen", &[("if-match", "*")], "").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let (billing, billing_password) = world.pfx("billing");
    let refused = world.put("chosen", &billing, &billing_password, &[("if-match", "*")]).await;
    let reported = reported.replace("no private key", "another thumbprint");
    assert_eq!((refused.status, refused.message()), (400, &*reported));
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/by-id").await, (200, "CN=orders-gateway, O=Contoso".into()));
    // No route uses it any more.
    let before = world.running.lines();
    replace(&world.config, text.split("[[routes]]\n    path = \"/by-id\"").next().unwrap());
    world.running.logged(before, "reloaded");
    let deleted = world.ask(Method::DELETE, "/certificates/chosen", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
}

#[tokio::test]
async fn callers_are_admitted_by_the_current_contents_of_the_store() {
    let world = World::start(ROUTES);
    let (pfx, password) = world.pfx("orders");
    world.put("chosen", &pfx, &password, &[]).await;
    let mut client = world.demo.http1(Some("client")).await;
    let mut stranger = world.demo.http1(Some("stranger")).await;
    assert_eq!(seen(&mut client, "/partners").await.0, 403);
    let made = world.put("partner", &world.file("client.pem"), "", &[]).await;
    assert_eq!(made.status, 201);
    for path in ["/partners", "/any"] {
        assert_eq!(seen(&mut client, path).await.0, 200, "{path}");
        assert_eq!(seen(&mut stranger, path).await.0, 403, "{path}");
    }
    // Membership is not use: it can be deleted, which applies to the open connection.
    let deleted = world.ask(Method::DELETE, "/certificates/partner", &[("if-match", made.etag())], "").await;
    assert_eq!(deleted.status, 200);
    for path in ["/partners", "/any"] {
        assert_eq!(seen(&mut client, path).await.0, 403, "{path}");
    }
}

#[tokio::test]
async fn self_signed_pfx_of_openssl_is_uploaded_chosen_and_used() {
    // An upstream that responds with the caller's subject.
    let world = World::start("");
    let tls = ServerTls::from_pem(world.file("backend.pem"), world.file("backend.key")).unwrap();
    let mut listener = MtlsListener::bind("127.0.0.1:0", tls).await.unwrap();
    let port = listener.local_addr().port();
    let upstream = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await;
            let service =
                stream.capture(tower::service_fn(async |request: Request<hyper::body::Incoming>| {
                    let thumbprint = match presented(request.extensions()) {
                        Some(Presented::Certificate(shown)) => shown.sha256_thumbprint().to_string(),
                        _ => String::new(),
                    };
                    Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from(thumbprint)))
                }));
            tokio::spawn(async move {
                let http = auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
            });
        }
    });
    let dir = world.demo.dir();
    let made = Command::new("bash")
        .current_dir(&dir)
        .args(["-c", "openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 30 -subj '/CN=self-signed' 2>/dev/null && openssl pkcs12 -export -inkey self.key -in self.pem -out self.pfx -passout pass:s3lf && openssl x509 -in self.pem -noout -text | grep -q CA:TRUE"])
        .status()
        .unwrap();
    assert!(made.success());
    let put = world.put("self", &world.file("self.pfx"), "s3lf", &[]).await;
    assert_eq!(
        (put.status, put.body["properties"]["subject"].as_str()),
        (201, Some("CN=self-signed")),
        "{put:?}"
    );

    let text = fs::read_to_string(&world.config).unwrap();
    let route = format!(
        "[[routes]]\npath = \"/self\"\nupstream = \"https://localhost:{port}\"\nidentity = {{ id = \"self\" }}\n"
    );
    let before = world.running.lines();
    replace(&world.config, text + &route);
    world.running.logged(before, "reloaded");
    let mut caller = world.demo.http1(None).await;
    let answer = caller.send_request(get("/self")).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = answer.into_body().collect().await.unwrap().to_bytes();
    let expected = put.body["properties"]["sha256Thumbprint"].as_str().unwrap().to_lowercase();
    assert_eq!(String::from_utf8_lossy(&seen).to_lowercase().replace(':', ""), expected);
    upstream.abort();
}

#[tokio::test]
async fn store_survives_a_restart_and_is_unchanged_by_a_reload() {
    let world = World::start(ROUTES);
    let (pfx, password) = world.pfx("orders");
    world.put("chosen", &pfx, &password, &[]).await;
    let text = fs::read_to_string(&world.config).unwrap();
    let before = world.running.lines();
    replace(&world.config, text.replace("path = \"kept\"", "path = \"other\""));
    let reported = world.running.logged(before, "configuration not reloaded");
    assert!(reported.contains("cannot change while the gateway serves"), "{reported}");
    replace(&world.config, text);
    let World { demo, running, config, .. } = world;
    drop(running);
    let (_running, port) = Running::start(&config);
    let demo = demo.on_port(port);
    let mut caller = demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/by-id").await, (200, "CN=orders-gateway, O=Contoso".into()));
}

/// Membership of the store, as in the articles about API Management, and an identity by its id.
const DOCUMENT: &str = r#"<policies>
  <inbound>
    <choose>
      <when condition="@(context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))">
        <return-response><set-status code="403" reason="Invalid client certificate" /></return-response>
      </when>
    </choose>
    <authentication-certificate certificate-id="chosen" />
  </inbound>
</policies>"#;

#[tokio::test]
async fn policy_document_reads_the_current_store() {
    let world = World::start("");
    fs::write(world.demo.dir().join("store.policy.xml"), DOCUMENT).unwrap();
    let text = fs::read_to_string(&world.config).unwrap();
    let upstream = text.split("upstream = \"").nth(1).unwrap().split('"').next().unwrap();
    let route = format!(
        "[[routes]]\npath = \"/document\"\nupstream = \"{upstream}\"\nclient_certificate = {{ policy = \"store.policy.xml\" }}\n"
    );
    let before = world.running.lines();
    replace(&world.config, text.clone() + &route);
    world.running.logged(before, "reloaded");
    let mut client = world.demo.http1(Some("client")).await;
    assert_eq!(seen(&mut client, "/document").await.0, 403);
    let partner = world.put("partner", &world.file("client.pem"), "", &[]).await;
    assert_eq!(partner.status, 201);
    assert_eq!(seen(&mut client, "/document").await.0, 502, "its identity does not exist yet");
    let (pfx, password) = world.pfx("billing");
    world.put("chosen", &pfx, &password, &[]).await;
    assert_eq!(seen(&mut client, "/document").await, (200, "CN=billing-gateway, O=Contoso".into()));
    // A reload changes none of this, whether or not the document is read again.
    let before = world.running.lines();
    replace(&world.config, text + &route.replace("/document", "/moved"));
    world.running.logged(before, "reloaded");
    assert_eq!(seen(&mut client, "/moved").await.0, 200);
    let refused = world.ask(Method::DELETE, "/certificates/chosen", &[("if-match", "*")], "").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.message().contains("policy of route /moved, line 8\r\n"), "{refused:?}");
    let deleted = world.ask(Method::DELETE, "/certificates/partner", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(seen(&mut client, "/moved").await.0, 403);
}

#[tokio::test]
async fn identity_of_the_file_wins_over_an_entry_of_its_name_at_start_and_after_changes_of_the_store() {
    let world = World::start("");
    let (pfx, password) = world.pfx("billing");
    assert_eq!(world.put("orders", &pfx, &password, &[]).await.status, 201);
    let (pfx, password) = world.pfx("orders");
    let copy = world.put("copy", &pfx, &password, &[]).await;
    let thumbprint = copy.body["properties"]["thumbprint"].as_str().unwrap();
    let deleted = world.ask(Method::DELETE, "/certificates/copy", &[("if-match", "*")], "").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    world.make_api("api", "api").await;
    let policy = format!(
        "<choose><when condition='@(!context.Deployment.Certificates.ContainsKey(\"{thumbprint}\"))'>\
         <return-response><set-status code=\"418\" /></return-response></when></choose>\
         <authentication-certificate certificate-id=\"orders\" />"
    );
    assert_eq!(world.set_policy("api", &policy).await.status, 201);
    let mut caller = world.demo.http1(None).await;
    assert_eq!(seen(&mut caller, "/api").await.0, 418, "the file has no such identity");

    let text = fs::read_to_string(&world.config).unwrap();
    let World { upstream, demo, running, token, config } = world;
    drop(running);
    let identity = "[identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n";
    let route = |path: &str, identity: &str| {
        format!("[[routes]]\npath = \"{path}\"\nupstream = \"{upstream}\"\nidentity = {identity}\n")
    };
    let routes = [route("/name", "\"orders\""), route("/id", "{ id = \"orders\" }")].concat();
    fs::write(&config, text + identity + &routes).unwrap();
    let (running, port) = Running::start(&config);
    let reported = running.logged(0, "store: the entry orders is hidden by [identities.orders]");
    assert!(reported.contains("ERROR gateway::server::running: "), "{reported}");
    let world = World { upstream, demo: demo.on_port(port), running, token, config };
    let mut caller = world.demo.http1(None).await;
    for id in ["one", "two"] {
        for path in ["/name", "/id", "/api"] {
            let expected = (200, "CN=orders-gateway, O=Contoso".to_owned());
            assert_eq!(seen(&mut caller, path).await, expected, "{path}, before {id}");
        }
        assert_eq!(world.put(id, &world.file("client.pem"), "", &[]).await.status, 201);
    }
}
