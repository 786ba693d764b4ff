//! The guard rule, compared with the decisions of generated documents for callers without a proven certificate.

use tower_mtls::{
    apim::{ChosenIdentity, Document, Forward, RequestFacts},
    certificate::Presented,
    policy::Verification,
};

use super::Random;
use crate::apim::world::{NOW, WORLD};

const DOCUMENTS: usize = 3_000;
const DOCUMENTS_IF_LONG: usize = 20_000;

/// Operands of conditions, from guards and from what looks like one.
const OPERANDS: &[&str] = &[
    "CERT == null",
    "CERT == null",
    "null == CERT",
    "CERT != null",
    "!CERT.Verify()",
    "!CERT.VerifyNoRevocation()",
    "!CERT.VerifyNoRevocation()",
    "CERT.Verify()",
    "CERT?.Verify() != true",
    "CERT?.Verify() == true",
    "CERT.Thumbprint != PIN",
    "PIN != CERT.Thumbprint",
    "CERT?.Thumbprint != PIN",
    "CERT?.Thumbprint != \"A\"",
    "CERT.Thumbprint == PIN",
    "CERT.Thumbprint != null",
    "CERT.Thumbprint != HEADER",
    "CERT.Thumbprint.ToUpper() != PIN",
    "CERT.Thumbprint.Length != 40",
    "CERT.Subject != \"CN=lone, O=Contoso\"",
    "CERT.Issuer == \"CN=Partners Issuing CA, O=Contoso\"",
    "!STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)",
    "!STORE.Any(c => CERT.Thumbprint == c.Value.Thumbprint)",
    "!STORE.Any(c => c.Value.Subject == CERT.Subject)",
    "!STORE.Any(c => c.Value.Thumbprint != CERT.Thumbprint)",
    "!STORE.All(c => c.Value.Thumbprint == CERT.Thumbprint)",
    "STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)",
    "!STORE.Values.Any(c => c.Thumbprint == CERT.Thumbprint)",
    "!STORE.Values.Any(c => c.Thumbprint == c.Thumbprint)",
    "!STORE.ContainsKey(CERT.Thumbprint)",
    "!STORE.ContainsKey(HEADER)",
    "HEADER == \"a\"",
    "HEADER == CERT?.Thumbprint",
    "context.Request.Method == \"PUT\"",
    "context.Variables.ContainsKey(\"v\")",
    "context.Variables.GetValueOrDefault<string>(\"v\", HEADER) == \"a\"",
    "(string)context.Variables[\"v\"] == \"a\"",
    "true",
    "false",
];

/// Values of variables and selections.
const VALUES: &[&str] = &[
    "\"a\"",
    "\"orders\"",
    "HEADER",
    "\"of-\" + CERT.Subject",
    "\"of-\" + CERT.Subject",
    "CERT?.Thumbprint",
    "HEADER == \"a\" ? \"orders\" : \"fabrikam\"",
    "CERT?.Subject == \"CN=lone, O=Contoso\" ? \"lone\" : \"other\"",
    "context.Variables.GetValueOrDefault<string>(\"v\", \"a\")",
    "context.Variables.GetValueOrDefault<string>(\"w\", HEADER)",
    "(string)context.Variables[\"v\"] ?? \"b\"",
    "(string)context.Variables[\"w\"]",
    "\"of-\" + context.Variables.GetValueOrDefault<string>(\"v\", \"a\")",
];

const REJECT: &str = "<return-response><set-status code='403' /></return-response>";

fn condition(random: &mut Random) -> String {
    let operands: Vec<&str> = (0..=random.below(4)).map(|_| random.of(OPERANDS)).collect();
    match random.below(10) {
        0 => operands.join(" && "),
        1 => format!("!({})", operands.join(" || ")),
        2 => format!("({}) && {}", operands.join(" || "), random.of(OPERANDS)),
        3 => format!("{} || ({})", random.of(OPERANDS), operands.join(" && ")),
        4 => format!("HEADER == \"a\" ? {} : ({})", random.of(OPERANDS), operands.join(" || ")),
        5 => format!(
            "CERT == null || (CERT.Thumbprint != PIN && {})",
            random.of(&["CERT.Thumbprint != \"A\"", "HEADER == \"a\"", "CERT.Subject != \"CN=a\""]),
        ),
        _ => operands.join(" || "),
    }
}

fn branch(random: &mut Random, depth: usize) -> String {
    match random.below(8) {
        0 if depth > 0 => elements(random, depth - 1),
        1 => "<return-response><set-status code='200' /></return-response>".into(),
        2 => format!("<set-variable name='v' value='a' />{REJECT}"),
        3 => "<set-variable name='v' value='b' />".into(),
        _ => REJECT.into(),
    }
}

fn element(random: &mut Random, depth: usize) -> String {
    let name = random.of(&["v", "w"]);
    let value = random.of(VALUES);
    match random.below(10) {
        0 => format!("<set-variable name='{name}' value=\"@({value})\" />"),
        1 => format!(
            "<set-variable name='{name}' value=\"@{{ var a = {value}; if ({}) {{ a = {}; }} return a; }}\" />",
            random.of(OPERANDS),
            random.of(VALUES)
        ),
        2 => {
            let identities = match random.below(4) {
                0 => "",
                1 => "<identities><identity thumbprint='ORDERS-THUMBPRINT' /></identities>",
                2 => {
                    "<identities><identity thumbprint='ORDERS-THUMBPRINT' /><identity common-name='lone' /></identities>"
                }
                _ => {
                    "<identities><identity issuer-subject='CN=Partners Issuing CA, O=Contoso' /></identities>"
                }
            };
            let (trust, ignore) = (random.of(&["true", "false"]), random.of(&["true", "false", "false"]));
            format!(
                "<validate-client-certificate validate-trust='{trust}' ignore-error='{ignore}'>{identities}\
                 </validate-client-certificate>"
            )
        }
        3 => format!("<authentication-certificate certificate-id=\"@({value})\" />"),
        4 => format!("<set-header name='X-A' exists-action='append'><value>@({value})</value></set-header>"),
        _ => {
            let mut whens = String::new();
            for _ in 0..=random.below(3) {
                let (condition, branch) = (condition(random), branch(random, depth));
                whens += &format!("<when condition=\"@({condition})\">{branch}</when>");
            }
            if random.below(3) == 0 {
                whens += &format!("<otherwise>{}</otherwise>", branch(random, depth));
            }
            format!("<choose>{whens}</choose>")
        }
    }
}

