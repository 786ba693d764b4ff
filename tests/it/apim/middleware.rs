//! The layer around a service.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_mtls::{
    Shared, admitted,
    apim::{ApimPolicyLayer, ChosenIdentity, Document, FindingKind, Forwarding},
    certificate::{ManualClock, Presented, Timestamp},
    danger::AssumePresentedLayer,
    policy::{Rejection, RejectionKind},
};

use super::world::{NOW, WORLD, joined, request};
use crate::support::{pki::Leaf, pki::NOON};

/// The request that reaches the inner service.
#[derive(Debug, Clone, Default)]
struct Received {
    admitted: Option<String>,
    identity: Option<String>,
    base_url: Option<String>,
    caller: Option<String>,
    changes: Vec<String>,
}

type Reply = Response<Full<Bytes>>;

async fn send(
    layer: &ApimPolicyLayer,
    presented: Presented,
    request: Request<()>,
) -> (StatusCode, Received, Response<Bytes>) {
    let seen = Arc::new(std::sync::Mutex::new(Received::default()));
    let record = seen.clone();
    let inner = service_fn(move |request: Request<()>| {
        let forwarding = request.extensions().get::<Forwarding>().cloned().unwrap_or_default();
        *record.lock().unwrap() = Received {
            admitted: admitted(request.extensions()).map(|caller| caller.subject().to_string()),
            identity: forwarding.identity().map(|identity| match identity {
                ChosenIdentity::Id(id) => id.to_string(),
                ChosenIdentity::Thumbprint(thumbprint) => thumbprint.to_string(),
                _ => "embedded".into(),
            }),
            base_url: forwarding.base_url().map(ToString::to_string),
            caller: joined(request.headers(), "x-caller"),
            changes: forwarding
                .header_changes()
                .map(|(name, values)| format!("{name}:{}", values.len()))
                .collect(),
        };
        async {
            Ok::<Reply, Infallible>(
                Response::builder().header("server", "secret").body(Full::from("inner")).unwrap(),
            )
        }
    });
    let service = AssumePresentedLayer::new(presented)
        .layer(layer.clone().with_clock(ManualClock::new(NOW)).layer(inner));
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let status = head.status;
    let seen = seen.lock().unwrap().clone();
    (status, seen, Response::from_parts(head, body))
}

fn layer(text: &str) -> ApimPolicyLayer {
    let text = WORLD.fill(text);
    ApimPolicyLayer::new(WORLD.load(&text).unwrap_or_else(|errors| panic!("{errors}")))
}

const ONLY_ORDERS: &str = r#"<choose><when condition="@(context.Request.Certificate?.Thumbprint != "ORDERS-THUMBPRINT")"><return-response><set-status code="403" reason="Invalid client certificate" /></return-response></when></choose>"#;

#[tokio::test]
async fn caller_that_passes_a_rule_that_could_refuse_is_admitted() {
    let layer = layer(ONLY_ORDERS);
    let (status, seen, response) = send(&layer, WORLD.certificate("orders"), request()).await;
    assert_eq!(status, 200);
    assert_eq!(response.body(), "inner");
    assert_eq!(seen.admitted.as_deref(), Some("CN=orders,O=Contoso"));
    for caller in ["billing", "none"] {
        let (status, _, response) = send(&layer, WORLD.certificate(caller), request()).await;
        assert_eq!(status, 403);
        assert!(response.body().is_empty());
        let phrase = response.extensions().get::<hyper::ext::ReasonPhrase>().unwrap();
        assert_eq!(phrase.as_bytes(), b"Invalid client certificate");
        assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::Document);
    }
}

#[tokio::test]
async fn caller_that_was_not_judged_is_not_admitted() {
    for (text, why) in [
        ("<set-header name=\"x-a\"><value>b</value></set-header>", "nothing looks at the certificate"),
        (
            "<choose><when condition=\"@(context.Request.Certificate?.Thumbprint == \"ORDERS-THUMBPRINT\")\"><set-header \
             name=\"x-a\"><value>b</value></set-header></when></choose>",
            "the choice only sets a header",
        ),
        (
            "<choose><when condition=\"@(context.Request.Method == \"DELETE\")\"><return-response><set-status code=\"405\" \
             reason=\"No\" /></return-response></when></choose>",
            "the rule does not ask for the certificate",
        ),
    ] {
        let (status, seen, _) = send(&layer(text), WORLD.certificate("orders"), request()).await;
        assert_eq!((status.as_u16(), seen.admitted), (200, None), "{why}");
    }
    let ignored = "<choose><when condition=\"@(context.Request.Certificate != null)\"><validate-client-certificate \
                   ignore-error=\"true\" /></when></choose>";
    let (_, seen, _) = send(&layer(ignored), WORLD.certificate("impostor"), request()).await;
    assert!(seen.admitted.is_none(), "no rule could refuse");
    let by_variable = "<set-variable name=\"ok\" value=\"@(context.Request.Certificate?.Thumbprint == \
                       \"ORDERS-THUMBPRINT\")\" /><choose><when \
                       condition=\"@(!(bool)context.Variables[\"ok\"])\"><return-response><set-status code=\"403\" reason=\"No\" \
                       /></return-response></when></choose>";
    let (_, seen, _) = send(&layer(by_variable), WORLD.certificate("orders"), request()).await;
    assert!(seen.admitted.is_some(), "the variable depends on the certificate");
}

