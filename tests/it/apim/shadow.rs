//! Decisions in shadow mode.

use tower_mtls::apim::RequestFacts;

use super::texts::*;
use super::world::{NOW, WORLD, request};

#[test]
fn shadow_mode_responds_with_500_if_the_selection_fails() {
    for element in [
        "<authentication-certificate certificate-id='@((string)context.Variables[\"v\"])' />",
        "<set-backend-service base-url='@((string)context.Variables[\"v\"])' />",
    ] {
        for text in [element.to_owned(), format!("<choose><when condition='true'>{element}</when></choose>")]
        {
            let presented = WORLD.certificate("orders");
            let request = request();
            let facts = RequestFacts::new(&request, &presented);
            let outcome = WORLD.load(&text).unwrap().evaluate_shadow(&facts, NOW);
            assert_eq!(outcome.response().unwrap().status(), 500, "{text}");
        }
    }
}

#[test]
fn shadow_mode_rejects_if_identity_or_url_depend_on_a_condition() {
    let certificate = "context.Request.Certificate";
    let choose = |inside: &str| format!("<choose>{inside}</choose>");
    let a = "<authentication-certificate certificate-id='a' />";
    let b = "<set-backend-service base-url='https://b' />";
    let otherwise = |inside: &str| format!("<otherwise>{inside}</otherwise>");
    let is_missing = |inside: &str| when(&format!("{certificate} == null"), inside);
    let is_a = |inside: &str| when(&format!("{certificate}.Subject == \"CN=a\""), inside);
    let set = format!("<set-variable name='v' value='@({certificate}.Thumbprint)' />");
    let by_variable = "<authentication-certificate certificate-id='@(context.Variables.GetValueOrDefault<string>(\"v\", \"admin\"))' />";
    let guard = refusing("CERT == null || !CERT.VerifyNoRevocation()");
    let validate = "<validate-client-certificate />";
    for (text, caller, expected) in [
        // The choice without the failure is unknown.
        (
            choose(&(is_a(a) + &otherwise("<authentication-certificate certificate-id='public' />"))),
            "none",
            "500",
        ),
        (choose(&(is_a(b) + &otherwise("<set-backend-service base-url='https://c' />"))), "none", "500"),
        (format!("{guard}{set}{by_variable}"), "none", "403"),
        // Passing requests get a choice that refused ones do not.
        (choose(&(is_missing(&answer(403)) + &otherwise(a))), "none", "403"),
        (choose(&(is_missing(&answer(403)) + &otherwise(b))), "none", "403"),
        (a.to_owned() + &choose(&(is_missing(&answer(403)) + &otherwise(&format!("{a}{b}")))), "none", "403"),
        (choose(&(is_missing(&(answer(403) + a)) + &otherwise(&format!("{a}{b}")))), "none", "403"),
        (choose(&(is_missing(&choose(&is_missing(&answer(403)))) + &otherwise(a))), "none", "403"),
        // Unproven names of a certificate.
        (format!("{guard}{CHOOSE}"), "lone", "403"),
        (format!("{validate}{CHOOSE}"), "lone", "401"),
        (format!("{guard}{CHOOSE}"), "orders", "passes"),
        // All requests have the same backend and identity: the caller's value of a failing header is removed.
        (choose(&is_a("<set-header name='x'><value>y</value></set-header>")) + a, "none", "passes"),
        (
            format!("<set-header name='x'><value>@({certificate}.Subject)</value></set-header>{a}"),
            "none",
            "passes",
        ),
        (
            choose(&is_missing(&format!(
                "<return-response><set-body>@({certificate}.Subject)</set-body></return-response>{a}"
            ))),
            "none",
            "500",
        ),
        (
            choose(
                &(is_missing(&format!(
                    "<return-response><set-body>@({certificate}.Subject)</set-body></return-response>"
                )) + &otherwise(a)),
            ),
            "none",
            "500",
        ),
        // The rest continues with the document's choice for all callers.
        (format!("{guard}{a}{b}"), "lone", "passes"),
        (format!("{guard}{a}{b}"), "none", "passes"),
        (format!("{validate}{a}"), "none", "passes"),
        (choose(&(is_missing(&(answer(403) + a)) + &otherwise(a))), "none", "403"),
        (choose(&(is_missing(&answer(403)) + &otherwise(""))) + a, "none", "passes"),
        (choose(&(is_missing("") + &otherwise(a))), "none", "passes"),
        (choose(&is_a("<set-header name='x'><value>y</value></set-header>")), "none", "passes"),
        (
            format!(
                "<policies><inbound>{a}</inbound><backend><base /></backend><outbound>{set}</outbound></policies>"
            ),
            "none",
            "passes",
        ),
    ] {
        let presented = WORLD.certificate(caller);
        let request = request();
        let facts = RequestFacts::new(&request, &presented);
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let outcome = document.evaluate_shadow(&facts, NOW);
        let found =
            outcome.response().map_or_else(|| "passes".into(), |answer| answer.status().as_u16().to_string());
        assert_eq!(found, expected, "{text}: {outcome:?}");
    }
}
