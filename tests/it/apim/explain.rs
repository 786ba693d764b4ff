//! Explanations for operators.

use tower_mtls::{apim::RequestFacts, certificate::Presented};

use super::world::{NOW, WORLD, request};

fn explain(text: &str, caller: &str) -> String {
    let document = WORLD.load(&WORLD.fill(text)).unwrap_or_else(|errors| panic!("{errors}"));
    let presented = WORLD.certificate(caller);
    document.explain(&RequestFacts::new(&request(), &presented), NOW).to_string()
}

#[test]
fn document_is_explained_condition_by_condition() {
    const TEXT: &str = "<choose>\n<when condition=\"@(context.Request.Certificate == null || \
                        !context.Request.Certificate.VerifyNoRevocation() || context.Request.Certificate.Subject != \"CN=orders, \
                        O=Contoso\")\">\n<return-response><set-status code=\"403\" reason=\"Invalid client certificate\" \
                        /></return-response>\n</when>\n</choose>\n<authentication-certificate certificate-id=\"orders\" />";
    let passed = explain(TEXT, "orders");
    let expected = "line 2: when @(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation() || \
                    context.Request.Certificate.Subject != \"CN=orders, O=Contoso\"): false\n  false: \
                    context.Request.Certificate == null (found: a certificate with the thumbprint ORDERS-THUMBPRINT)\n  false: \
                    !context.Request.Certificate.VerifyNoRevocation()\n  false: context.Request.Certificate.Subject != \"CN=orders, \
                    O=Contoso\" (found: \"CN=orders, O=Contoso\")\nline 6: backend identity: the certificate with the id \
                    orders\nforwarded; certificate admitted";
    assert_eq!(passed, WORLD.fill(expected));
    let refused = explain(TEXT, "billing");
    assert!(refused.contains("true: context.Request.Certificate.Subject"), "{refused}");
    assert!(refused.contains("(found: \"CN=billing, O=Contoso\")"), "{refused}");
    assert!(
        refused.ends_with("response: 403 Invalid client certificate by return-response on line 3"),
        "{refused}"
    );
    let missing = explain(TEXT, "none");
    assert!(!missing.contains("VerifyNoRevocation():"), "not evaluated: {missing}");
}

#[test]
fn validation_is_explained_claim_by_claim() {
    const TEXT: &str = "<validate-client-certificate><identities><identity common-name=\"orders\" dns-name=\"x\" \
                        /></identities></validate-client-certificate>";
    let reported = explain(TEXT, "orders");
    for line in [
        "line 1: validate-client-certificate: ClientCertificateIdentityNotMatched: Certificate does not match any of allowed \
         identities.",
        "  identity 1: holds: common-name is \"orders\"",
        "  identity 1: FAILS: dns-name is \"x\" (found: \"orders.contoso.com\", \"api.contoso.com\")",
        "response: 401 by validate-client-certificate on line 1: ClientCertificateIdentityNotMatched: Certificate does not \
         match any of allowed identities.",
    ] {
        assert!(reported.lines().any(|reported| reported == line), "{line}: {reported}");
    }
}

#[test]
fn failing_expression_is_explained() {
    let reported = explain(
        "<choose><when condition=\"@(context.Request.Certificate.Thumbprint == \"A\")\"><return-response /></when></choose>",
        "none",
    );
    assert!(reported.contains("Object reference not set to an instance of an object."), "{reported}");
    assert!(
        reported.contains("response: 500 by when on line 1: ExpressionValueEvaluationFailure"),
        "{reported}"
    );
}

