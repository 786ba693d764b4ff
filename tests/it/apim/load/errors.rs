//! Errors at load, with position and remedy.

use tower_mtls::apim::{Document, Finding, FindingKind};

use super::errors;
use crate::apim::texts::*;
use crate::apim::world::WORLD;

#[test]
fn unenforceable_documents_are_errors_with_line_and_column() {
    let mut wrong = Vec::new();
    for (text, line, column, message) in [
        // Text.
        ("", 1, 1, "the document is empty"),
        ("just a text", 1, 1, "outside of all elements"),
        ("<base />\n <choose/> validate-client-certificate />", 2, 12, "outside of all elements"),
        ("validate-client-certificate />\n<base />", 1, 1, "is a '<' missing?"),
        ("<base />\n<![CDATA[<validate-client-certificate />]]>", 2, 10, "outside of all elements"),
        ("&lt;choose&gt;\n<base />", 1, 1, "outside of all elements"),
        ("<policies><inbound /></policies>\n\n  {{fragment}}", 3, 3, "outside of all elements"),
        ("<!-- a --> @(true) <base />", 1, 12, "outside of all elements"),
        ("<policies>", 1, 1, "<policies> has no end tag"),
        ("<choose>\n  <when condition=\"true\">\n</choose>", 2, 3, "<when> has no end tag: found </choose>"),
        ("<base />\n</inbound>", 2, 1, "</inbound> has no start tag"),
        ("<!DOCTYPE policies [<!ENTITY a \"b\">]><policies/>", 1, 1, "document type"),
        ("<base />\n<?php ?>", 2, 1, "processing instructions"),
        ("<base a='1' a='2' />", 1, 13, "already defined"),
        ("<x:base xmlns:x='urn:x' />", 1, 1, "namespaces"),
        ("<base\nxmlns='urn:x' />", 1, 1, "namespaces"),
        ("<?xml version='1.0'> <base /> <?x ?><base />", 1, 1, "invalid XML declaration"),
        ("<?xml-policy <base /> ?><base />", 1, 1, "invalid XML declaration"),
        ("<?xml version='1.0'><base /><!-- is this right?><base />", 1, 1, "invalid XML declaration"),
        ("<?xml version='1.0'", 1, 1, "invalid XML declaration"),
        ("<base />\n<!-- open", 2, 1, "unterminated comment"),
        ("<base a=\"<\" />", 1, 10, "'<' in an attribute value; write &lt;"),
        ("\u{feff}<base a='<' />", 1, 10, "'<' in an attribute value; write &lt;"),
        ("\u{feff}<trace />", 1, 1, "remove it"),
        (
            "<validate-client-certificate><identities><identity subject=\"O=\"Contoso, Inc.\"\" /></identities></validate-client-certificate>",
            1,
            64,
            "write a quote in an attribute value as &quot;",
        ),
        (
            "<choose><when condition=\"@(context.Request.Method == \"a\"\" /></choose>",
            1,
            57,
            "unterminated string literal, or a bracket or quote is missing before it",
        ),
        // Elements and attributes.
        ("<rate-limit calls=\"5\" />", 1, 1, "<rate-limit> is not supported here"),
        ("<no-such-policy />", 1, 1, "would not be enforced"),
        ("<base />\n\n  <validate-jwt header-name='x' />", 3, 3, "validate tokens in the backend"),
        ("<base scope='x' />", 1, 7, "attribute scope of <base> is not supported"),
        ("<choose />", 1, 1, "<choose> has no <when>"),
        ("<choose><when condition='true'><base /></when></choose>", 1, 32, "directly in a section"),
        ("<choose><otherwise /></choose>", 1, 1, "<choose> has no <when>"),
        ("<choose><otherwise /><when condition='true' /></choose>", 1, 22, "not allowed after <otherwise>"),
        ("<choose><when /></choose>", 1, 9, "attribute condition of <when> is missing"),
        ("<choose><when condition='1' /></choose>", 1, 15, "invalid condition"),
        ("<choose>text<when condition='true' /></choose>", 1, 9, "text is not allowed in <choose>"),
        (
            "<choose>\n<![CDATA[text]]><when condition='true' /></choose>",
            2,
            10,
            "text is not allowed in <choose>",
        ),
        ("<return-response><set-status code='99' /></return-response>", 1, 30, "invalid status code"),
        ("<return-response><set-status code='101' /></return-response>", 1, 30, "invalid status code"),
        ("<return-response response-variable-name='x' />", 1, 18, "response-variable-name"),
        ("<set-header name='a' />", 1, 1, "<set-header> has no <value>"),
        ("<set-header name='a b'><value>x</value></set-header>", 1, 13, "invalid header name"),
        ("<set-header name='Content-Length'><value>1</value></set-header>", 1, 13, "is set by the server"),
        ("<set-header name='Host'><value>x</value></set-header>", 1, 13, "set by the route"),
        ("<set-header name='a' exists-action='x'><value>x</value></set-header>", 1, 22, "override, skip"),
        ("<set-header name='a'><value>x @(1)</value></set-header>", 1, 31, "the whole value"),
        ("<set-header name='a'><value>{{secret}}</value></set-header>", 1, 29, "named values"),
        ("<set-header name='a'><value>é{{{secret}}}</value></set-header>", 1, 31, "named values"),
        (
            "<set-header name='a'><value>{{ {{a}b}} {{{{a-b.c_d}}}}</value></set-header>",
            1,
            42,
            "named values",
        ),
        ("<set-variable value='x' />", 1, 1, "attribute name of <set-variable> is missing"),
        (
            "<set-backend-service />",
            1,
            1,
            "attribute base-url or backend-id of <set-backend-service> is missing",
        ),
        ("<set-backend-service base-url='https://a' backend-id='east' />", 1, 43, "exclude each other"),
        ("<set-backend-service backend-id='' />", 1, 22, "backend-id is empty"),
        (
            "<set-backend-service backend-id='@(\"east\")' />",
            1,
            22,
            "expressions are not supported; write a literal",
        ),
        (
            "<set-backend-service\n backend-id='x' />",
            2,
            2,
            "no backend has the id \"x\"; known: \"east\", \"west\"",
        ),
        ("<set-backend-service backend-id='East' />", 1, 22, "no backend has the id \"East\""),
        ("<set-backend-service backend-id=' east' />", 1, 22, "no backend has the id \" east\""),
        (
            "<set-backend-service backend-id='east' sf-resolve-condition='x' />",
            1,
            40,
            "supported: base-url, backend-id",
        ),
        ("<set-backend-service base-url='ftp://x' />", 1, 22, "invalid base-url"),
        ("<set-backend-service base-url='https://a@b/' />", 1, 22, "invalid base-url"),
        ("<set-backend-service base-url='https://b/../c' />", 1, 22, "invalid base-url"),
        ("<set-backend-service base-url='https://b:0/c' />", 1, 22, "a port from 1 to 65535"),
        ("<set-backend-service base-url='https://b:99999/c' />", 1, 22, "a port from 1 to 65535"),
        ("<set-backend-service base-url='@(context.Request.Url.Host)' />", 1, 22, "the caller would choose"),
        ("<authentication-certificate />", 1, 1, "exactly one of"),
        ("<authentication-certificate certificate-id='a' thumbprint='b' />", 1, 1, "exactly one of"),
        ("<authentication-certificate thumbprint='12' />", 1, 29, "not a thumbprint"),
        ("<authentication-certificate certificate-id='a' password='b' />", 1, 48, "only allowed with body"),
        ("<authentication-certificate body='MIIB' />", 1, 29, "body must be an expression"),
        (
            "<authentication-certificate body='@(context.Request.Certificate.RawData)' />",
            1,
            29,
            "must be a constant",
        ),
        (
            "<authentication-certificate certificate-id='@(context.Request.Headers.GetValueOrDefault(\"a\",\"\"))' />",
            1,
            29,
            "the caller would choose",
        ),
        ("<validate-client-certificate ignore-error='maybe' />", 1, 30, "true or false"),
        (
            "<validate-client-certificate ignore-error='@(true)' />",
            1,
            30,
            "expressions are not supported; write a literal",
        ),
        (
            "<validate-client-certificate><identities /></validate-client-certificate>",
            1,
            30,
            "no certificate would match",
        ),
        (
            "<validate-client-certificate><identities><identity /></identities></validate-client-certificate>",
            1,
            42,
            "would match every certificate",
        ),
        (
            "<validate-client-certificate><identities><identity thumbprint='' /></identities></validate-client-certificate>",
            1,
            52,
            "thumbprint is empty",
        ),
        (
            "<validate-client-certificate><identities><identity subject='x' /></identities></validate-client-certificate>",
            1,
            52,
            "not a distinguished name",
        ),
        (
            "<validate-client-certificate><identities><identity issuer-certificate-id='a' issuer-subject='CN=b' \
             /></identities></validate-client-certificate>",
            1,
            42,
            "excludes",
        ),
        // Sections.
        ("<policies><inbound /><inbound /></policies>", 1, 22, "duplicate <inbound>"),
        ("<policies><backend /></policies>", 1, 11, "requests would not be forwarded"),
        ("<policies><backend><retry /></backend></policies>", 1, 20, "<retry> is not supported in <backend>"),
        ("<policies><backend><forward-request timeout='5' /></backend></policies>", 1, 37, "timeout"),
        ("<policies><outbound><return-response /></outbound></policies>", 1, 21, "in <outbound>"),
        (
            "<policies><outbound><validate-client-certificate /></outbound></policies>",
            1,
            21,
            "only supported in <inbound>",
        ),
        ("<policies><other /></policies>", 1, 11, "not allowed in <policies>"),
        ("<set-status code='200' />", 1, 1, "write it in <return-response>"),
    ] {
        let errors = errors(text);
        let error = errors.iter().next().unwrap();
        if !error.message().contains(message) || (error.line(), error.column()) != (line, column) {
            wrong.push(format!("{text}: {line}:{column}: {message}; found {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_are_reported_at_once() {
    let text = "<policies>\n<inbound>\n<rate-limit />\n<choose>\n<when condition=\"@(context.User == null || \
                context.Api == null)\">\n<cors />\n</when>\n</choose>\n</inbound>\n<backend />\n</policies>";
    let builder = Document::builder().file_name("orders.policy.xml");
    let errors = builder.load(text).unwrap_err();
    let lines: Vec<_> = errors.iter().map(Finding::line).collect();
    assert_eq!(lines, [3, 5, 5, 6, 10], "{errors}");
    for line in errors.to_string().lines() {
        assert!(line.starts_with("orders.policy.xml:"), "{line}");
    }
}

#[test]
fn errors_name_the_remedy_for_an_unsupported_element() {
    use FindingKind::{Backend, Document as Other, Element, Timeout};
    let mut wrong = Vec::new();
    for (text, kind, message) in [
        ("<chose />", Other, "unknown element <chose>; did you mean <choose>?"),
        ("<Base />", Other, "did you mean <base>?"),
        ("<llm-semantic-cache-lookup />", Other, "remove it, or implement it in the backend"),
        (
            "<choose><else /></choose>",
            Other,
            "<else> is not allowed in <choose>; allowed: <when>, <otherwise>",
        ),
        ("<set-status cod='1' />", Element("set-status"), "write it in <return-response>"),
        ("<choose><when conditions='true' /></choose>", Other, "supported: condition"),
        ("<set-query-parameter name='a' />", Element("set-query-parameter"), "change queries in the backend"),
        ("<find-and-replace from='a' to='b' />", Element("find-and-replace"), "change bodies in the backend"),
        ("<cache-lookup />", Element("cache-lookup"), "remove it, since responses are not cached"),
        ("<retry condition='@(true)' />", Element("retry"), "retry requests outside the document"),
        ("<limit-concurrency key='a' />", Element("limit-concurrency"), "limit requests in flight outside"),
        ("<mock-response />", Element("mock-response"), "write <return-response>"),
        ("<set-method>GET</set-method>", Element("set-method"), "change the method in the backend"),
        ("<send-request mode='new' />", Element("send-request"), "send requests from the backend"),
        ("<emit-metric name='x' />", Element("emit-metric"), "remove it"),
        ("<authentication-basic />", Element("authentication-basic"), "<set-header name=\"Authorization\">"),
        ("<validate-azure-ad-token />", Element("validate-azure-ad-token"), "validate tokens in the backend"),
        (
            "<policies><outbound><set-body /></outbound></policies>",
            Element("set-body"),
            "forwarded bodies are unchanged",
        ),
        (
            "<policies><backend><forward-request timeout='60' /></backend></policies>",
            Timeout,
            "remove it, since the server's own limits",
        ),
        ("<set-backend-service backend-id='x' />", Backend, "known: \"east\", \"west\""),
    ] {
        let errors = errors(text);
        let reported = |error: &Finding| error.kind() == kind && error.message().contains(message);
        if !errors.iter().any(reported) {
            wrong.push(format!("{text}: {message}; found {errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn misspelt_element_is_recognised() {
    for (written, expected) in [
        ("chose", Some("choose")),
        ("Choose", Some("choose")),
        ("return-responce", Some("return-response")),
        ("validate-client-certificat", Some("validate-client-certificate")),
        ("whem", Some("when")),
        ("else", None),
        ("no-such-policy", None),
        ("set-method", None),
    ] {
        let errors = errors(&format!("<{written} />")).to_string();
        match expected {
            Some(expected) => assert!(errors.ends_with(&format!("did you mean <{expected}>?")), "{errors}"),
            None => assert!(!errors.contains("did you mean"), "{errors}"),
        }
    }
}

#[test]
fn errors_with_an_external_remedy_have_their_own_kind() {
    let verify = condition("!context.Request.Certificate.Verify()");
    let trusting = Document::builder().trust(WORLD.trust.clone());
    let named = "<authentication-certificate certificate-id='order' />";
    for (builder, text, kind, problem, remedy) in [
        (
            Document::builder(),
            verify.as_str(),
            FindingKind::Trust,
            "Verify() needs trusted roots, and none are configured",
            "configure the CAs of client certificates",
        ),
        (
            trusting.clone(),
            &verify,
            FindingKind::Revocation,
            "Verify() checks revocation, and revocation is not configured",
            "call VerifyNoRevocation()",
        ),
        (
            trusting,
            "<validate-client-certificate />",
            FindingKind::Revocation,
            "validate-revocation is true (the default), and revocation is not configured",
            "validate-revocation=\"false\"",
        ),
        (
            WORLD.builder().only_known_certificates(),
            named,
            FindingKind::Certificate,
            "no certificate has the id \"order\"",
            "known: \"fabrikam\", \"issuing-ca\", \"orders\"",
        ),
        (
            Document::builder().only_known_certificates(),
            named,
            FindingKind::Certificate,
            "no certificate has the id \"order\"",
            "no certificates are configured",
        ),
    ] {
        let errors = builder.load(text).unwrap_err();
        let error = errors.iter().next().unwrap();
        assert_eq!((error.kind(), error.problem()), (kind, problem));
        assert!(error.message().starts_with(problem) && error.message().contains(remedy), "{error}");
    }
    let warned = WORLD.load(named).unwrap();
    assert!(warned.warnings().iter().any(|warning| warning.kind() == FindingKind::Certificate));
}

#[test]
fn omitted_errors_are_counted() {
    let errors = errors(&"<trace />\n".repeat(123));
    assert_eq!((errors.iter().len(), errors.left_out()), (100, 23));
    assert!(errors.to_string().ends_with("\nand 23 more"));
    assert_eq!(errors.iter().map(Finding::line).max(), Some(100));
}

#[test]
fn named_value_is_the_only_error_reported() {
    for text in [
        "<authentication-certificate thumbprint='{{a}}' />",
        "<authentication-certificate certificate-id='{{a}}' />",
        "<set-backend-service base-url='{{a}}' />",
        "<return-response><set-status code='{{a}}' reason='b' /></return-response>",
        "<set-header name='{{a}}'><value>b</value></set-header>",
        "<set-header name='a'><value>@({{a}})</value></set-header>",
        "<choose><when condition='@(context.Request.Certificate.Thumbprint == {{a}})' /></choose>",
        "<choose><when condition='{{a}}' /></choose>",
        "<validate-client-certificate validate-trust='{{a}}' />",
        "<validate-client-certificate><identities><identity subject='{{a}}' /></identities></validate-client-certificate>",
    ] {
        let errors = WORLD.builder().only_known_certificates().load(text).unwrap_err();
        let reported: Vec<_> = errors.iter().map(|error| error.message()).collect();
        assert!(
            matches!(reported.as_slice(), [only] if only.starts_with("named values {{...}}")),
            "{text}: {reported:?}"
        );
    }
}
