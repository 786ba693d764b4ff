//! Edits of a policy's text change one element only.

use serde_json::{Value, json};

use super::browser::Browser;
use crate::store_and_api::world::World;

#[tokio::test]
async fn policy_edit_changes_one_element_only() {
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
    let unreadable = "The policy cannot be edited here. Edit its text on the Policy tab.";
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
async fn last_element_of_both_documents_is_effective() {
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
        ("no document of its own", None, Some(policies(&a)), is("a", "global")),
        ("its own", Some(policies(&a)), None, is("a", "own")),
        ("before its own", Some(policies(&format!("<base />{a}"))), Some(policies(&b)), is("a", "own")),
        ("behind its own", Some(policies(&format!("{a}<base />"))), Some(policies(&b)), is("b", "global")),
        ("without base", Some(policies("")), Some(policies(&b)), nothing.clone()),
        ("without inbound", Some("<policies />".into()), Some(policies(&b)), is("b", "global")),
        ("a fragment", Some(a.clone()), Some(policies(&b)), is("a", "own")),
        ("under a condition", Some(policies(&when(&a))), None, json!([null, null, "own"])),
        ("under one above", None, Some(policies(&when(&a))), json!([null, null, "global"])),
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
                 const found = effective(argument.own, argument.globalPolicy, 'set-backend-service'); \
                 return [found.attributes, found.scope, found.depends]",
                json!({ "own": own, "globalPolicy": above }),
            )
            .await;
        assert_eq!(found, expected, "{case}");
    }
}

#[tokio::test]
async fn api_is_open_unless_an_effective_document_checks_the_caller() {
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
        ("neither", None, None, &[][..], "anyone"),
        ("its own", Some(&validates), None, &[], "own"),
        ("its own expression", Some(&refuses), None, &[], "own"),
        ("the gateway knows better", Some(&refuses), Some(&validates), &passes, "anyone"),
        ("reads and rejects none", Some(&looks), None, &[], "anyone"),
        ("other certificates", Some(&deployed), None, &[], "anyone"),
        ("errors are ignored", None, Some(&ignores), &[], "anyone"),
        ("a comment", Some(&commented), None, &[], "anyone"),
        ("above", None, Some(&validates), &[], "global"),
        ("above, through base", Some(&commented), Some(&refuses), &[], "global"),
        ("above, without base", Some(&deployed), Some(&validates), &[], "anyone"),
    ] {
        let found = browser
            .run_async(
                "const { callers } = await import('/portal/policy-text.js'); \
                 return callers(argument.own, argument.globalPolicy, argument.warnings)",
                json!({ "own": own, "globalPolicy": above, "warnings": warnings }),
            )
            .await;
        assert_eq!(found, expected, "{case}");
    }
}
