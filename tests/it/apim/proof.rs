//! Conditions that prove a certificate, and warnings about those that do not.

use tower_mtls::apim::{DocumentDecision, FindingKind};

use super::texts::*;
use super::world::{WORLD, evaluate};

fn admits(text: &str) -> bool {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    match evaluate(&document, &WORLD.certificate("lone")) {
        DocumentDecision::Forward(forward) => forward.admits(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn condition_admits_only_if_it_could_have_refused() {
    let options = |code| when("context.Request.Method == \"OPTIONS\"", &answer(code));
    let orders = when(IS_ORDERS, "");
    for (text, admitted) in [
        // An element before the condition refuses regardless of the condition.
        (format!("{}{orders}", options(403)), false),
        // A response below 400 does not refuse.
        (format!("{orders}{}", options(204)), false),
        (when(IS_ORDERS, &answer(200)), false),
        (format!("{orders}<otherwise><choose>{}</choose></otherwise>", options(302)), false),
        (when(IS_ORDERS, &answer(403)), true),
        (format!("{orders}{}", options(403)), true),
        (format!("{orders}<otherwise><choose>{}</choose></otherwise>", options(403)), true),
        (when(IS_ORDERS, "<validate-client-certificate ignore-error='true' />"), false),
        (when(IS_ORDERS, "<validate-client-certificate />"), true),
    ] {
        let text = format!("<choose>{text}</choose>");
        assert_eq!(admits(&text), admitted, "{text}");
        // Admission requires a judgement; none of these refuses all other callers.
        assert!(!WORLD.load(&text).unwrap().summary().proves_certificate, "{text}");
    }
    assert!(WORLD.load(PROVEN).unwrap().summary().proves_certificate);
    // `on-error` admits no caller.
    let late = format!(
        "<policies><inbound /><on-error><choose>{}</choose></on-error></policies>",
        when(IS_ORDERS, &answer(403))
    );
    assert!(!WORLD.load(&late).unwrap().summary().proves_certificate);
}

#[test]
fn thumbprint_is_proven_only_by_a_comparison_with_the_callers_own() {
    const CALLER: &str = "context.Request.Certificate";
    const STORE: &str = "context.Deployment.Certificates";
    for (code, proves) in [
        (
            format!(
                "{CALLER} == null || {CALLER}.Thumbprint != \"CA06F56B258B7A0D4F2B05470939478651151984\""
            ),
            true,
        ),
        (format!("{CALLER}?.Thumbprint != \"CA06F56B258B7A0D4F2B05470939478651151984\""), true),
        (format!("{CALLER} == null || !{STORE}.Any(c => c.Value.Thumbprint == {CALLER}.Thumbprint)"), true),
        (format!("{CALLER} == null || !{STORE}.ContainsKey({CALLER}.Thumbprint)"), true),
        // Equivalent, and not a guard.
        (format!("{CALLER} == null || !{STORE}.Keys.Contains({CALLER}.Thumbprint)"), false),
        (format!("{STORE}.Values.FirstOrDefault(c => c.Thumbprint == {CALLER}.Thumbprint) == null"), false),
        // Every certificate has a thumbprint.
        (format!("{CALLER}.Thumbprint == null"), false),
        (format!("{CALLER}?.Thumbprint == null"), false),
        (format!("{CALLER}.Thumbprint == \"\""), false),
        (format!("string.IsNullOrEmpty({CALLER}.Thumbprint)"), false),
        // The contents of the store prove nothing about the caller.
        (format!("{CALLER} == null || !{STORE}.Any()"), false),
        (format!("{CALLER} == null || {STORE}.Count() == 0"), false),
        (format!("!{STORE}.Any(c => c.Value.Subject == {CALLER}.Subject)"), false),
        (
            format!(
                "{CALLER} == null || \
                 !{STORE}.Any(c => c.Value.Thumbprint == \"CA06F56B258B7A0D4F2B05470939478651151984\")"
            ),
            false,
        ),
        (
            format!("{CALLER} == null || !{STORE}.ContainsKey(\"CA06F56B258B7A0D4F2B05470939478651151984\")"),
            false,
        ),
    ] {
        let text = format!("<choose>{}</choose>", when(&code, &answer(403)));
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert_eq!(document.summary().proves_certificate, proves, "{code}");
    }
}

#[test]
fn mentioned_chain_or_thumbprint_proves_nothing() {
    let local = "{ var c = STORE.Values.FirstOrDefault(x => x.Subject == CERT.Subject); return c == null || c.Thumbprint \
                 == PIN; }";
    for code in [
        "CERT == null || CERT.Thumbprint.Length != 40",
        "CERT == null || CERT.Thumbprint != context.Request.Headers.GetValueOrDefault(\"X-Thumb\", \"\")",
        "CERT == null || CERT.Thumbprint != CERT.Thumbprint",
        "CERT == null || CERT.Thumbprint == PIN",
        "CERT == null || CERT.VerifyNoRevocation()",
        "CERT == null || CERT.VerifyNoRevocation() && false",
        "CERT == null || (context.Request.Headers.ContainsKey(\"X-Strict\") && !CERT.VerifyNoRevocation())",
        "CERT == null || !CERT.Thumbprint.EndsWith(\"94A6\", StringComparison.Ordinal)",
        local,
        "CERT == null || CERT.GetCertHashString().Trim() == \"\"",
        "CERT == null && CERT.Thumbprint != \"X\"",
        "CERT == null || (CERT.Issuer != \"CN=a\" && !CERT.Verify())",
    ] {
        for element in [CHOOSE, "<set-backend-service base-url='@(\"https://\" + CERT.Subject)' />"] {
            let text = format!("{}{}", refusing(code), filled(element));
            let errors = WORLD.load(&text).expect_err(&text).to_string();
            assert!(errors.contains("the caller would choose this"), "{text}: {errors}");
        }
    }
    for code in [
        "CERT == null || !CERT.Verify()",
        "CERT?.Thumbprint != PIN",
        "CERT == null || !STORE.ContainsKey(CERT.Thumbprint)",
    ] {
        let text = format!("{}{CHOOSE}", refusing(code));
        assert!(WORLD.load(&text).is_ok(), "{text}");
    }
}

/// Returns true if a warning reports that a self-made certificate may be admitted.
fn is_warned(text: &str) -> bool {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    let is_warned = document.warnings().iter().any(|it| it.kind() == FindingKind::Unanchored);
    assert_eq!(is_warned, !document.summary().is_anchored, "{text}");
    is_warned
}

#[test]
fn rules_without_a_guard_are_warned_of() {
    for (code, warned) in [
        ("CERT != null && CERT.Thumbprint != PIN", true),
        ("CERT?.NotAfter < DateTime.Now", true),
        ("CERT?.Subject == \"CN=a\"", true),
        ("CERT == null || CERT.Thumbprint == PIN", true),
        ("CERT == null || CERT.Thumbprint.Length != 40", true),
        ("CERT == null || CERT.VerifyNoRevocation()", true),
        ("CERT == null && CERT.Thumbprint != PIN", true),
        ("CERT == null && !CERT.Verify()", true),
        ("CERT != null && CERT.Verify()", true),
        ("CERT == null || CERT.Thumbprint.Substring(36) != \"94A6\"", true),
        ("context.Request.Method != \"GET\" && CERT == null", true),
        ("context.Request.Method == \"PUT\" && CERT?.Thumbprint != PIN", true),
        ("CERT == null", true),
        ("CERT == null || CERT.Issuer != \"CN=a\"", true),
        // No warning.
        ("CERT == null || !CERT.Verify()", false),
        ("CERT?.Thumbprint != PIN", false),
        ("context.Request.Method == \"PUT\"", false),
    ] {
        assert_eq!(is_warned(&refusing(code)), warned, "{code}");
    }
}

#[test]
fn corpus_documents_are_warned_of_only_if_unproven() {
    let documents = super::corpus::documents().into_iter();
    let warned: Vec<_> = documents.filter(|(_, text)| is_warned(text)).map(|(name, _)| name).collect();
    assert_eq!(warned, UNPROVEN);
    let snippets: Vec<_> = super::snippets::all().iter().map(|snippet| is_warned(snippet)).collect();
    let [expiry, names, others @ ..] = snippets.as_slice() else { panic!("{snippets:?}") };
    assert!(*expiry && *names && others.iter().all(|is_warned| !is_warned), "{snippets:?}");
}

/// Documents of the corpus that judge certificates without a guard.
const UNPROVEN: [&str; 20] = [
    // Only some requests need a certificate.
    "admin_path",
    "any_certificate",
    // Equivalent to a guard, in another form.
    "block_with_early_returns",
    "days_left",
    "environment_by_query",
    "escaped_xml",
    "expiry",
    "fragment",
    "lower_case_list",
    "rotation_after_cutover",
    "rotation_with_cutover",
    "routing_per_caller",
    "store_and_dates",
    "thumbprint_list",
    "thumbprint_list_in_a_variable",
    // Without a test for null.
    "unguarded",
    // By an issuer.
    "validate_dns_name",
    // Proven in a branch only.
    "validate_or_anonymous",
    "validity_both_ends",
    "writes_need_a_certificate",
];

#[test]
fn guard_of_texts_and_numbers_proves_only_its_refusals() {
    let chosen = "<authentication-certificate \
                  certificate-id='@(context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false))' />";
    let refuses = "<return-response><set-status code=\"403\" /></return-response>";
    for guard in [
        // A space is not empty.
        format!(
            "<set-variable name='sep' value=' ' /><choose><when condition='@(string.IsNullOrEmpty((string)context.Variables[\"sep\"]))'>{refuses}</when></choose>"
        ),
        // Null stays null when converted to another number type.
        format!(
            "<choose><when condition='@{{Nullable&lt;double> n = context.Request.Headers.GetValueOrDefault(\"X-A\", null)?.Length; return n == null;}}'><set-variable name='x' value='y' /></when><otherwise>{refuses}</otherwise></choose>"
        ),
    ] {
        let errors = WORLD.load(&format!("{guard}{chosen}")).unwrap_err().to_string();
        assert!(errors.contains("the caller would choose"), "{guard}: {errors}");
        assert!(!WORLD.load(&guard).unwrap().summary().proves_certificate, "{guard}");
    }
}
