//! What is refused at load, and what is warned of.

use tower_mtls::apim::{
    DeploymentCertificates, Document, DocumentDecision, DocumentError, DocumentErrors, FindingKind, Format,
    Revocation, SharedDeployment,
};

use crate::world::{WORLD, evaluate};

fn errors(text: &str) -> DocumentErrors {
    match WORLD.load(text) {
        Err(errors) => errors,
        Ok(_) => panic!("it loads: {text}"),
    }
}

fn condition(code: &str) -> String {
    format!(
        "<choose>\n <when condition=\"@({code})\"><return-response><set-status code='403' /></return-response></when>\n</choose>"
    )
}

#[test]
fn what_cannot_be_enforced_is_an_error_with_line_and_column() {
    let mut wrong = Vec::new();
    for (text, line, column, message) in [
        // The text.
        ("", 1, 1, "the document is empty"),
        ("just a text", 1, 1, "outside of all elements"),
        ("<base />\n <choose/> validate-client-certificate />", 2, 12, "outside of all elements"),
        ("validate-client-certificate />\n<base />", 1, 1, "is a '<' missing?"),
        ("<base />\n<![CDATA[<validate-client-certificate />]]>", 2, 10, "outside of all elements"),
        ("&lt;choose&gt;\n<base />", 1, 1, "outside of all elements"),
        ("<policies><inbound /></policies>\n\n  {{fragment}}", 3, 3, "outside of all elements"),
        ("<!-- a --> @(true) <base />", 1, 12, "outside of all elements"),
        ("<policies>", 1, 1, "<policies> is never closed"),
        ("<choose>\n  <when condition=\"true\">\n</choose>", 2, 3, "<when> is never closed"),
        ("<base />\n</inbound>", 2, 1, "closes nothing"),
        ("<!DOCTYPE policies [<!ENTITY a \"b\">]><policies/>", 1, 1, "document type"),
        ("<base />\n<?php ?>", 2, 1, "processing instructions"),
        ("<base a='1' a='2' />", 1, 13, "already defined"),
        ("<x:base xmlns:x='urn:x' />", 1, 1, "namespaces"),
        ("<base />\n<!-- open", 2, 1, "comment is never closed"),
        ("<base a=\"<\" />", 1, 10, "'<' in an attribute's value: write &lt;"),
        ("\u{feff}<base a='<' />", 1, 10, "'<' in an attribute's value: write &lt;"),
        ("\u{feff}<trace />", 1, 1, "remove it"),
        (
            "<validate-client-certificate><identities><identity subject=\"O=\"Contoso, Inc.\"\" /></identities></validate-client-certificate>",
            1,
            64,
            "a quote inside of an attribute's value is written &quot;",
        ),
        (
            "<choose><when condition=\"@(context.Request.Method == \"a\"\" /></choose>",
            1,
            57,
            "never closed, or a bracket or a quote is missing before it",
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
fn expressions_are_typed_at_load() {
    // Columns count from the beginning of the code, which stands in line 2 behind this many characters.
    const BEFORE: usize = " <when condition=\"@(".len();
    let mut wrong = Vec::new();
    for (code, column, message) in [
        ("context.Request.Certificat == null", 17, "context.Request.Certificat is not supported"),
        ("context.User.Id == \"x\"", 9, "there is none here"),
        ("context.Response.StatusCode == 200", 9, "context.Response is not supported"),
        ("context.LastError.Reason == \"x\"", 9, "in <on-error> only"),
        ("certificate == null", 1, "not known here"),
        ("context.Request.Certificate", 1, "expected bool but this is X509Certificate2"),
        ("context.Request.Headers", 1, "is no value"),
        ("context.Request.Certificate.Thumbprint == 1", 1, "are not compared"),
        ("context.Request.Certificate.NotAfter < \"2026\"", 1, "have no order"),
        ("context.Request.Certificate.NotAfter == null", 1, "DateTime is never null"),
        ("context.Request.Certificate?.Verify()", 1, "expected bool but this is bool?"),
        ("!context.Request.Certificate?.Verify()", 2, "bool?"),
        (
            "context.Request.Certificate.Extensions != null",
            29,
            "Extensions of a certificate is not supported",
        ),
        (
            "context.Request.Certificate == context.Request.Certificate",
            1,
            "compare the certificates' Thumbprint",
        ),
        (
            "context.Request.Certificate.SubjectName != context.Request.Certificate.IssuerName",
            1,
            "by reference in .NET",
        ),
        (
            "context.Deployment.Certificates.Any(c => c.Value.SubjectName == context.Request.Certificate.SubjectName)",
            42,
            "compare .Name",
        ),
        ("\"CN=a\".Equals(context.Request.Certificate.SubjectName)", 15, "compare .Name"),
        ("string.Equals(\"CN=a\", context.Request.Certificate.SubjectName)", 1, "compare .Name"),
        ("string.Equals(context.Request.Certificate.SubjectName, \"CN=a\")", 1, "compare .Name"),
        ("new[] {\"CN=a\"}.Contains(context.Request.Certificate.SubjectName)", 25, "compare .Name"),
        ("context.Request.Headers[\"X-ARR-ClientCert\"][0] == \"x\"", 25, "proves nothing"),
        ("context.Request.Headers[\"X-ARR-ClientCert-Subject\"][0] == \"x\"", 25, "proves nothing"),
        ("context.Request.Headers[\"X-Consumer-Username\"][0] == \"x\"", 25, "proves nothing"),
        (
            "context.Request.Headers.GetValueOrDefault(\"ssl-client-cert\", \"\") == \"x\"",
            43,
            "proves nothing",
        ),
        ("context.Request.Headers.ContainsKey(context.Request.Method)", 37, "must be a string literal"),
        ("new X509Certificate2(context.Request.Method) != null", 1, "nobody showed that they hold its key"),
        ("context.Variables[\"a\"] == \"b\"", 1, "cast it"),
        ("context.Request.Certificate.ToString() == \"x\"", 29, "name a property"),
        ("DateTime.Now.ToString() == \"x\"", 14, "takes one argument"),
        ("DateTime.Now.ToString(\"D\") == \"x\"", 23, "a culture decides"),
        ("DateTime.Parse(\"06/01/2026\") < DateTime.Now", 16, "a culture decides"),
        ("new DateTime(2026, 2, 30) < DateTime.Now", 1, "no such date"),
        ("\"a\" + DateTime.Now == \"b\"", 7, "a culture decides"),
        ("context.Deployment.Certificates.Where(c => true).Any()", 33, "is not supported"),
        (
            "context.Deployment.Certificates.FirstOrDefault(c => true).Key == \"x\"",
            33,
            "Values.FirstOrDefault",
        ),
        ("c => true", 1, "a lambda stands only"),
        ("context.Request.Certificate is null", 29, "'is' is not supported"),
        ("1 * 2 == 2", 3, "not supported"),
        ("context.Request.Certificate == ", 32, "expected a value"),
        ("(true", 7, "never closed"),
        ("true) || (true", 7, "an expression is the whole value"),
        ("\"a\\q\" == \"b\"", 4, "no escape"),
        ("'ab' == 'c'", 4, "one character"),
        ("99999999999 == 1", 1, "no number"),
        ("a.b(c => c.d) == #", 18, "not supported"),
        ("Regex.IsMatch(\"a\", \"b\")", 1, "Regex is not supported: use Contains, StartsWith"),
        ("Guid.Empty == null", 1, "Guid is not supported: nothing is made up here"),
        ("Math.Abs(1) == 1", 1, "Math is not supported: compare"),
        ("context.Api.Id == \"x\"", 9, "since each route has its own document"),
        ("context.Operation.Id == \"x\"", 9, "since each route has its own document"),
        ("new List<string>().Contains(\"a\")", 19, "a list is not filled later here"),
        ("context.Request.Certificate.Subject.Length == null", 1, "int is never null"),
        ("\"a\".Equals(\"b\", 5)", 17, "expected a StringComparison"),
        ("StringComparison.Ordinal == StringComparison.Ordinal", 1, "is no value"),
    ] {
        let text = condition(code);
        let errors = errors(&text);
        let error = errors.iter().next().unwrap();
        let place = (error.line(), error.column());
        if !error.message().contains(message) || place != (2, column + BEFORE) {
            wrong.push(format!(
                "{code}: {column}: {message}; found {}, {error}",
                place.1 as isize - BEFORE as isize
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_errors_are_told_at_once() {
    let text = "<policies>\n<inbound>\n<rate-limit />\n<choose>\n<when condition=\"@(context.User == null || \
                context.Api == null)\">\n<cors />\n</when>\n</choose>\n</inbound>\n<backend />\n</policies>";
    let builder = Document::builder().file_name("orders.policy.xml");
    let errors = builder.load(text).unwrap_err();
    let lines: Vec<_> = errors.iter().map(DocumentError::line).collect();
    assert_eq!(lines, [3, 5, 5, 6, 10], "{errors}");
    for line in errors.to_string().lines() {
        assert!(line.starts_with("orders.policy.xml:"), "{line}");
    }
}

#[test]
fn every_statement_and_argument_is_checked_and_nothing_is_told_twice() {
    let block = |code: &str| format!("<set-variable name='a' value=\"@{{ {code} }}\" />");
    let mut wrong = Vec::new();
    for (code, expected) in [
        (
            "var a = context.User.Id; var b = context.Api.Id; return a + b + a.Length;",
            &["context.User", "context.Api"][..],
        ),
        // What a failed declaration says of its type is known.
        (
            "string a = context.User.Id; return a.Nope;",
            &["context.User", "string.Nope is not supported|Nope of string"],
        ),
        ("int a = \"1\"; a = nope; return a;", &["expected int", "nope is not"]),
        ("a = nope; return 1;", &["a is not declared", "nope is not"]),
        (
            "if (nope) { var b = nope2; } else { return nope3; } return 1;",
            &["nope is", "nope2 is", "nope3 is"],
        ),
        ("var a = nope; if (a == null) { return a.Length; } return a?.Length ?? 1;", &["nope is"]),
        (
            "foreach (var x in nope) { var y = 1; } var b = nope2; return b;",
            &["'foreach' is not supported: Any", "nope2 is"],
        ),
        (
            "for (int i = 0; i < 3; i++) { nope(); } return context.User;",
            &["'for' is not supported: Any", "context.User"],
        ),
        (
            "try { return nope; } catch (Exception e) { return 1; } finally { } var a = nope2; return a;",
            &["'try'", "nope2 is"],
        ),
        (
            "switch (1) { default: return 1; } return context.Api;",
            &["'switch' is not supported: write if", "context.Api"],
        ),
        ("var a = 1 var b = 2; return a + b + nope;", &["expected ';'", "nope is"]),
        (
            "var list = new List<string>(); list.Add(\"a\"); return list.Contains(nope);",
            &["write its entries behind it", "a call alone is no statement", "nope is"],
        ),
        (
            "if (1 ==) { return 1; } else { return 2; } return context.User;",
            &["expected a value", "context.User"],
        ),
        (
            "var c = new X509Certificate2(Convert.FromBase64String(nope)); return c.Foo;",
            &["nobody showed", "nope is"],
        ),
        (
            "return Nope.Call(nope2, context.User, x => x.Foo == nope3);",
            &["Nope is not", "nope2 is", "context.User", "nope3 is"],
        ),
        ("return context.User?.Call(nope) ?? nope2;", &["context.User", "nope is", "nope2 is"]),
        ("return $\"{nope} {nope2}\";", &["nope is", "nope2 is"]),
        ("return nope[nope2];", &["nope is", "nope2 is"]),
        (
            "return string.Concat(nope, nope2.Replace(nope3, nope4));",
            &["nope is", "nope2 is", "nope3 is", "nope4 is"],
        ),
    ] {
        let errors = errors(&block(code));
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let fits =
            |(told, expected): (&String, &&str)| expected.split('|').any(|expected| told.contains(expected));
        if told.len() != expected.len() || !told.iter().zip(expected).all(fits) {
            wrong.push(format!("{code}: {expected:?}; found\n  {}", told.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_inside_of_errors_are_found_in_time() {
    let calls = |levels: usize| format!("{}nope{}", "Nope.Call(".repeat(levels), ", nope2)".repeat(levels));
    for code in [calls(11), format!("Nope.Call({})", vec![calls(3); 63].join(", "))] {
        let started = std::time::Instant::now();
        let errors = errors(&condition(&code));
        assert!(errors.iter().len() > 20 && started.elapsed().as_secs() < 5, "{errors}");
    }
    let skipped = "foreach (x) { ".repeat(500) + &"}".repeat(500);
    assert!(errors(&format!("<set-variable name='a' value=\"@{{ {skipped} }}\" />")).iter().len() > 0);
}

#[test]
fn trust_and_revocation_must_be_there_when_a_document_asks() {
    let verify = condition("!context.Request.Certificate.Verify()");
    let no_revocation = condition("!context.Request.Certificate.VerifyNoRevocation()");
    let validate = "<validate-client-certificate />";
    let untrusting = "<validate-client-certificate validate-trust='false' validate-revocation='false' />";
    let none = Document::builder().allow_unanchored();
    let trusting = || Document::builder().allow_unanchored().trust(WORLD.trust.clone());
    for (builder, text, message) in [
        (none.clone(), verify.as_str(), Some("needs trusted roots")),
        (none.clone(), &no_revocation, Some("needs trusted roots")),
        (none.clone(), validate, Some("validate-trust needs trusted roots")),
        (
            none.clone().revocation(Revocation::Off),
            "<validate-client-certificate validate-trust='false' />",
            Some("revocation"),
        ),
        (none, untrusting, None),
        (trusting(), &verify, Some("VerifyNoRevocation()")),
        (trusting(), &no_revocation, None),
        (trusting(), validate, Some("validate-revocation is true (the default)")),
        (trusting(), "<validate-client-certificate validate-revocation='false' />", None),
        (trusting().revocation(Revocation::Off), &verify, None),
        (trusting().revocation(Revocation::Off), validate, None),
    ] {
        match (builder.load(text), message) {
            (Ok(_), None) => {}
            (Err(errors), Some(message)) => assert!(errors.to_string().contains(message), "{text}: {errors}"),
            (loaded, _) => panic!("{text}: {loaded:?}"),
        }
    }
}

#[test]
fn places_are_those_of_the_text_as_it_was_written() {
    let mut wrong = Vec::new();
    for (text, line, column) in [
        // Behind quotes and brackets that the reader rewrites.
        ("<choose><when condition=\"@(\"<&>\" == \"é\" && nope)\" /></choose>", 1, 44),
        ("<choose>\r\n<when condition=\"@(true &&\r\n\tnope)\" /></choose>", 3, 2),
        ("<choose><when condition='@(true &amp;&amp; nope)' /></choose>", 1, 44),
        ("<choose><when condition='@(&quot;&lt;&quot; == nope)' /></choose>", 1, 48),
        ("\u{feff}<?xml version=\"1.0\"?>\n<choose><when condition='@(nope)' /></choose>", 2, 28),
        ("<set-header name='a'><value>\n  @(\"<\" + nope)</value></set-header>", 2, 11),
        ("<set-header name='a'><value><![CDATA[@(\"<\" + nope)]]></value></set-header>", 1, 46),
    ] {
        let errors = errors(text);
        let error = errors.iter().next().unwrap();
        if !error.message().contains("nope is not known") || (error.line(), error.column()) != (line, column)
        {
            wrong.push(format!("{text}: {line}:{column}; found {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_could_be_read_in_two_ways_is_an_error() {
    let text = "<choose><when condition=\"@(\"a &amp; b\" == \"c\")\" /></choose>";
    assert!(errors(text).to_string().contains("two ways"));
    // As XML there is only one.
    let text = "<choose><when condition='@(\"a &amp; b\" == \"c\")'><return-response /></when></choose>";
    assert!(Document::builder().format(Format::Xml).load(text).is_ok());
    let raw = condition("\"<\" == \">\"");
    assert!(Document::builder().format(Format::Xml).load(&raw).is_err());
}

#[test]
fn entities_mean_the_same_in_both_forms() {
    let when = |code: &str| {
        format!(
            "<choose><when condition=\"@{code}\"><return-response><set-status code='403' /></return-response></when></choose>"
        )
    };
    let outcome = |format: Format, text: &str| {
        let document = Document::builder().format(format).load(text).ok()?;
        Some(evaluate(&document, &WORLD.certificate("lone")).response().is_some())
    };
    for (code, refused) in [
        // A comment ends where its end is, written as an entity or not.
        ("(false // &#10; || true\n )", true),
        ("(false // &#xA; || true )", true),
        ("(false // &#13; || true )", true),
        ("(false // &#x2028; || true )", true),
        ("(false // &#0000000000010; || true )", true),
        ("(false // &quot; &#10; || true )", true),
        ("(false // ( &amp; ' &lt; &#10; || true )", true),
        ("(false /* &#42;/ || true /* */ )", true),
        ("(false /* &#x2A;&#x2F; || true /* */ )", true),
        ("(false /* *&#47; || true /* ' ) */ )", true),
        ("(false /*/ || true /* */ )", false),
        ("(false /**/ || true)", true),
        ("{&#xA; // only ours&#xA; return true; }", true),
        ("{&#xA; // it's (not&#xA; return true; }", true),
        // Character literals, and entities however long.
        ("(&quot;a(b&quot;.Split(&apos;(&apos;).Length == 2)", true),
        ("(&quot;a)b&quot;.Split(&#39;)&#39;).Length == 2)", true),
        ("(&quot;a'b&quot;.Split(&apos;\\&apos;&apos;).Length == 2)", true),
        ("(&quot;&#0000000000108;one&quot; == &quot;lone&quot;)", true),
        ("(&#000000000000000000000000000000000034;a&quot; == &quot;a&quot;)", true),
    ] {
        let text = when(code);
        assert_eq!(outcome(Format::Xml, &text), Some(refused), "{text}");
        assert_eq!(outcome(Format::RawXml, &text), Some(refused), "{text}");
    }
    // Where a literal's quotes are raw and an entity stands inside, it could be read in two ways.
    for code in ["('&#0000000000108;' == 'l')", "('&apos;' == 'l')", "(&apos;' == 'l')"] {
        assert!(errors(&when(code)).to_string().contains("two ways"), "{code}");
    }
    let text = "<choose><when condition='@(\"&#0000000000108;one\" == \"lone\")' /></choose>";
    assert!(errors(text).to_string().contains("two ways"));
    // What is no entity is itself.
    for code in ["(\"&\" + \"&#;\" + \"&a b;\" == \"a\")", "(true && !false)", "(\"&amp\" == \"a\")"] {
        assert!(Document::parse(&when(code)).is_ok(), "{code}");
    }
}

#[test]
fn documents_that_are_made_to_cost_are_refused() {
    let deep = |levels: usize| format!("{}{}", "<choose>".repeat(levels), "</choose>".repeat(levels));
    for (text, message) in [
        (deep(100_000), "longer than"),
        (deep(10_000), "nested"),
        (condition(&"(".repeat(10_000)), "nested"),
        (condition(&format!("{}true", "!".repeat(10_000))), "nested"),
        (condition(&format!("true{}", " ? true : true".repeat(1_000))), "nested"),
        (condition(&format!("true{}", " || true".repeat(1_000))), "more than 512"),
        (condition(&format!("\"a\"{} == \"b\"", ".Trim()".repeat(1_000))), "nested"),
        (condition(&format!("{}true", "(bool)".repeat(1_000))), "nested"),
        (condition(&format!("\"{}\" == \"b\"", "a".repeat(20_000))), "longer than"),
        ("<base />".repeat(25_000), ""),
        (format!("<a {}/>", "b='' ".repeat(50_000)), "more than 64 attributes"),
        (
            format!("<base {}/>", (0..65).map(|i| format!("a{i}='' ")).collect::<String>()),
            "more than 64 attributes",
        ),
        (format!("<set-header name='{}' />", "a".repeat(70_000)), ""),
    ] {
        let started = std::time::Instant::now();
        let errors = errors(&text);
        assert!(errors.to_string().contains(message), "{message}: {}", errors.iter().next().unwrap());
        assert!(started.elapsed().as_secs() < 5, "{message}");
    }
}

#[test]
fn variables_that_are_made_of_variables_are_read_in_time() {
    let chain = |count: usize| -> String {
        let of = |i: usize| match i {
            0 => "<set-variable name='v0' value='a' />".to_owned(),
            _ => format!("<set-variable name='v{i}' value='@(context.Variables[\"v{}\"])' />", i - 1),
        };
        (0..count).map(of).collect()
    };
    let started = std::time::Instant::now();
    // Each of the last is made of all before it.
    let again = "<set-variable name='v255' value='@(context.Variables[\"v254\"])' />".repeat(1_000);
    assert!(WORLD.load(&(chain(256) + &again)).is_ok());
    let all: Vec<_> = (0..255).map(|i| format!("context.Variables[\"v{i}\"]")).collect();
    let of_all = format!("<set-variable name='v255' value='@($\"{{{}}}\")' />", all.join("}{"));
    assert!(WORLD.load(&(chain(255) + &of_all.repeat(10))).is_ok());
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    let errors = errors(&chain(257));
    assert!(errors.to_string().contains("more than 256 variables"), "{errors}");
}

#[test]
fn a_long_line_of_many_elements_is_read_in_time() {
    let started = std::time::Instant::now();
    let text = "<set-variable name='a' value='b' />".repeat(7_000);
    assert!(WORLD.load(&text).is_ok());
    let text = format!("<choose>{}</choose>", "<when condition='true' />".repeat(9_000));
    assert!(WORLD.load(&text).is_ok());
    for (unit, count) in [("{", 250_000), ("{{a", 80_000), ("a", 250_000), ("{{a}", 60_000), ("}", 250_000)] {
        let text = format!("<set-variable name='a' value='{}{}' />", "{{", unit.repeat(count));
        assert!(WORLD.load(&text).is_ok(), "{unit}");
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn what_is_odd_is_warned_of() {
    for (text, message) in [
        (
            condition(
                "context.Request.Certificate.Thumbprint != \"ca06f56b258b7a0d4f2b05470939478651151984\"",
            ),
            "upper-case",
        ),
        (
            condition("context.Request.Certificate.Subject != \"C=US, O=Contoso, CN=orders\""),
            "OpenSSL's order",
        ),
        (condition("context.Request.Certificate.Subject == \"CN=orders, ST=Illinois\""), "S=Illinois"),
        (condition("context.Request.Certificate?.Issuer != \"CN=a,O=b\""), ".NET prints CN=a, O=b"),
        (condition("context.Request.Certificate.SerialNumber != \"A1B2C3D4\""), "00A1B2C3D4"),
        (condition("!new [] { \"aa\" }.Contains(context.Request.Certificate.Thumbprint)"), "never equal"),
        (condition("context.Deployment.Certificates.ContainsKey(\"orders\")"), "keyed by thumbprint"),
        (condition("context.Deployment.Certificates[\"partner-client\"] == null"), "not by id"),
        (condition("context.Deployment.Certificates.Any(c => c.Key == \"partner\")"), "nothing is found under \"partner\""),
        (condition("context.Deployment.Certificates.ContainsKey(\"ca06f56b258b7a0d4f2b05470939478651151984\")"), "upper-case"),
        (
            condition("context.Request.Certificate.Thumbprint == \"CA:06:F5:6B:25:8B:7A:0D:4F:2B:05:47:09:39:47:86:51:15:19:84\""),
            "without separators, CA06F56B258B7A0D4F2B05470939478651151984",
        ),
        (condition(&format!("context.Request.Certificate.Thumbprint != \"{}\"", "A1".repeat(32))), "-fingerprint -sha1 prints it"),
        (
            condition("context.Request.Certificate.Thumbprint != \"\u{200e}CA06F56B258B7A0D4F2B05470939478651151984\""),
            "the invisible character U+200E; write CA06F56B",
        ),
        (
            condition("context.Request.Certificate.Thumbprint.ToLower() != \"CA06F56B258B7A0D4F2B05470939478651151984\""),
            "in lower case is never equal to this: write ca06f56b",
        ),
        (condition("context.Request.Certificate.Subject.ToUpper() == \"CN=orders\""), "in upper case is never equal"),
        (condition("context.Request.Certificate.Thumbprint.StartsWith(\"ca06\")"), "it has upper-case hex digits"),
        (condition("context.Request.Certificate.Thumbprint.ToLower().EndsWith(\"CA06\")"), "it has lower-case hex digits"),
        (condition("context.Request.Certificate.SerialNumber.Contains(\"a1:b2\")"), "it has upper-case hex digits"),
        (condition("context.Request.Certificate.Subject.Contains(\"CN=orders\")"), "such as CN=orders-x"),
        (
            condition("0 == 1").replace(
                "@(0 == 1)",
                "@{ var known = new[] { \"ca06\" }; return known.Contains(context.Request.Certificate.Thumbprint); }",
            ),
            "never equal to this",
        ),
        (
            condition("0 == 1").replace(
                "@(0 == 1)",
                "@{ var mine = context.Request.Certificate?.Thumbprint?.ToLower(); return mine == \"CA06\"; }",
            ),
            "in lower case is never equal to this: write ca06",
        ),
        (
            condition("new[] { \"ca06f56b258b7a0d4f2b05470939478651151984\" }.Any(t => t == context.Request.Certificate.Thumbprint)"),
            "upper-case",
        ),
        (
            condition("\"ca06f56b258b7a0d4f2b05470939478651151984,\".Split(',').Contains(context.Request.Certificate.Thumbprint)"),
            "upper-case",
        ),
        (condition("context.Request.Certificate.Subject != \"O = Contoso, CN = orders\""), ".NET prints CN=orders, O=Contoso"),
        (
            "<authentication-certificate certificate-id='orders' />\n<authentication-certificate certificate-id='orders' />".into(),
            "1:1: no effect: <authentication-certificate> on line 2 overrides it",
        ),
        (
            "<set-backend-service base-url='https://a' />\n<set-backend-service backend-id='east' />".into(),
            "1:1: no effect: <set-backend-service> on line 2 overrides it",
        ),
        ("<return-response />\n<base />".into(), "2:1: unreachable: <return-response> on line 1 ends the section"),
        ("<return-response><set-body>a</set-body><set-body>b</set-body></return-response>".into(), "the last one applies"),
        (
            condition("context.Request.Certificate == null").replace("403", "302"),
            "a status below 400 is not a rejection, and no certificate is admitted",
        ),
        (condition("context.Request.Certificate.Subject != \"CN=orders, O=Contoso\""), "not proven"),
        (condition("context.Request.Certificate == null"), "a self-made certificate can pass"),
        (condition("context.Request.Method == \"GET\""), "the caller's certificate is not read"),
        (condition("context.Request.Certificate.Subject.StartsWith(\"CN=a\")"), "StringComparison.Ordinal"),
        (condition("(string)context.Variables[\"never\"] == \"a\""), "variable \"never\" is never set"),
        (
            "<authentication-certificate certificate-id='later' />".into(),
            "no certificate has the id \"later\" at present",
        ),
        ("<validate-client-certificate ignore-error='true' />".into(), "all requests pass"),
        ("<validate-client-certificate validate-not-after='false' />".into(), "dates of the whole chain"),
        (
            "<validate-client-certificate validate-trust='false'><identities><identity common-name='a' \
             /></identities></validate-client-certificate>"
                .into(),
            "not proven",
        ),
        ("<policies><inbound /></policies>".into(), "<backend> is missing"),
        (
            "<set-variable name='a' value='@{ if (1 == 1) { return 1; } else { return 2; } var b = 2; return b; }' />".into(),
            "1:79: this never runs",
        ),
        (
            condition("context.Request.Certificate.Thumbprint != \"A\""),
            "2:2: requests without a certificate fail with 500 at context.Request.Certificate.Thumbprint; \
             write context.Request.Certificate == null || in front",
        ),
        (
            condition("context.Request.Method == \"POST\" && !context.Request.Certificate.VerifyNoRevocation()"),
            "fail with 500 at context.Request.Certificate.VerifyNoRevocation()",
        ),
        (
            "<choose><when condition='@(context.Request.Certificate.Subject == \"CN=a\")'><base /></when><otherwise>\
             <return-response><set-status code='403' /></return-response></otherwise></choose>"
                .replace("<base />", ""),
            "write context.Request.Certificate != null && in front",
        ),
        (
            "<set-header name='a'><value>@(context.Request.Certificate.Subject)</value></set-header>".into(),
            "fail with 500 at context.Request.Certificate.Subject",
        ),
        (
            condition("context.Variables.GetValueOrDefault<bool>(\"known\") && context.Request.Certificate.Subject == \"CN=a\"")
                .replace("<choose>", "<set-variable name='known' value='@(context.Request.Certificate == null)' /><choose>"),
            "fail with 500 at context.Request.Certificate.Subject",
        ),
        (
            condition("0 == 1").replace("@(0 == 1)", "@{ var c = context.Request.Certificate; return c.Subject == \"CN=a\"; }"),
            "fail with 500 at c.Subject",
        ),
    ] {
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let warnings: Vec<_> = document.warnings().iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains(message)), "{text}: {warnings:?}");
    }
    for quiet in [
        "context.Request.Certificate?.Thumbprint.Equals(\"CA06F56B258B7A0D4F2B05470939478651151984\", \
         StringComparison.InvariantCultureIgnoreCase) != true",
        "context.Request.Certificate?.Thumbprint?.Equals(\"CA06F56B258B7A0D4F2B05470939478651151984\", \
         StringComparison.InvariantCultureIgnoreCase) != true",
        "context.Request.Certificate?.Thumbprint.ToLower() != \"ca06f56b258b7a0d4f2b05470939478651151984\"",
        "context.Request.Certificate?.Thumbprint.StartsWith(\"CA06\") != true",
        "!new[] { \"CA06F56B258B7A0D4F2B05470939478651151984\" }.Any(t => t == context.Request.Certificate?.Thumbprint)",
        "context.Request.Certificate?.Thumbprint.Equals(\"ca06f56b258b7a0d4f2b05470939478651151984\", \
         StringComparison.OrdinalIgnoreCase) != true",
    ] {
        let document = WORLD.load(&condition(quiet)).unwrap();
        let odd = document.warnings().iter().find(|warning| warning.kind() != FindingKind::Unanchored);
        assert_eq!(odd, None, "{quiet}");
    }
    for guarded in [
        condition("context.Request.Certificate == null || context.Request.Certificate.Thumbprint != \"A\""),
        condition("context.Request.Certificate != null && context.Request.Certificate.Thumbprint != \"A\""),
        condition("context.Request.Certificate?.Thumbprint != \"A\""),
        condition("(context.Request.Certificate?.VerifyNoRevocation() ?? false) == false"),
        condition("context.Request.Certificate == null") + &condition("context.Request.Certificate.Subject != \"CN=a\""),
        "<validate-client-certificate />".to_owned() + &condition("context.Request.Certificate.Subject != \"CN=a\""),
        "<set-variable name='has' value='@(context.Request.Certificate != null)' />".to_owned()
            + &condition("context.Variables.GetValueOrDefault<bool>(\"has\") && context.Request.Certificate.Subject != \"CN=a\""),
        "<set-variable name='c' value='@(context.Request.Certificate?.Subject)' />".to_owned()
            + &condition("(string)context.Variables[\"c\"] != \"CN=a\""),
        condition("true").replace(
            "@(true)",
            "@{ var c = context.Request.Certificate; if (c == null) { return true; } return c.Subject != \"CN=a\"; }",
        ),
    ] {
        let document = WORLD.load(&guarded).unwrap();
        let alarm = document.warnings().iter().find(|warning| warning.message().contains("500"));
        assert_eq!(alarm, None, "{guarded}");
    }
    for sound in ["validate_all", "issuer_and_subject", "store", "whole_document", "rotation_two_thumbprints"]
    {
        let (_, text) = crate::corpus::documents().into_iter().find(|(name, _)| name == sound).unwrap();
        assert_eq!(WORLD.load(&text).unwrap().warnings(), [], "{sound}");
    }
}

#[test]
fn callers_that_are_looked_up_where_none_of_them_is_are_warned_of() {
    let store = condition(
        "context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == \
         context.Request.Certificate.Thumbprint)",
    );
    let key = condition(
        "!context.Deployment.Certificates.ContainsKey(context.Request.Certificate?.Thumbprint ?? \"\")",
    );
    let other = condition("context.Request.Certificate == null || context.Deployment.Certificates.Count > 3");
    let none = DeploymentCertificates::new;
    let ours = || none().with("orders", WORLD.orders.clone(), true);
    for (text, deployed, told) in [
        (&store, none(), Some("which is empty; add the callers' certificates")),
        (&store, ours(), Some("only identities for backends (\"orders\")")),
        (&store, ours().with("caller", WORLD.billing.clone(), false), None),
        (&key, none(), Some("which is empty")),
        (&other, none(), None),
    ] {
        let builder = Document::builder().allow_unanchored().deployment(SharedDeployment::new(deployed));
        let document = builder.load(text).unwrap();
        let warned = document.warnings().iter().find(|warning| warning.kind() == FindingKind::Callers);
        match told {
            Some(told) => assert!(warned.unwrap().to_string().contains(told), "{text}: {warned:?}"),
            None => assert_eq!(warned, None, "{text}"),
        }
    }
}

#[test]
fn what_a_document_needs_of_its_surroundings_can_be_asked() {
    let trusting =
        condition("context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation()");
    let issuer = "<validate-client-certificate validate-trust='false'><identities><identity \
                  issuer-thumbprint='CA06F56B258B7A0D4F2B05470939478651151984' /></identities></validate-client-certificate>";
    for (text, asks) in [
        (trusting.as_str(), true),
        ("<validate-client-certificate />", true),
        ("<validate-client-certificate validate-trust='false' />", false),
        (issuer, true),
        ("<base />", false),
    ] {
        assert_eq!(WORLD.load(text).unwrap().summary().uses_trust, asks, "{text}");
    }
    let whole = "<policies>\n<inbound>\n <base />\n</inbound><outbound><base /></outbound></policies>";
    let above = WORLD.load("<base />").unwrap();
    let unresolved_base =
        |document: &Document| document.summary().unresolved_base.map(|at| (at.line, at.column));
    assert_eq!(unresolved_base(&above), Some((1, 1)));
    assert_eq!(unresolved_base(&WORLD.load(whole).unwrap()), Some((3, 2)));
    assert_eq!(unresolved_base(&WORLD.builder().base(&above).load(whole).unwrap()), None);
    assert_eq!(
        unresolved_base(&WORLD.load("<policies><outbound><base /></outbound></policies>").unwrap()),
        None
    );
}

#[test]
fn base_runs_the_document_above() {
    let global = Document::builder()
        .scope(tower_mtls::apim::DocumentScope::Global)
        .allow_unanchored()
        .load(&condition("context.Request.Certificate == null"))
        .unwrap();
    let load = |text: &str| Document::builder().allow_unanchored().base(&global).load(text).unwrap();
    let is_refused = |document: &Document| {
        matches!(evaluate(document, &WORLD.certificate("none")), DocumentDecision::Respond(_))
    };
    for (inbound, refused) in [
        ("<inbound><base /></inbound>", true),
        // A section that is left out is not lost, one that is written without it is.
        ("", true),
        ("<inbound></inbound>", false),
    ] {
        let document = load(&format!("<policies>{inbound}<backend><base /></backend></policies>"));
        assert_eq!(is_refused(&document), refused, "{inbound}");
        let warned = document.warnings().iter().any(|warning| warning.message().contains("do not run"));
        assert_eq!(warned, !refused, "{inbound}");
    }
    assert!(is_refused(&load("<base /><set-variable name='a' value='b' />")));
    for (code, needs_revocation) in [("VerifyNoRevocation", false), ("Verify", true)] {
        let above = WORLD.load(&condition(&format!("!context.Request.Certificate.{code}()"))).unwrap();
        let untrusting = Document::builder().base(&above).load("<base />").unwrap_err();
        assert!(untrusting.to_string().contains("trusted roots"), "{untrusting}");
        let trusting = Document::builder().trust(WORLD.trust.clone()).base(&above).load("<base />");
        assert_eq!(trusting.is_err(), needs_revocation, "{code}");
    }
}

#[cfg(feature = "identity")]
#[test]
fn an_identity_in_the_document_is_read_at_load() {
    use tower_mtls::apim::ChosenIdentity;
    let issued = crate::pki::Leaf::client("embedded").self_signed();
    let base64 = pem::encode_config(
        &pem::Pem::new("X", issued.pfx("secret")),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    );
    let base64: String = base64.lines().filter(|line| !line.starts_with("---")).collect();
    let text = |password: &str| {
        format!(
            "<authentication-certificate body=\"@(Convert.FromBase64String(\"{base64}\"))\" password=\"{password}\" />"
        )
    };
    let document = WORLD.load(&text("secret")).unwrap();
    let refused = WORLD.builder().only_referenced_identities().load(&text("secret")).unwrap_err();
    assert!(
        refused.to_string().starts_with("1:29: body: private keys in documents are not allowed"),
        "{refused}"
    );
    let outcome = evaluate(&document, &WORLD.certificate("none"));
    let Some(ChosenIdentity::Embedded(identity)) = outcome.forward().unwrap().forwarding().identity() else {
        panic!("no identity");
    };
    assert_eq!(identity.certificate().der(), issued.der);
    let wrong = errors(&text("guess"));
    assert!(wrong.to_string().contains("password"), "{wrong}");
    assert!(!wrong.to_string().contains("guess"), "{wrong}");
}

#[test]
fn warnings_stand_beside_errors_but_not_those_that_an_error_may_explain() {
    let text = "<validate-jwt />\n<choose>\n\
                <when condition=\"@(context.Request.Certificate.Thumbprint == \"aa06f56b258b7a0d4f2b05470939478651151984\")\" />\n\
                </choose>";
    let errors = WORLD.load(text).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.line()).collect::<Vec<_>>(), [1], "{errors}");
    let warnings: Vec<_> = errors.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("3:") && warnings[0].contains("upper-case"), "{warnings:?}");
}

#[test]
fn an_error_says_what_to_do_in_place_of_the_element() {
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
        let told = |error: &DocumentError| error.kind() == kind && error.message().contains(message);
        if !errors.iter().any(told) {
            wrong.push(format!("{text}: {message}; found {errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_others_know_a_remedy_for_is_told_by_its_kind() {
    let verify = condition("!context.Request.Certificate.Verify()");
    let trusting = Document::builder().trust(WORLD.trust.clone());
    let named = "<authentication-certificate certificate-id='order' />";
    for (builder, text, kind, problem, remedy) in [
        (
            Document::builder(),
            verify.as_str(),
            FindingKind::Trust,
            "Verify() needs trusted roots, and there are none here",
            "name the CAs that callers chain to",
        ),
        (
            trusting.clone(),
            &verify,
            FindingKind::Revocation,
            "Verify() asks whether certificates are revoked, and revocation is not stated",
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
fn what_is_not_told_of_very_many_errors_is_counted() {
    let errors = errors(&"<trace />\n".repeat(123));
    assert_eq!((errors.iter().len(), errors.left_out()), (100, 23));
    assert!(errors.to_string().ends_with("\nand 23 more"));
    assert_eq!(errors.iter().map(DocumentError::line).max(), Some(100));
}

#[test]
fn of_a_named_value_only_that_is_told() {
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
        let told: Vec<_> = errors.iter().map(|error| error.message()).collect();
        assert!(
            matches!(told.as_slice(), [only] if only.starts_with("named values {{...}}")),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn cookies_that_came_in_pieces_are_one_field_again() {
    use crate::world::NOW;
    use tower_mtls::apim::RequestFacts;
    let request = http::Request::get("/")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-list", "a")
        .header("x-list", "b")
        .body(())
        .unwrap();
    for (name, joined) in [("Cookie", "a=1; b=2"), ("X-List", "a,b")] {
        let text = format!(
            "<set-variable name='a' value='@(context.Request.Headers.GetValueOrDefault(\"{name}\", \"\"))' />"
        );
        let outcome = WORLD
            .load(&text)
            .unwrap()
            .evaluate(&RequestFacts::new(&request, &WORLD.certificate("none")), NOW);
        assert_eq!(outcome.forward().unwrap().variable("a"), Some(joined), "{name}");
    }
}

#[test]
fn what_an_expression_may_name_is_told() {
    let told = |text: &str| -> Vec<String> {
        let document = WORLD.load(text).unwrap();
        document.summary().possible_certificates.iter().map(ToString::to_string).collect()
    };
    let literal =
        "<set-variable name='a' value='orders' /><authentication-certificate certificate-id='orders' />";
    assert!(told(literal).is_empty());
    let open = "<set-variable name='a' value='orders' />\
                <authentication-certificate certificate-id='@((string)context.Variables[\"a\"])' />";
    assert!(told(open).contains(&"the certificate with the id orders".to_owned()), "{:?}", told(open));
    let joined = "<authentication-certificate thumbprint='@(context.Request.Certificate == null ? \
                  \"31CBB8262B6710B510178BC639C738F8B85B71E6\" : \"AAB8262B6710B510178BC639C738F8B85B71E6AA\")' />";
    assert_eq!(told(joined).len(), 2, "{:?}", told(joined));
}
