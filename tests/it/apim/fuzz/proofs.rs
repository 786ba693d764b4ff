//! Findings about callers, compared with the decisions for generated documents.

use tower_mtls::{apim::RequestFacts, policy::Verification};

use super::Random;
use crate::apim::world::{NOW, WORLD};

/// Conditions about proofs, correct and incorrect.
fn proof(random: &mut Random, depth: usize) -> String {
    const CONDITIONS: &[&str] = &[
        "true",
        "CERT == null",
        "CERT != null",
        "CERT.Verify()",
        "CERT?.Verify() == true",
        "CERT?.Verify() != true",
        "CERT.Thumbprint == PIN",
        "CERT?.Thumbprint != PIN",
        "PIN.Equals(CERT.Thumbprint.ToLower(), StringComparison.OrdinalIgnoreCase)",
        "CERT.Thumbprint.Length == 40",
        "CERT.Thumbprint == HEADER",
        "(HEADER == \"a\" ? PIN : HEADER) == CERT?.Thumbprint",
        "CERT.Thumbprint.StartsWith(PIN.Substring(0, 1), StringComparison.Ordinal)",
        "CERT.Subject == \"CN=orders, O=Contoso\"",
        "new[] { PIN, \"A\" }.Contains(CERT?.Thumbprint)",
        "new[] { PIN, HEADER }.Any(t => t == CERT.Thumbprint)",
        "new[] { PIN, \"A\" }.All(t => t != CERT.Thumbprint)",
        "STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)",
        "STORE.Any(c => c.Value.Subject == CERT.Subject)",
        "STORE.All(c => c.Value.Thumbprint != CERT.Thumbprint)",
        "STORE.ContainsKey(CERT.Thumbprint)",
        "STORE.Values.FirstOrDefault(c => c.Thumbprint == CERT?.Thumbprint) == null",
        "STORE.Values.FirstOrDefault(c => c.Subject == CERT?.Subject)?.Thumbprint == CERT?.Thumbprint",
        "STORE.Values.First(c => c.Subject == CERT.Subject).Verify()",
        "HEADER == \"a\"",
        "context.Variables.GetValueOrDefault<bool>(\"v\")",
        "(bool)context.Variables[\"v\"]",
        "context.Variables.ContainsKey(\"v\")",
        "\"a,b\".Split(',').Any(t => t.Trim() == CERT.Thumbprint)",
        "$\"{CERT?.Thumbprint}\" == PIN",
    ];
    if depth == 0 {
        return random.of(CONDITIONS).to_owned();
    }
    let (one, two) = (proof(random, depth - 1), proof(random, depth - 1));
    match random.below(5) {
        0 => format!("({one} || {two})"),
        1 => format!("({one} && {two})"),
        2 => format!("!({one})"),
        3 => format!("(CERT == null || {one})"),
        _ => format!("({one} ? {two} : !({one}))"),
    }
}

fn elements(random: &mut Random, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..=random.below(3) {
        let depth_of_condition = random.below(3);
        let condition = proof(random, depth_of_condition);
        text += &match random.below(if depth == 0 { 5 } else { 8 }) {
            0 => format!("<set-variable name='v' value=\"@({condition})\" />"),
            1 => format!(
                "<set-variable name='v' value=\"@{{ var a = {condition}; if (HEADER == \"a\") {{ a = {}; }} return a; }}\" />",
                proof(random, 1)
            ),
            2 => "<authentication-certificate certificate-id=\"@($\"of-{CERT.Subject}\")\" />".to_owned(),
            3 => match random.below(3) {
                0 => "<validate-client-certificate validate-trust='false' ignore-error='true' />".to_owned(),
                1 => "<validate-client-certificate ignore-error='true' />".to_owned(),
                _ => "<validate-client-certificate />".to_owned(),
            },
            4 => match random.below(3) {
                0 => String::new(),
                _ => format!(
                    "<set-header name='X-A' exists-action='{}'><value>{}</value></set-header>",
                    random.of(&["override", "skip", "append"]),
                    random.of(&["a", "@(CERT?.Subject)", "@(CERT == null ? \"\" : PIN)"]),
                ),
            },
            _ => {
                let then = match random.below(3) {
                    0 => elements(random, depth - 1),
                    _ => "<return-response><set-status code='403' /></return-response>".to_owned(),
                };
                let otherwise = match random.below(3) {
                    0 => format!("<otherwise>{}</otherwise>", elements(random, depth - 1)),
                    _ => String::new(),
                };
                format!("<choose><when condition=\"@({condition})\">{then}</when>{otherwise}</choose>")
            }
        };
    }
    text
}

#[test]
fn findings_about_callers_are_true_for_generated_requests() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let (mut proved, mut chosen, mut warned, mut passed) = (0, 0, 0, 0);
    let (mut anchored, mut admitted) = (0, 0);
    for _ in 0..20_000 {
        let text = elements(&mut random, 2)
            .replace("CERT", "context.Request.Certificate")
            .replace("STORE", "context.Deployment.Certificates")
            .replace("PIN", "\"ORDERS-THUMBPRINT\"")
            .replace("HEADER", "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")");
        let text = WORLD.fill(&text);
        let Ok(document) = WORLD.load(&text) else { continue };
        chosen += usize::from(document.summary().chooses_identity);
        proved += usize::from(document.summary().proves_certificate);
        anchored += usize::from(document.summary().is_anchored && !document.summary().proves_certificate);
        let warns = |words: &str| document.warnings().iter().any(|it| it.message().starts_with(words));
        let passes_nobody = warns("requests without a certificate pass");
        warned += usize::from(passes_nobody);
        for caller in ["lone", "impostor", "none"] {
            let presented = WORLD.certificate(caller);
            let thumbprint = match &presented {
                tower_mtls::certificate::Presented::Certificate(certificate) => {
                    certificate.sha1_thumbprint().to_string()
                }
                _ => "b".to_owned(),
            };
            for header in ["", "a", &thumbprint] {
                let request = http::Request::get("/").header("x-a", header).body(()).unwrap();
                let facts = RequestFacts::new(&request, &presented);
                let outcome = document.evaluate(&facts, NOW);
                let shadow = document.evaluate_shadow(&facts, NOW);
                assert!(shadow.forward().is_none_or(|it| it.forwarding().identity().is_none()), "{text}");
                let is_sure = caller == "none" && passes_nobody;
                assert!(!is_sure || outcome.forward().is_some(), "{caller} {header}: {text}");
                let Some(forward) = outcome.forward() else { continue };
                passed += 1;
                admitted += usize::from(forward.admits());
                let verification = forward.verification();
                assert_ne!(verification, Some(Verification::Proven), "{caller} {header}: {text}");
                assert!(!forward.admits() || !document.summary().is_anchored, "{caller} {header}: {text}");
                assert!(
                    caller == "none" || !document.summary().proves_certificate,
                    "{caller} {header}: {text}"
                );
                assert!(forward.forwarding().identity().is_none(), "{caller} {header}: {text}");
            }
        }
    }
    let tally = format!("{proved} proved, {chosen} chosen, {warned} warned, {passed} passed");
    assert!(proved > 1_000 && chosen > 200 && warned > 50 && passed > 1_000, "{tally}");
    assert!(anchored > 100 && admitted > 500, "{anchored} anchored, {admitted} admitted");
}