#[tokio::test]
async fn shadow_mode_refuses_no_caller_and_admits_none_that_the_document_refuses() {
    let text = format!(
        "{ONLY_ORDERS}<validate-client-certificate /><set-header \
         name=\"X-Caller\"><value>@(context.Request.Certificate.Subject)</value></set-header><authentication-certificate \
         certificate-id=\"orders\" />"
    );
    let layer = layer(&text).shadow();
    for (caller, name, admitted) in [
        ("orders", Some("CN=orders, O=Contoso"), true),
        ("billing", Some("CN=billing, O=Contoso"), false),
        ("impostor", Some("CN=orders, O=Contoso"), false),
        // The expression fails, and the caller's value is removed.
        ("none", None, false),
    ] {
        let (status, seen, _) = send(&layer, WORLD.certificate(caller), request()).await;
        assert_eq!(status, 200, "{caller}");
        assert_eq!(seen.caller.as_deref(), name, "{caller}");
        assert_eq!(seen.identity.as_deref(), Some("orders"), "{caller}");
        assert_eq!(seen.admitted.is_some(), admitted, "{caller}");
    }
    let unreadable = Presented::from_der_chain([&b"no certificate"[..]]);
    assert_eq!(send(&layer, unreadable, request()).await.0, 200);
    let mock = "<return-response><set-status code=\"200\" reason=\"OK\" /><set-body>mock</set-body></return-response>";
    let (_, _, response) = send(&self::layer(mock).shadow(), Presented::Nothing, request()).await;
    assert_eq!(response.body(), "mock", "a response that is not a refusal is sent");
}

#[tokio::test]
async fn headers_identity_and_base_url_reach_the_service_inside() {
    let text = "<set-header name=\"X-Caller\"><value>@(context.Request.Certificate?.GetNameInfo(X509NameType.SimpleName, \
                false))</value></set-header><set-header name=\"X-Region\" exists-action=\"delete\" \
                /><authentication-certificate certificate-id=\"orders\" /><set-backend-service \
                base-url=\"https://orders.internal/v2\" />";
    let (_, seen, _) = send(&layer(text), WORLD.certificate("orders"), request()).await;
    assert_eq!(seen.caller.as_deref(), Some("orders"), "the forged header is removed");
    assert_eq!(seen.identity.as_deref(), Some("orders"));
    assert_eq!(seen.base_url.as_deref(), Some("https://orders.internal/v2"));
    assert_eq!(seen.changes, ["x-caller:1", "x-region:0"]);
    let (_, seen, _) = send(&layer(text), Presented::Nothing, request()).await;
    assert_eq!(seen.caller, None, "null removes it");
}

#[tokio::test]
async fn outbound_changes_the_response() {
    let text = "<policies><inbound><base /></inbound><backend><forward-request /></backend><outbound><set-header name=\"server\" \
                exists-action=\"delete\" /><set-header name=\"x-served\"><value>@(context.Request.Method)</value></set-header></outbound></policies>";
    let (_, _, response) = send(&layer(text), Presented::Nothing, request()).await;
    assert_eq!(joined(response.headers(), "server"), None);
    assert_eq!(joined(response.headers(), "x-served").as_deref(), Some("GET"));
}

#[tokio::test]
async fn uncaptured_request_is_a_configuration_error() {
    let layer = layer(ONLY_ORDERS);
    let inner = service_fn(|_: Request<()>| async { Ok::<Reply, Infallible>(Response::default()) });
    let response = layer.layer(inner).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::NotCaptured);
}

