//! How the text of a policy is changed: by one element, and nothing else.

use serde_json::{Value, json};

use crate::{browser::Browser, world::World};

#[tokio::test]
async fn only_the_element_in_question_is_changed() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    let whole = |inside: &str| {
        format!(
            "<policies>\n    <inbound>\n        <base />{inside}\n    </inbound>\n    <backend><base /></backend>\n</policies>\n"
        )
    };
    let set = |id: &str| json!({ "certificate-id": id });
    let element = |id: &str| format!("\n        <authentication-certificate certificate-id=\"{id}\" />");
    let commented = "\n        <!-- <authentication-certificate certificate-id='no' /> -->";
    let chosen = "\n        <choose><when condition=\"@(1 &gt; 0 || &quot;>&quot; == 'a')\"><authentication-certificate \
                  certificate-id=\"x\"/></when></choose>";
    for (case, before, attributes, after) in [
        ("set", whole(""), set("orders"), whole(&element("orders"))),
        ("replace", whole(&element("orders")), set("billing"), whole(&element("billing"))),
        ("keep", whole(&element("orders")), set("orders"), whole(&element("orders"))),
        ("remove", whole(&element("orders")), Value::Null, whole("")),
        ("remove nothing", whole(""), Value::Null, whole("")),
        ("an id is escaped", whole(""), set("a\"b'<&"), whole(&element("a&#34;b&#39;&#60;&#38;"))),
        ("a comment is none", whole(commented), set("orders"), whole(&format!("{}{commented}", element("orders")))),
        ("one below a condition is left", whole(chosen), Value::Null, whole(chosen)),
        (
            "the last of several stays",
            whole(&format!("{}{commented}{}", element("a"), element("b"))),
            set("c"),
            whole(&format!("{commented}{}", element("c"))),
        ),
        (
            "with an end tag",
            whole("\n        <authentication-certificate\n thumbprint='AB' ></authentication-certificate>"),
            set("orders"),
            whole(&element("orders")),
        ),
        (
            "on one line",
            "<policies><inbound><base/><set-variable name=\"a\" value='\"'/></inbound></policies>".into(),
            set("orders"),
            "<policies><inbound><base/><authentication-certificate certificate-id=\"orders\" /><set-variable \
             name=\"a\" value='\"'/></inbound></policies>"
                .into(),
        ),
        (
            "without inbound",
            "<policies>\n</policies>".into(),
            set("orders"),
            "<policies>\n    <inbound>\n        <base />\n        <authentication-certificate \
             certificate-id=\"orders\" />\n    </inbound>\n</policies>"
                .into(),
        ),
        (
            "an empty inbound",
            "<policies>\n    <inbound />\n</policies>".into(),
            set("orders"),
            "<policies>\n    <inbound>\n        <authentication-certificate certificate-id=\"orders\" />\n    \
             </inbound>\n</policies>"
                .into(),
        ),
        (
            "without base",
            "<policies>\n    <inbound>\n        <set-variable name=\"a\" value=\"]]>\" />\n    </inbound>\n</policies>"
                .into(),
            set("orders"),
            "<policies>\n    <inbound>\n        <authentication-certificate certificate-id=\"orders\" />\n        \
             <set-variable name=\"a\" value=\"]]>\" />\n    </inbound>\n</policies>"
                .into(),
        ),
        (
            "behind what is no element",
            "<?xml version='1.0'?>\n<!-- </policies> --><policies><inbound><![CDATA[</inbound>]]></inbound></policies>"
                .into(),
            set("orders"),
            "<?xml version='1.0'?>\n<!-- </policies> --><policies><inbound><authentication-certificate \
             certificate-id=\"orders\" /><![CDATA[</inbound>]]></inbound></policies>"
                .into(),
        ),
    ] {
        let changed = browser
            .run_async(
                "const { write } = await import('/portal/policy-text.js'); \
                 return write(argument.before, 'authentication-certificate', argument.attributes)",
                json!({ "before": before, "attributes": attributes }),
            )
            .await;
        assert_eq!(changed.as_str().unwrap(), after, "{case}");
    }
    let made = browser
        .run_async(
            "const { read, write } = await import('/portal/policy-text.js'); \
             const name = 'authentication-certificate'; \
             const refused = (text) => { try { read(text, name); return null } catch (error) { return error.message } }; \
             const made = write(null, name, argument); \
             return [write(null, name, null), read(made, name), read(null, name), \
               read(`<policies><inbound><choose><when condition='@(true)'><${name} body='@(x)'/></when></choose>` + \
                 `</inbound></policies>`, name), \
               refused('<policies><inbound></policies>'), refused('<a/><b/>'), refused('')]",
            set("it's \"<&>"),
        )
        .await;
    let unreadable = "The policy cannot be read here. Change it as text, on the page Policy.";
    let expected = json!([
        null,
        { "direct": { "certificate-id": "it's \"<&>" }, "elsewhere": false },
        { "direct": null, "elsewhere": false },
        { "direct": null, "elsewhere": true },
        unreadable,
        unreadable,
        unreadable,
    ]);
    assert_eq!(made, expected);
}

