//! Documents that judge certificates without proving them.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_mtls::{
    Policy, RequireCertificateLayer, Rule, Shared,
    apim::{ApimPolicyLayer, Document, FindingKind},
    danger::AssumePresentedLayer,
    policy::Verification,
    verification,
};

use super::world::{WORLD, request};

const PROBLEM: &str = "certificates are judged but not proven: a self-made certificate can pass";

fn filled(text: &str) -> String {
    let text = text
        .replace("CERT", "context.Request.Certificate")
        .replace("STORE", "context.Deployment.Certificates")
        .replace("PIN", "\"ORDERS-THUMBPRINT\"")
        .replace("GET", "context.Request.Method == \"GET\"")
        .replace("VARIABLES", "context.Variables")
        .replace("VARIABLE", "<set-variable name='ok' value='yes' />")
        .replace("HEADERS", "context.Request.Headers")
        .replace("403", "<return-response><set-status code='403' /></return-response>");
    WORLD.fill(&text)
}

fn refusing(code: &str) -> String {
    filled(&format!("<choose><when condition=\"@({code})\">403</when></choose>"))
}

/// Sets a variable by one condition, and refuses by another.
fn marked(by: &str, otherwise: &str, refusal: &str) -> String {
    let (when, otherwise) = match otherwise {
        "" => ("VARIABLE", String::new()),
        steps => ("", format!("<otherwise>{steps}</otherwise>")),
    };
    let choose = format!("<choose><when condition='@({by})'>{when}</when>{otherwise}</choose>");
    filled(&choose) + &refusing(refusal)
}

fn header(code: &str, action: &str) -> String {
    let action = if action.is_empty() { "override" } else { action };
    filled(&format!("<set-header name='x-ok' exists-action='{action}'><value>@({code})</value></set-header>"))
}

/// Nothing is allowed beyond the request.
fn strict() -> tower_mtls::apim::DocumentBuilder {
    Document::builder()
        .trust(WORLD.trust.clone().without_revocation())
        .deployment(Shared::new(WORLD.deployment()))
}