#[tokio::test]
async fn unreadable_certificate_is_not_a_missing_one() {
    let allows_missing = "<choose><when condition=\"@(context.Request.Certificate != null && \
                          context.Request.Certificate.Thumbprint != \"ORDERS-THUMBPRINT\")\"><return-response><set-status \
                          code=\"401\" reason=\"No\" /></return-response></when></choose>";
    let unreadable = Presented::from_der_chain([&b"no certificate"[..]]);
    let (status, _, response) = send(&layer(allows_missing), unreadable.clone(), request()).await;
    assert_eq!(status, 403);
    assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::Unreadable);
    let (status, ..) = send(&layer(allows_missing), Presented::Nothing, request()).await;
    assert_eq!(status, 200);
    let (status, ..) = send(&layer("<set-variable name=\"a\" value=\"b\" />"), unreadable, request()).await;
    assert_eq!(status, 200, "the document does not read the certificate");
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let layer = layer("<validate-client-certificate />");
    let head = |method| Request::builder().method(method).uri("/").body(()).unwrap();
    let (status, _, response) = send(&layer, Presented::Nothing, head("HEAD")).await;
    assert_eq!((status.as_u16(), response.body().len()), (401, 0));
    let (_, _, response) = send(&layer, Presented::Nothing, head("GET")).await;
    assert!(!response.body().is_empty());
}

#[tokio::test]
async fn failing_expression_is_500_and_never_admits() {
    let text = "<choose><when condition=\"@(context.Request.Certificate.Thumbprint != \"ORDERS-THUMBPRINT\")\"><return-response \
                /></when></choose>";
    let (status, _, response) = send(&layer(text), Presented::Nothing, request()).await;
    assert_eq!(status, 500);
    assert_eq!(response.body(), r#"{"statusCode":500,"message":"Internal server error"}"#);
    assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::Undecidable);
}

#[tokio::test]
async fn subject_cannot_split_a_header() {
    use rcgen::DnType;
    let split = Leaf::client("x").subject(&[(DnType::CommonName, "a\r\nx-admin: true")]).self_signed();
    let split = tower_mtls::Certificate::from_der(&split.der).unwrap();
    let text =
        "<set-header name=\"x-caller\"><value>@(context.Request.Certificate.Subject)</value></set-header>";
    let (status, seen, _) = send(&layer(text), split.into(), request()).await;
    assert_eq!((status.as_u16(), seen.caller), (500, None));
}

#[tokio::test]
async fn replaced_documents_and_certificates_apply_to_the_next_request() {
    let deployment = Shared::new(WORLD.deployment());
    let text = "<choose><when condition=\"@(context.Request.Certificate == null || \
                !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == \
                context.Request.Certificate.Thumbprint))\"><return-response><set-status code=\"403\" reason=\"No\" \
                /></return-response></when></choose>";
    let document = Document::builder().deployment(deployment.clone()).load(text).unwrap();
    let shared = Shared::new(document);
    let layer = ApimPolicyLayer::new(shared.clone());
    assert_eq!(send(&layer, WORLD.certificate("orders"), request()).await.0, 200);
    deployment.replace(WORLD.deployment().with("orders", WORLD.billing.clone(), false));
    assert_eq!(send(&layer, WORLD.certificate("orders"), request()).await.0, 403, "deleted");
    assert_eq!(send(&layer, WORLD.certificate("billing"), request()).await.0, 200, "added");
    shared.replace(
        Document::parse("<return-response><set-status code=\"410\" reason=\"Gone\" /></return-response>")
            .unwrap(),
    );
    assert_eq!(send(&layer, WORLD.certificate("billing"), request()).await.0, 410);
}

#[test]
fn time_comes_from_the_clock() {
    let clock = Arc::new(ManualClock::new(NOW));
    let document = WORLD.load("<validate-client-certificate validate-trust=\"false\" />").unwrap();
    let layer = ApimPolicyLayer::new(document).with_clock(clock.clone());
    let inner = service_fn(|_: Request<()>| async { Ok::<Reply, Infallible>(Response::default()) });
    let service = AssumePresentedLayer::new(WORLD.early.clone()).layer(layer.layer(inner));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let status = || runtime.block_on(service.clone().oneshot(request())).unwrap().status();
    assert_eq!(status(), 401);
    clock.set(Timestamp::from_unix(NOON + 1));
    assert_eq!(status(), 200);
}