#[tokio::test]
async fn what_counts_in_the_end_is_what_stands_last_in_both_documents() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    let policies = |inside: &str| format!("<policies><inbound>{inside}</inbound></policies>");
    let set = |id: &str| format!("<set-backend-service backend-id=\"{id}\" />");
    let when = |inside: &str| format!("<choose><when condition=\"@(true)\">{inside}</when></choose>");
    let (a, b) = (set("a"), set("b"));
    let is = |id: &str, scope: &str| json!([{ "backend-id": id }, scope, null]);
    let nothing = json!([null, null, null]);
    for (case, own, above, expected) in [
        ("neither", None, None, nothing.clone()),
        ("no document of its own", None, Some(policies(&a)), is("a", "above")),
        ("its own", Some(policies(&a)), None, is("a", "own")),
        ("before its own", Some(policies(&format!("<base />{a}"))), Some(policies(&b)), is("a", "own")),
        ("behind its own", Some(policies(&format!("{a}<base />"))), Some(policies(&b)), is("b", "above")),
        ("without base", Some(policies("")), Some(policies(&b)), nothing.clone()),
        ("without inbound", Some("<policies />".into()), Some(policies(&b)), is("b", "above")),
        ("a fragment", Some(a.clone()), Some(policies(&b)), is("a", "own")),
        ("under a condition", Some(policies(&when(&a))), None, json!([null, null, "own"])),
        ("under one above", None, Some(policies(&when(&a))), json!([null, null, "above"])),
        ("a condition before", Some(policies(&format!("{}{b}", when(&a)))), None, is("b", "own")),
        (
            "a condition behind",
            Some(policies(&format!("{b}{}", when(&a)))),
            None,
            json!([{ "backend-id": "b" }, "own", "own"]),
        ),
        (
            "base under a condition",
            Some(policies(&when("<base />"))),
            Some(policies(&a)),
            json!([null, null, "own"]),
        ),
    ] {
        let found = browser
            .run_async(
                "const { effective } = await import('/portal/policy-text.js'); \
                 const found = effective(argument.own, argument.above, 'set-backend-service'); \
                 return [found.attributes, found.scope, found.depends]",
                json!({ "own": own, "above": above }),
            )
            .await;
        assert_eq!(found, expected, "{case}");
    }
}

#[tokio::test]
async fn an_api_is_open_unless_a_document_that_counts_looks_at_the_caller() {
    let world = World::start("");
    let Some(browser) = Browser::start(&world).await else { return };
    browser.go(&world, "").await;
    let policies = |inside: &str| format!("<policies><inbound>{inside}</inbound></policies>");
    let validates = policies("<base /><validate-client-certificate validate-revocation=\"false\" />");
    let ignores =
        policies("<validate-client-certificate validate-revocation=\"false\" ignore-error=\"true\" />");
    let refuses = policies(
        "<choose><when condition=\"@(context.Request.Certificate == null)\"><return-response /></when></choose>",
    );
    let looks = policies("<set-variable name=\"a\" value=\"@(context.Request.Certificate?.Subject)\" />");
    let deployed = policies(
        "<choose><when condition=\"@(context.Deployment.Certificates.Count > 1)\"><return-response /></when></choose>",
    );
    let commented = policies("<base /><!-- <validate-client-certificate /> -->");
    let passes = ["1:1: no rule rejects by the caller's certificate: all requests pass"];
    for (case, own, above, warnings, expected) in [
        ("neither", None, None, &[][..], "anybody"),
        ("its own", Some(&validates), None, &[], "own"),
        ("its own expression", Some(&refuses), None, &[], "own"),
        ("the gateway knows better", Some(&refuses), Some(&validates), &passes, "anybody"),
        ("looks and refuses nobody", Some(&looks), None, &[], "anybody"),
        ("other certificates", Some(&deployed), None, &[], "anybody"),
        ("errors are ignored", None, Some(&ignores), &[], "anybody"),
        ("a comment", Some(&commented), None, &[], "anybody"),
        ("above", None, Some(&validates), &[], "above"),
        ("above, through base", Some(&commented), Some(&refuses), &[], "above"),
        ("above, without base", Some(&deployed), Some(&validates), &[], "anybody"),
    ] {
        let found = browser
            .run_async(
                "const { callers } = await import('/portal/policy-text.js'); \
                 return callers(argument.own, argument.above, argument.warnings)",
                json!({ "own": own, "above": above, "warnings": warnings }),
            )
            .await;
        assert_eq!(found, expected, "{case}");
    }
}