#[test]
fn unproven_document_loads_only_if_allowed() {
    let identity = |claims: &str| {
        format!(
            "<validate-client-certificate validate-trust='false'><identities><identity {claims} /></identities>\
             </validate-client-certificate>"
        )
    };
    let mut wrong = Vec::new();
    for (text, is_anchored) in [
        (refusing("CERT == null || CERT.NotAfter < DateTime.Now"), false),
        (refusing("CERT == null || CERT.Issuer != \"CN=a\" || CERT.SubjectName != \"CN=b\""), false),
        (refusing("CERT == null || CERT.Thumbprint != PIN"), true),
        (refusing("CERT == null || !STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)"), true),
        (refusing("CERT == null || !CERT.Verify()"), true),
        (refusing("CERT == null"), false),
        // Mentioned, but proving nothing.
        (refusing("CERT == null || CERT.Verify()"), false),
        (refusing("CERT == null || CERT.Thumbprint == PIN"), false),
        (refusing("CERT == null || (CERT.Thumbprint != PIN && CERT.Subject != \"CN=a\")"), false),
        (refusing("CERT == null || CERT.Thumbprint.Substring(36) != \"94A6\""), false),
        (refusing("CERT == null || !STORE.Any(c => c.Value.Subject == CERT.Subject)"), false),
        (refusing("CERT == null || (!(GET) && !CERT.Verify())"), false),
        // A GET is not checked.
        (refusing("!(GET) && CERT?.Verify() != true"), false),
        (refusing("GET ? false : CERT?.Thumbprint != PIN"), false),
        (refusing("GET ? CERT == null : CERT?.Thumbprint != PIN"), false),
        (refusing("!(GET || CERT?.Verify() == true)"), false),
        (refusing("!(GET) && CERT?.Subject != \"CN=a\""), false),
        (
            filled(
                "<choose><when condition='@(GET)' /><when condition='@(CERT?.Verify() != true)'>403</when></choose>",
            ),
            false,
        ),
        (
            filled(
                "<choose><when condition='@(GET)' /><when condition='@(CERT == null)'>403</when></choose>",
            ),
            false,
        ),
        // A variable counts where it is read.
        (
            filled("<set-variable name='v' value='@(CERT != null)' />")
                + &refusing("!(bool)context.Variables[\"v\"]"),
            false,
        ),
        (
            filled("<set-variable name='v' value='@(CERT?.Verify() == true)' />")
                + &refusing("!(bool)context.Variables[\"v\"]"),
            false,
        ),
        (
            filled("<set-variable name='v' value='@(GET)' />") + &refusing("!(bool)context.Variables[\"v\"]"),
            true,
        ),
        // A variable that a branch sets, or does not set, by the certificate counts as well.
        (marked("CERT?.Subject == \"CN=a\"", "", "!VARIABLES.ContainsKey(\"ok\")"), false),
        (
            marked("CERT?.Subject == \"CN=a\"", "", "VARIABLES.GetValueOrDefault(\"ok\", \"no\") == \"no\""),
            false,
        ),
        (marked("CERT == null", "", "VARIABLES.ContainsKey(\"ok\")"), false),
        (marked("CERT?.Subject != \"CN=a\"", "VARIABLE", "!VARIABLES.ContainsKey(\"ok\")"), false),
        (
            marked(
                "CERT?.Subject != \"CN=a\"",
                "<choose><when condition='@(GET)'>VARIABLE</when></choose>",
                "!VARIABLES.ContainsKey(\"ok\")",
            ),
            false,
        ),
        (marked("CERT?.Verify() == true", "", "!VARIABLES.ContainsKey(\"ok\")"), false),
        (marked("GET", "", "!VARIABLES.ContainsKey(\"ok\")"), true),
        (
            marked("CERT?.Subject == \"CN=a\"", "", "GET")
                + &filled("<set-variable name='ok' value='@(VARIABLES.ContainsKey(\"ok\"))' />")
                + &refusing("!(bool)VARIABLES[\"ok\"]"),
            false,
        ),
        // Each assignment counts, also one that is overwritten.
        (
            marked("CERT?.Subject == \"CN=a\"", "VARIABLE", "false")
                + "<set-variable name='ok' value='yes' />"
                + &refusing("!VARIABLES.ContainsKey(\"ok\")"),
            false,
        ),
        // A header set by the document is like a variable.
        (
            header("CERT?.Subject", "") + &refusing("HEADERS.GetValueOrDefault(\"x-ok\", \"\") != \"CN=a\""),
            false,
        ),
        (header("CERT?.Subject", "") + &refusing("HEADERS[\"x-ok\"].First() != \"CN=a\""), false),
        (header("CERT?.Subject", "append") + &refusing("!HEADERS.ContainsKey(\"x-ok\")"), false),
        (
            header("CERT?.Subject", "")
                + &header("\"a\"", "append")
                + &refusing("!HEADERS.ContainsKey(\"x-ok\")"),
            false,
        ),
        (
            header("CERT?.Subject", "") + &header("\"a\"", "") + &refusing("!HEADERS.ContainsKey(\"X-Ok\")"),
            false,
        ),
        (header("CERT?.Subject", "") + &refusing("!HEADERS.ContainsKey(\"x-other\")"), true),
        (
            filled("<choose><when condition='@(CERT?.Subject == \"CN=a\")'>")
                + &header("\"a\"", "")
                + "</when></choose>"
                + &refusing("!HEADERS.ContainsKey(\"x-ok\")"),
            false,
        ),
        // Certificates are not judged.
        (refusing("!(GET)"), true),
        ("<set-header name='x'><value>a</value></set-header>".into(), true),
        (
            filled(
                "<choose><when condition='@(CERT == null)'><set-variable name='a' value='b' /></when></choose>",
            ),
            true,
        ),
        ("<validate-client-certificate />".into(), true),
        ("<validate-client-certificate validate-trust='false' />".into(), false),
        (identity("subject='CN=orders, O=Contoso'"), false),
        (WORLD.fill(&identity("thumbprint='ORDERS-THUMBPRINT'")), true),
        // A validation that ignores errors rejects no caller, and admits only proven ones.
        ("<validate-client-certificate ignore-error='true' />".into(), true),
        ("<validate-client-certificate ignore-error='true' />".to_owned() + &refusing("CERT == null"), false),
        ("<validate-client-certificate validate-trust='false' ignore-error='true' />".into(), false),
    ] {
        match strict().load(&text) {
            Ok(document) if is_anchored => assert!(document.summary().is_anchored, "{text}"),
            Err(errors) if !is_anchored => {
                let reported: Vec<_> = errors.iter().map(|error| (error.kind(), error.problem())).collect();
                assert_eq!(reported, [(FindingKind::Unanchored, PROBLEM)], "{text}");
                assert!(errors.to_string().ends_with(", or call allow_unanchored"), "{errors}");
            }
            loaded => wrong.push(format!("{text}: {loaded:?}")),
        }
        let document = strict().allow_unanchored().load(&text).unwrap();
        assert_eq!(document.summary().is_anchored, is_anchored, "{text}");
        let warned = document.warnings().iter().any(|warning| warning.kind() == FindingKind::Unanchored);
        assert_eq!(warned, !is_anchored, "{text}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rule_that_judges_by_a_variable_is_recognized() {
    for (by, is_judged) in
        [("CERT?.Subject == \"CN=a\"", true), ("CERT?.Verify() == true", true), ("GET", false)]
    {
        let text = marked(by, "", "!VARIABLES.ContainsKey(\"ok\")") + &header("CERT?.Subject", "");
        let document = strict().allow_unanchored().load(&text).unwrap();
        let warned = document.warnings().iter().any(|it| it.message().starts_with("no rule rejects by"));
        assert_eq!(warned, !is_judged, "{by}: {:?}", document.warnings());
    }
}

#[test]
fn base_document_counts_where_it_runs() {
    let names = refusing("CERT?.Subject != \"CN=a\"");
    let chain = refusing("CERT == null || !CERT.Verify()");
    let mark = marked("CERT?.Subject == \"CN=a\"", "", "false");
    let [names_above, chain_above, mark_above] =
        [&names, &chain, &mark].map(|text| strict().allow_unanchored().load(text).unwrap());
    for (above, text, is_anchored) in [
        (&names_above, "<base />".to_owned(), false),
        (&names_above, format!("<base />{chain}"), true),
        (&chain_above, format!("<base />{names}"), true),
        (&chain_above, format!("<policies><inbound>{names}</inbound></policies>"), false),
        (&chain_above, "<policies><outbound><base /></outbound></policies>".to_owned(), true),
        (&mark_above, format!("<base />{}", refusing("!VARIABLES.ContainsKey(\"ok\")")), false),
    ] {
        assert_eq!(strict().base(above).load(&text).is_ok(), is_anchored, "{text}");
    }
}

#[test]
fn position_is_that_of_the_rule() {
    let names = refusing("CERT == null || CERT.Subject != \"CN=a\"");
    let text = format!("<set-variable name='a' value='b' />\n\n{names}");
    let errors = strict().load(&text).unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!((error.line(), error.column()), (3, 9));
}

/// The verification that the inner service reads.
async fn seen<L>(layer: L, caller: &str) -> Option<Verification>
where
    L: Layer<tower::util::BoxCloneSyncService<Request<()>, Response<String>, Infallible>>,
    L::Service: tower::Service<Request<()>>,
    <L::Service as tower::Service<Request<()>>>::Error: std::fmt::Debug,
{
    let (reported, asked) = std::sync::mpsc::channel();
    let inner = service_fn(move |request: Request<()>| {
        reported.send(verification(request.extensions())).unwrap();
        async { Ok(Response::new(String::new())) }
    });
    let service = layer.layer(tower::util::BoxCloneSyncService::new(inner));
    assert!(
        AssumePresentedLayer::new(WORLD.certificate(caller)).layer(service).oneshot(request()).await.is_ok()
    );
    asked.try_recv().unwrap()
}

#[tokio::test]
async fn unproven_admission_is_marked() {
    let layer = |text: &str| ApimPolicyLayer::new(strict().allow_unanchored().load(text).unwrap());
    let proven = refusing("CERT == null || !CERT.Verify()");
    let variable = |value: &str| filled(&format!("<set-variable name='ok' value='@({value})' />"));
    for (text, caller, expected) in [
        (refusing("CERT == null"), "lone", Some(Verification::Unproven)),
        (refusing("CERT == null"), "orders", Some(Verification::Unproven)),
        (proven.clone(), "orders", Some(Verification::Proven)),
        (refusing("GET ? false : CERT?.Verify() != true"), "lone", None),
        // A variable carries the certificate if its value was computed from it.
        (
            variable("CERT?.Subject") + &refusing("(string)VARIABLES[\"ok\"] == \"CN=a\""),
            "lone",
            Some(Verification::Unproven),
        ),
        (
            variable("CERT != null") + &refusing("!VARIABLES.ContainsKey(\"ok\")"),
            "lone",
            Some(Verification::Unproven),
        ),
        (
            variable("CERT?.Subject") + &variable("\"a\"") + &refusing("(string)VARIABLES[\"ok\"] == \"b\""),
            "lone",
            None,
        ),
        (marked("CERT == null", "VARIABLE", "!VARIABLES.ContainsKey(\"ok\")"), "lone", None),
        (marked("CERT?.Verify() == true", "", "!VARIABLES.ContainsKey(\"ok\")"), "orders", None),
        (marked("GET", "", "!VARIABLES.ContainsKey(\"ok\")"), "lone", None),
        (header("CERT?.Subject", "") + &refusing("!HEADERS.ContainsKey(\"x-ok\")"), "lone", None),
        ("<base />".to_owned(), "orders", None),
    ] {
        assert_eq!(seen(layer(&text), caller).await, expected, "{text} {caller}");
    }
    let shadow = layer(&proven).shadow();
    assert_eq!(seen(shadow, "lone").await, None, "enforcement would refuse it");
    // Of two layers, one that demands a proof is sufficient, in either order.
    let names = layer(&refusing("CERT?.Subject == \"CN=a\""));
    let pinned = Policy::builder().thumbprint(WORLD.orders.sha256_thumbprint()).allow_outside_validity();
    let pinned = RequireCertificateLayer::new(pinned.build().unwrap());
    let any = Policy::builder().allow_unanchored().allow_outside_validity();
    let any = any.require(Rule::custom("any", |_, _| true)).build().unwrap();
    assert!(!any.is_anchored());
    let any = RequireCertificateLayer::new(any);
    for _ in 0..2 {
        assert_eq!(seen(any.clone(), "orders").await, Some(Verification::Unproven));
        assert_eq!(seen(pinned.clone(), "orders").await, Some(Verification::Proven));
    }
    let stacks = tower::ServiceBuilder::new().layer(pinned.clone()).layer(names.clone());
    assert_eq!(seen(stacks, "orders").await, Some(Verification::Proven));
    let stacks = tower::ServiceBuilder::new().layer(names).layer(pinned);
    assert_eq!(seen(stacks, "orders").await, Some(Verification::Proven));
}