#[test]
fn headers_of_the_caller_are_neither_kept_nor_appended_to() {
    let document = WORLD
        .load(
            r#"<set-header name="X-Forwarded-For" exists-action="append"><value>1.2.3.4</value></set-header>
               <set-header name="X-SSL-Subject" exists-action="skip"><value>ours</value></set-header>
               <set-header name="X-Tenant" exists-action="skip"><value>ours</value></set-header>"#,
        )
        .unwrap();
    let request = Request::get("/")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-ssl-subject", "forged")
        .header("x-tenant", "the caller's")
        .body(())
        .unwrap();
    let presented = Presented::Nothing;
    let outcome = document.evaluate(&tower_mtls::apim::RequestFacts::new(&request, &presented), NOW);
    let headers = outcome.forward().unwrap().headers().unwrap();
    for (name, expected) in
        [("x-forwarded-for", "1.2.3.4"), ("x-ssl-subject", "ours"), ("x-tenant", "the caller's")]
    {
        assert_eq!(joined(headers, name).as_deref(), Some(expected), "{name}");
    }
}

#[cfg(feature = "proxy")]
#[tokio::test]
async fn choices_of_a_document_reach_the_upstream_through_the_proxy() {
    use tower_mtls::{ReverseProxyLayer, apim::ForwardingLayer, identity::Identities, proxy::ProxyBody};

    let document = WORLD
        .load(
            r#"<set-backend-service base-url="https://west.internal/v2" />
               <set-header name="X-Client-Cert-Subject"><value>@(context.Request.Certificate.Subject)</value></set-header>"#,
        )
        .unwrap();
    let backend = service_fn(|request: Request<ProxyBody<Full<Bytes>>>| async move {
        let (head, _) = request.into_parts();
        Ok::<_, Infallible>(Response::new((head.uri.to_string(), head.headers)))
    });
    let proxy =
        ReverseProxyLayer::new("/orders", "https://east.internal/api".parse().unwrap()).layer(backend);
    let service = ForwardingLayer::new(Identities::new()).layer(proxy);
    let service = AssumePresentedLayer::new(WORLD.orders.clone()).layer(
        ApimPolicyLayer::new(document).layer(service.map_response(|seen| {
            let (uri, headers) = seen.into_body();
            Response::new(Full::new(Bytes::from(format!("{uri} {:?}", headers["x-client-cert-subject"]))))
        })),
    );
    let request =
        Request::get("/orders/42").header("x-client-cert-subject", "forged").body(Full::default()).unwrap();
    let seen = service.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(seen, "https://west.internal/v2/42 \"CN=orders, O=Contoso\"");
}

#[test]
fn missing_certificate_is_an_error_if_requested() {
    let text = "<authentication-certificate certificate-id=\"orders\" />\n\
                <authentication-certificate certificate-id=\"gone\" />\n\
                <authentication-certificate thumbprint=\"0000000000000000000000000000000000000000\" />\n\
                <authentication-certificate certificate-id=\"issuing-ca\" />";
    let load = |builder: tower_mtls::apim::DocumentBuilder| {
        builder.deployment(Shared::new(WORLD.deployment())).load(text)
    };
    let warned = load(Document::builder()).unwrap();
    let away = warned.warnings().iter().filter(|warning| warning.kind() == FindingKind::Certificate);
    assert_eq!(away.map(|warning| warning.line()).collect::<Vec<_>>(), [2, 3], "{:?}", warned.warnings());
    let errors = load(Document::builder().only_known_certificates()).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.line()).collect();
    assert_eq!(places, [2, 3, 4], "{errors}");
    assert!(errors.to_string().contains("\"issuing-ca\": no private key"), "{errors}");
    assert!(errors.to_string().contains("no certificate has the id \"gone\""), "{errors}");
}

#[test]
fn document_reports_its_base_urls_and_identities() {
    let document = WORLD
        .load(
            r#"<choose>
                 <when condition="@(context.Request.Method == "GET")">
                   <set-backend-service base-url="http://readers.internal" />
                 </when>
                 <otherwise><authentication-certificate certificate-id="fabrikam" /></otherwise>
               </choose>"#,
        )
        .unwrap();
    assert!(document.summary().chooses_identity && document.summary().chooses_backend);
    let urls: Vec<_> =
        document.summary().base_urls.iter().map(|(uri, at)| (uri.to_string(), at.line)).collect();
    assert_eq!(urls, [("http://readers.internal/".to_owned(), 3)]);
    let plain = WORLD.load("<set-variable name=\"a\" value=\"b\" />").unwrap();
    assert!(
        !plain.summary().chooses_identity
            && !plain.summary().chooses_backend
            && plain.summary().base_urls.is_empty()
    );
}