#[test]
fn details_of_a_line_follow_below_it() {
    let refusing = |code: &str| {
        format!(
            "<choose><when condition=\"@(context.Request.Certificate == null || {code})\"><return-response><set-status \
             code=\"403\" reason=\"No\" /></return-response></when></choose>"
        )
    };
    let verify = refusing("!context.Request.Certificate.VerifyNoRevocation()");
    let store = refusing(
        "!context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)",
    );
    let validate = "<validate-client-certificate><identities><identity subject=\"CN=other, O=Contoso\" \
                    /></identities></validate-client-certificate>";
    for (text, caller, expected) in [
        (verify.as_str(), "expired", "    certificate expired: valid from "),
        (&verify, "early", "    certificate not yet valid: valid from "),
        (
            &verify,
            "impostor",
            "    no valid chain: the signature of CA \"CN=Partners Issuing CA,O=Contoso\" is wrong: a CA with the right name and \
             another key",
        ),
        (&verify, "lone", "    no valid chain: "),
        (
            &store,
            "billing",
            "    context.Deployment.Certificates contains 3: \"fabrikam\", \"issuing-ca\", \"orders\"",
        ),
        (
            validate,
            "impostor",
            "  no valid chain: the signature of CA \"CN=Partners Issuing CA,O=Contoso\" is wrong",
        ),
        (validate, "expired", "  certificate expired: valid from "),
        (
            validate,
            "orders",
            "  identity 1: FAILS: subject is \"CN=other, O=Contoso\" (found: CN=orders, O=Contoso)",
        ),
        (&verify, "none", "  line 1: return-response: 403 No"),
        (
            "<set-variable name=\"a\" value=\"@(context.Request.Certificate.Subject)\" />",
            "orders",
            "line 1: sets variable \"a\": \"CN=orders, O=Contoso\"",
        ),
        (
            "<set-variable name=\"a\" value=\"@(context.Request.Certificate == null)\" />",
            "orders",
            "line 1: sets variable \"a\": false",
        ),
    ] {
        let reported = explain(text, caller);
        assert!(reported.lines().any(|line| line.starts_with(expected)), "{expected}:\n{reported}");
    }
    let trusted = explain(&verify, "orders");
    assert!(!trusted.contains("no valid chain") && !trusted.contains("holds 3"), "{trusted}");
}

#[test]
fn refusal_contains_the_reason_of_a_missing_chain() {
    const VERIFY: &str = "<choose><when condition=\"@(context.Request.Certificate == null || \
                          !context.Request.Certificate.VerifyNoRevocation() || context.Request.Certificate.Subject != \
                          \"CN=orders, O=Contoso\")\"><return-response><set-status code=\"403\" \
                          /></return-response></when></choose>";
    const UNASKED: &str = "<choose><when condition=\"@(context.Request.Certificate.Thumbprint != \"A\" || \
                           context.Request.Certificate.VerifyNoRevocation())\"><return-response><set-status code=\"403\" \
                           /></return-response></when></choose>";
    const WRONG: &str = "a signature in the chain is wrong: a CA with the right name and another key";
    const EXPIRED: &str = "the certificate has expired";
    for (text, caller, expected) in [
        (VERIFY, "impostor", Some(WRONG)),
        (VERIFY, "expired", Some(EXPIRED)),
        // Rejected by its name: the chain is valid.
        (VERIFY, "billing", None),
        (VERIFY, "none", None),
        ("<validate-client-certificate />", "impostor", Some(WRONG)),
        ("<validate-client-certificate validate-trust='false' />", "expired", None),
        // The log triggers no verification.
        (UNASKED, "impostor", None),
    ] {
        // Verdicts are cached per certificate, so this test needs its own.
        let presented = match WORLD.certificate(caller) {
            Presented::Certificate(known) => {
                Presented::from_der_chain(std::iter::once(known.der()).chain(known.chain()))
            }
            other => other,
        };
        let document = WORLD.load(text).unwrap();
        for refused in [
            document.evaluate(&RequestFacts::new(&request(), &presented), NOW).response(),
            document
                .evaluate_shadow(&RequestFacts::new(&request(), &presented), NOW)
                .forward()
                .unwrap()
                .withheld_response(),
        ] {
            assert_eq!(refused.unwrap().chain_failure(), expected, "{caller}: {text}");
        }
    }
}