fn elements(random: &mut Random, depth: usize) -> String {
    (0..=random.below(3)).map(|_| element(random, depth)).collect()
}

/// Elements, some with a selection at their end.
fn selecting(random: &mut Random, depth: usize) -> String {
    let elements = elements(random, depth);
    match random.below(3) {
        0 => format!("{elements}<authentication-certificate certificate-id=\"@(\"of-\" + CERT.Subject)\" />"),
        _ => elements,
    }
}

fn filled(text: &str) -> String {
    let text = text
        .replace("CERT", "context.Request.Certificate")
        .replace("STORE", "context.Deployment.Certificates")
        .replace("PIN", "\"ORDERS-THUMBPRINT\"")
        .replace("HEADER", "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")");
    WORLD.fill(&text)
}

/// A document that loads, some with a base document at a random place.
fn document(random: &mut Random) -> Option<(String, Document)> {
    let builder = WORLD.builder();
    if random.below(3) > 0 {
        let text = filled(&selecting(random, 2));
        return builder.load(&text).ok().map(|document| (text, document));
    }
    let base = filled(&elements(random, 1));
    let text = filled(&format!("{}<base />{}", elements(random, 1), selecting(random, 1)));
    let loaded = builder.base(&WORLD.load(&base).ok()?).load(&text).ok()?;
    Some((format!("{text}\nbase: {base}"), loaded))
}

#[derive(Debug, Default)]
struct Tally {
    loaded: usize,
    proven: usize,
    anchored: usize,
    admitted: usize,
    passed: usize,
    finite: usize,
    guarded: usize,
    proven_passed: usize,
}

/// Checks a request that is forwarded for a caller without a proven certificate.
fn check(document: &Document, forward: &Forward, context: &str, tally: &mut Tally) {
    let summary = document.summary();
    assert!(!summary.proves_certificate || forward.withheld_response().is_some(), "{context}");
    assert_ne!(forward.verification(), Some(Verification::Proven), "{context}");
    assert!(!forward.admits() || !summary.is_anchored, "{context}");
    tally.passed += 1;
    tally.admitted += usize::from(forward.admits());
    // Every value of a finite expression is listed; a guarded one has no value for these callers.
    let is_listed = |id: &str| {
        let mut possible = summary.possible_certificates.iter();
        possible.any(|possible| matches!(possible, ChosenIdentity::Id(possible) if **possible == *id))
    };
    if let Some(ChosenIdentity::Id(id)) = forward.forwarding().identity() {
        assert!(is_listed(id), "{context}");
        assert!(forward.withheld_response().is_none(), "{context}");
        tally.finite += 1;
    }
}

#[test]
fn proven_documents_reject_every_unproven_caller() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut tally = Tally::default();
    let documents = if crate::support::is_long() { DOCUMENTS_IF_LONG } else { DOCUMENTS };
    for _ in 0..documents {
        let Some((text, document)) = document(&mut random) else { continue };
        let summary = document.summary();
        tally.loaded += 1;
        tally.proven += usize::from(summary.proves_certificate);
        tally.anchored += usize::from(summary.is_anchored && !summary.proves_certificate);
        if !summary.is_anchored && !summary.chooses_identity && random.below(4) > 0 {
            continue;
        }
        let callers = ["lone", "impostor", "none", "orders"];
        for caller in &callers[..3 + usize::from(summary.proves_certificate)] {
            let presented = WORLD.certificate(caller);
            let thumbprint = match &presented {
                Presented::Certificate(certificate) => certificate.sha1_thumbprint().to_string(),
                _ => "b".to_owned(),
            };
            for (method, header) in [("GET", ""), ("PUT", "a"), ("GET", &thumbprint)] {
                let request = http::Request::builder().method(method).uri("/").header("x-a", header);
                let request = request.body(()).unwrap();
                let facts = RequestFacts::new(&request, &presented);
                let decision = document.evaluate(&facts, NOW);
                if *caller == "orders" {
                    let forward = decision.forward();
                    tally.proven_passed += usize::from(forward.is_some());
                    let identity = forward.and_then(|forward| forward.forwarding().identity());
                    tally.guarded += usize::from(
                        matches!(identity, Some(ChosenIdentity::Id(id)) if id.starts_with("of-CN=orders")),
                    );
                    continue;
                }
                let context = format!("{caller} {method} {header}: {text}");
                let shadow = summary.chooses_identity.then(|| document.evaluate_shadow(&facts, NOW));
                for decision in std::iter::once(decision).chain(shadow) {
                    if let Some(forward) = decision.forward() {
                        check(&document, forward, &context, &mut tally);
                    }
                }
            }
        }
    }
    println!("{tally:?}");
    let enough = [tally.proven, tally.anchored, tally.admitted, tally.finite, tally.proven_passed];
    assert!(enough.iter().all(|count| *count > documents / 20), "{tally:?}");
    assert!(tally.guarded > documents / 100, "{tally:?}");
}
