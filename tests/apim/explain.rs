//! What operators are told.

use tower_mtls::apim::RequestFacts;

use crate::world::{NOW, WORLD, request};

fn explain(text: &str, caller: &str) -> String {
    let document = WORLD.load(&WORLD.fill(text)).unwrap_or_else(|errors| panic!("{errors}"));
    let presented = WORLD.certificate(caller);
    document.explain(&RequestFacts::new(&request(), &presented), NOW).to_string()
}

#[test]
fn a_document_is_explained_condition_by_condition() {
    const TEXT: &str = "<choose>\n<when condition=\"@(context.Request.Certificate == null || \
                        !context.Request.Certificate.VerifyNoRevocation() || context.Request.Certificate.Subject != \"CN=orders, \
                        O=Contoso\")\">\n<return-response><set-status code=\"403\" reason=\"Invalid client certificate\" \
                        /></return-response>\n</when>\n</choose>\n<authentication-certificate certificate-id=\"orders\" />";
    let passed = explain(TEXT, "orders");
    let expected = "line 2: when @(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation() || \
                    context.Request.Certificate.Subject != \"CN=orders, O=Contoso\"): does not hold\n  false: \
                    context.Request.Certificate == null (it is a certificate with the thumbprint ORDERS-THUMBPRINT)\n  false: \
                    !context.Request.Certificate.VerifyNoRevocation()\n  false: context.Request.Certificate.Subject != \"CN=orders, \
                    O=Contoso\" (it is \"CN=orders, O=Contoso\")\nline 6: the back end is called as the certificate with the id \
                    orders\nforwarded; the certificate is admitted";
    assert_eq!(passed, WORLD.fill(expected));
    let refused = explain(TEXT, "billing");
    assert!(refused.contains("true: context.Request.Certificate.Subject"), "{refused}");
    assert!(refused.contains("(it is \"CN=billing, O=Contoso\")"), "{refused}");
    assert!(
        refused.ends_with("answered 403 Invalid client certificate by return-response in line 3"),
        "{refused}"
    );
    let missing = explain(TEXT, "none");
    assert!(!missing.contains("VerifyNoRevocation():"), "what was not asked is not told: {missing}");
}

#[test]
fn a_validation_is_explained_claim_by_claim() {
    const TEXT: &str = "<validate-client-certificate><identities><identity common-name=\"orders\" dns-name=\"x\" \
                        /></identities></validate-client-certificate>";
    let told = explain(TEXT, "orders");
    for line in [
        "line 1: validate-client-certificate: ClientCertificateIdentityNotMatched: Certificate does not match any of allowed \
         identities.",
        "  identity 1: holds: common-name is \"orders\"",
        "  identity 1: FAILS: dns-name is \"x\"",
        "answered 401 by validate-client-certificate in line 1: ClientCertificateIdentityNotMatched: Certificate does not \
         match any of allowed identities.",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
}

#[test]
fn an_expression_that_fails_is_explained() {
    let told = explain(
        "<choose><when condition=\"@(context.Request.Certificate.Thumbprint == \"A\")\"><return-response /></when></choose>",
        "none",
    );
    assert!(told.contains("Object reference not set to an instance of an object."), "{told}");
    assert!(told.contains("ExpressionValueEvaluationFailure"), "{told}");
}
