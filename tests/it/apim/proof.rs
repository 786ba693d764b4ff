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
        (format!("{CALLER}.Thumbprint != \"CA06F56B258B7A0D4F2B05470939478651151984\""), true),
        (format!("{CALLER}?.Thumbprint != \"CA06F56B258B7A0D4F2B05470939478651151984\""), true),
        (format!("!{STORE}.Any(c => c.Value.Thumbprint == {CALLER}.Thumbprint)"), true),
        (format!("!{STORE}.Keys.Contains({CALLER}.Thumbprint)"), true),
        (format!("!{STORE}.ContainsKey({CALLER}.Thumbprint)"), true),
        (format!("{STORE}.Values.FirstOrDefault(c => c.Thumbprint == {CALLER}.Thumbprint) == null"), true),
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
    for code in
        ["CERT == null || !CERT.Verify()", "CERT?.Thumbprint != PIN", "!STORE.ContainsKey(CERT.Thumbprint)"]
    {
        let text = format!("{}{CHOOSE}", refusing(code));
        assert!(WORLD.load(&text).is_ok(), "{text}");
    }
}

const UNCHECKED: &str = "requests without a certificate pass";

/// Whether callers without a certificate pass for certain, and whether a self-signed one may be admitted.
fn warned(text: &str) -> [bool; 2] {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    let anonymous = document.warnings().iter().any(|it| it.message().starts_with(UNCHECKED));
    let stranger = document.warnings().iter().any(|it| it.kind() == FindingKind::Unanchored);
    assert_eq!(stranger, !document.summary().is_anchored, "{text}");
    [anonymous, stranger]
}

#[test]
fn passing_callers_without_proof_are_warned_of() {
    for (code, anonymous, stranger) in [
        ("CERT != null && CERT.Thumbprint != PIN", true, false),
        ("CERT?.NotAfter < DateTime.Now", true, true),
        ("CERT?.Subject == \"CN=a\"", true, true),
        ("CERT == null || CERT.Thumbprint == PIN", false, true),
        ("CERT == null || CERT.Thumbprint.Length != 40", false, true),
        ("CERT == null || CERT.VerifyNoRevocation()", false, true),
        ("CERT == null && CERT.Thumbprint != PIN", false, true),
        ("CERT == null && !CERT.Verify()", false, true),
        ("CERT != null && CERT.Verify()", true, true),
        ("CERT == null || CERT.Thumbprint.Substring(36) != \"94A6\"", false, true),
        ("context.Request.Method != \"GET\" && CERT == null", false, true),
        ("CERT == null", false, true),
        ("CERT == null || CERT.Issuer != \"CN=a\"", false, true),
        // No warning.
        ("CERT == null || !CERT.Verify()", false, false),
        ("CERT?.Thumbprint != PIN", false, false),
        // A GET passes without being admitted.
        ("context.Request.Method == \"PUT\" && CERT?.Thumbprint != PIN", false, false),
    ] {
        assert_eq!(warned(&refusing(code)), [anonymous, stranger], "{code}");
    }
    // Callers without a certificate are admitted on purpose.
    let public = when(
        "context.Request.Certificate == null",
        "<set-header name='x'><value>public</value></set-header>",
    );
    let text = format!("<choose>{public}<otherwise><validate-client-certificate /></otherwise></choose>");
    assert_eq!(warned(&text), [false, false]);
    // The position is that of the condition that lets them pass.
    let text = format!("\n\n{}", refusing("CERT != null && CERT.Thumbprint != PIN"));
    let document = WORLD.load(&text).unwrap();
    let warning = document.warnings().iter().find(|it| it.message().starts_with(UNCHECKED)).unwrap();
    assert_eq!((warning.line(), warning.column()), (3, 9));
}

#[test]
fn corpus_documents_are_warned_of_only_if_unproven() {
    let (mut anonymous, mut stranger) = (Vec::new(), Vec::new());
    for (name, text) in super::corpus::documents() {
        let [passes_anonymous, passes_stranger] = warned(&text);
        anonymous.extend(passes_anonymous.then(|| name.clone()));
        stranger.extend(passes_stranger.then_some(name));
    }
    assert_eq!(anonymous, Vec::<String>::new());
    assert_eq!(stranger, UNPROVEN);
    let snippets: Vec<_> = super::snippets::all().iter().map(|snippet| warned(snippet)).collect();
    let [expiry, names, others @ ..] = snippets.as_slice() else { panic!("{snippets:?}") };
    assert_eq!([expiry, names], [&[false, true]; 2]);
    assert!(others.iter().all(|warned| *warned == [false, false]), "{snippets:?}");
}

/// Documents of the corpus that admit self-signed certificates.
const UNPROVEN: [&str; 7] = [
    "any_certificate",
    "days_left",
    "environment_by_query",
    "escaped_xml",
    "expiry",
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
