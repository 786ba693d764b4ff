//! Guards: elements after which a document may use the caller's certificate to choose an identity or a backend.

use http::Request;
use tower_mtls::apim::{ChosenIdentity, Document, DocumentBuilder, FindingKind, RequestFacts};
use tower_mtls::policy::Verification;

use super::world::{NOW, WORLD, evaluate};
use tower_mtls::Shared;

const SELECT: &str = r#"<authentication-certificate certificate-id="@("of-" + CERT.Subject)" />"#;
const NULL_OR: &str = "CERT == null || ";
/// Requests with this header pass wherever a condition asks for it.
const HEADER: &str = "HEADER == \"a\"";

fn filled(text: &str) -> String {
    let text = text
        .replace("GUARD", &rejecting("CERT == null || !CERT.VerifyNoRevocation()"))
        .replace("SELECT", SELECT)
        .replace("REJECT", "<return-response><set-status code='403' /></return-response>")
        .replace("SET", "<set-variable name='x' value='y' />")
        .replace("CERT", "context.Request.Certificate")
        .replace("STORE", "context.Deployment.Certificates")
        .replace("HEADER", "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")")
        .replace("VARIABLES", "context.Variables")
        .replace("PIN", "\"ORDERS-THUMBPRINT\"");
    WORLD.fill(&text)
}

fn when(condition: &str, steps: &str) -> String {
    format!("<when condition=\"@({condition})\">{steps}</when>")
}

/// A `choose` that rejects on a condition.
fn rejecting(condition: &str) -> String {
    format!("<choose>{}</choose>", when(condition, "REJECT"))
}

fn validating(attributes: &str, identities: &[&str]) -> String {
    let identities: String = identities.iter().map(|claims| format!("<identity {claims} />")).collect();
    let identities = match identities.as_str() {
        "" => String::new(),
        some => format!("<identities>{some}</identities>"),
    };
    format!("<validate-client-certificate {attributes}>{identities}</validate-client-certificate>")
}

fn strict() -> DocumentBuilder {
    Document::builder()
        .trust(WORLD.trust.clone().without_revocation())
        .deployment(Shared::new(WORLD.deployment()))
}

/// Returns true if any caller without a proven certificate passes `<inbound>`.
fn lets_pass(document: &Document) -> bool {
    let mut passes = false;
    for caller in ["lone", "impostor", "none"] {
        for (method, header) in [("GET", ""), ("GET", "a"), ("PUT", "a")] {
            let request = Request::builder().method(method).uri("/orders").header("x-a", header);
            let (request, presented) = (request.body(()).unwrap(), WORLD.certificate(caller));
            let decision = document.evaluate(&RequestFacts::new(&request, &presented), NOW);
            passes |= decision.forward().is_some();
        }
    }
    passes
}

/// Documents without a guard: the elements before a selection, and true if they let an unproven caller pass.
fn near_guards() -> Vec<(&'static str, String, bool)> {
    let guard_when = when("CERT == null || !CERT.VerifyNoRevocation()", "REJECT");
    let by_header = when(HEADER, "SET");
    let choose = |inside: &str| format!("<choose>{inside}</choose>");
    let or = |condition: &str| rejecting(&format!("{NULL_OR}{condition}"));
    let answer = |status: &str| format!("<return-response>{status}</return-response>");
    let proof = "CERT == null || !CERT.VerifyNoRevocation()";
    vec![
        ("nothing", String::new(), true),
        ("in a when", choose(&when(HEADER, "GUARD")), true),
        ("in a when that is always true", "<choose><when condition='true'>GUARD</when></choose>".into(), false),
        ("in otherwise", choose(&format!("{by_header}<otherwise>GUARD</otherwise>")), true),
        ("after a when that passes", choose(&format!("{by_header}{guard_when}")), true),
        ("after an empty when", choose(&format!("{}{guard_when}", when(HEADER, ""))), true),
        ("after a constant when", choose(&format!("<when condition='true'>SET</when>{guard_when}")), true),
        (
            "after a when with status 200",
            choose(&format!("{}{guard_when}", when(HEADER, &answer("<set-status code='200' />")))),
            false,
        ),
        ("after a when with a nested guard", choose(&format!("{}{guard_when}", when(HEADER, "GUARD"))), false),
        ("status 302", choose(&when(proof, &answer("<set-status code='302' />"))), false),
        ("status 200", choose(&when(proof, &answer("<set-status code='200' />"))), false),
        ("no status", choose(&when(proof, &answer(""))), false),
        ("no response", choose(&when(proof, "SET")), true),
        ("element before the response", choose(&when(proof, "SETREJECT")), false),
        ("element after the response", choose(&when(proof, "REJECTSET")), false),
        ("conditional response", choose(&when(proof, &choose(&when(HEADER, "REJECT")))), true),
        ("validation in the branch", choose(&when(proof, "<validate-client-certificate />")), false),
        ("constant condition", "<choose><when condition='false'>REJECT</when></choose>".into(), true),
        ("|| under &&", rejecting("(CERT == null || !CERT.VerifyNoRevocation()) && HEADER == \"a\""), true),
        ("proof under &&", or("(HEADER == \"a\" && !CERT.VerifyNoRevocation())"), true),
        ("&& of both", rejecting("CERT == null && !CERT.VerifyNoRevocation()"), true),
        ("thumbprint under &&", or("(CERT.Thumbprint != PIN && HEADER == \"a\")"), true),
        ("?. under &&", rejecting("CERT?.Thumbprint != PIN && HEADER == \"a\""), true),
        ("ternary", rejecting("HEADER == \"a\" ? false : (CERT == null || !CERT.VerifyNoRevocation())"), true),
        ("negated &&", rejecting("!(CERT != null && CERT.VerifyNoRevocation())"), false),
        ("negated ||", rejecting("!(CERT == null || !CERT.VerifyNoRevocation())"), true),
        ("no null test", rejecting("!CERT.VerifyNoRevocation()"), false),
        ("null test only", rejecting("CERT == null"), true),
        ("reversed null test", rejecting("CERT != null || !CERT.VerifyNoRevocation()"), false),
        ("reversed chain", or("CERT.VerifyNoRevocation()"), true),
        ("compared chain", or("CERT.VerifyNoRevocation() == false"), false),
        ("chain of ?.", rejecting("CERT?.VerifyNoRevocation() != true"), false),
        ("reversed thumbprint", or("CERT.Thumbprint == PIN"), true),
        ("thumbprint null", or("CERT.Thumbprint != null"), false),
        ("thumbprint of a header", or("CERT.Thumbprint != HEADER"), false),
        ("thumbprint of itself", or("CERT.Thumbprint != CERT.Thumbprint"), true),
        ("thumbprint in upper case", or("CERT.Thumbprint.ToUpper() != PIN"), false),
        ("part of a thumbprint", or("CERT.Thumbprint.Substring(36) != \"94A6\""), false),
        ("length of a thumbprint", or("CERT.Thumbprint.Length != 40"), true),
        ("string.Equals", or("!string.Equals(CERT.Thumbprint, PIN)"), false),
        ("thumbprint of an entry", or("STORE[PIN].Thumbprint != PIN"), true),
        ("chain of an entry", or("!STORE.Values.First(c => c.Thumbprint == PIN).Verify()"), true),
        ("subject", or("CERT.Subject != \"CN=lone, O=Contoso\""), true),
        ("dates", or("CERT.NotAfter < DateTime.Now"), true),
        ("Any without a condition", or("!STORE.Any()"), true),
        ("Any by id", or("!STORE.Any(c => c.Key == PIN)"), true),
        ("Any by subject", or("!STORE.Any(c => c.Value.Subject == CERT.Subject)"), true),
        ("Any of !=", or("!STORE.Any(c => c.Value.Thumbprint != CERT.Thumbprint)"), true),
        ("Any of the entry itself", or("!STORE.Any(c => c.Value.Thumbprint == c.Value.Thumbprint)"), true),
        (
            "Any of a shadowed name",
            or("!STORE.Any(context => context.Value.Thumbprint == context.Value.Thumbprint)"),
            true,
        ),
        ("Any with ||", or("!STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint || HEADER == \"a\")"), true),
        ("reversed Any", or("STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)"), true),
        ("All", or("!STORE.All(c => c.Value.Thumbprint == CERT.Thumbprint)"), false),
        ("ContainsKey of a literal", or("!STORE.ContainsKey(PIN)"), true),
        (
            "certificate in a variable",
            "<set-variable name='c' value='@(CERT)' />".to_owned()
                + &or("!((X509Certificate2)VARIABLES[\"c\"]).VerifyNoRevocation()"),
            false,
        ),
        (
            "result in a variable",
            "<set-variable name='ok' value='@(CERT?.VerifyNoRevocation() == true || HEADER == \"a\")' />".to_owned()
                + &rejecting("CERT == null || !(bool)VARIABLES[\"ok\"]"),
            true,
        ),
        (
            "block",
            "<choose><when condition=\"@{ return CERT == null || !CERT.VerifyNoRevocation(); }\">REJECT</when></choose>"
                .into(),
            false,
        ),
        (
            "block with a way out",
            "<choose><when condition=\"@{ if (HEADER == \"a\") { return false; } return CERT == null || \
             !CERT.VerifyNoRevocation(); }\">REJECT</when></choose>"
                .into(),
            true,
        ),
        ("ignore-error", validating("ignore-error='true'", &[]), true),
        ("no trust, no identities", validating("validate-trust='false'", &[]), true),
        ("subject of an identity", validating("validate-trust='false'", &["subject='CN=lone, O=Contoso'"]), true),
        (
            "thumbprint of the issuer",
            validating("validate-trust='false'", &["issuer-thumbprint='ISSUING-THUMBPRINT'"]),
            false,
        ),
        (
            "entry of the issuer",
            validating("validate-trust='false'", &["issuer-certificate-id='issuing-ca'"]),
            false,
        ),
        (
            "thumbprint in one of two identities",
            validating(
                "validate-trust='false'",
                &["thumbprint='ORDERS-THUMBPRINT'", "subject='CN=lone, O=Contoso'"],
            ),
            true,
        ),
        ("validation in a when", choose(&when(HEADER, "<validate-client-certificate />")), true),
    ]
}

#[test]
fn near_guard_proves_nothing() {
    let all = near_guards();
    assert!(all.len() >= 50, "{}", all.len());
    for (name, before, passes) in all {
        let document = filled(&before);
        if !document.is_empty() {
            let document = WORLD.load(&document).unwrap_or_else(|errors| panic!("{name}: {errors}"));
            assert!(!document.summary().proves_certificate, "{name}");
            assert_eq!(lets_pass(&document), passes, "{name}");
        }
        for text in [format!("{before}SELECT"), format!("SELECT{before}"), format!("{before}SELECTGUARD")] {
            let errors = WORLD.load(&filled(&text)).expect_err(name).to_string();
            assert!(
                errors.contains("certificate-id: the caller would choose this value"),
                "{name}: {errors}"
            );
        }
        let proven = WORLD.load(&filled(&format!("GUARD{before}SELECT")));
        assert!(proven.is_ok_and(|document| document.summary().proves_certificate), "{name}");
    }
}

#[test]
fn certificate_judged_without_a_guard_is_never_proven() {
    let lone = r#"CERT?.Subject == "CN=lone, O=Contoso""#;
    let set = |name: &str, value: &str| format!("<set-variable name='{name}' value=\"@({value})\" />");
    let ok = set("ok", lone);
    for text in [
        rejecting(&format!("!({lone})")),
        format!("{ok}{}", rejecting("!(bool)VARIABLES[\"ok\"]")),
        format!("{ok}{}", rejecting("!(bool)VARIABLES[(string)\"ok\"]")),
        format!("{ok}{}", rejecting("!VARIABLES.GetValueOrDefault<bool>((string)\"ok\", false)")),
        format!(
            "{ok}{}<choose>{}</choose>{}",
            set("passed", "false"),
            when("(bool)VARIABLES[\"ok\"]", &set("passed", "true")),
            rejecting("!(bool)VARIABLES[\"passed\"]")
        ),
        format!(
            "<set-header name='X-Ok'><value>@(CERT?.Subject)</value></set-header>{}",
            rejecting(
                "context.Request.Headers.GetValueOrDefault((string)\"x-ok\", \"\") != \"CN=lone, O=Contoso\""
            )
        ),
    ] {
        let errors = strict().load(&filled(&text)).expect_err(&text);
        assert!(errors.iter().any(|error| error.kind() == FindingKind::Unanchored), "{text}: {errors}");
        let document = strict().allow_unanchored().load(&filled(&text)).unwrap();
        let request = Request::new(());
        let presented = WORLD.certificate("lone");
        let decision = document.evaluate(&RequestFacts::new(&request, &presented), NOW);
        let forward = decision.forward().unwrap_or_else(|| panic!("{text}"));
        assert_ne!(forward.verification(), Some(Verification::Proven), "{text}");
    }
}

#[test]
fn namespace_system_contains_classes_only() {
    for condition in ["System.CERT == null", "System.System.DateTime.Now > System.DateTime.Now"] {
        let errors = WORLD.load(&filled(&rejecting(condition))).unwrap_err().to_string();
        assert!(errors.contains("of System is not supported") || errors.contains("System."), "{errors}");
    }
}

#[test]
fn selection_outside_of_inbound_is_an_error() {
    for section in ["outbound", "on-error", "backend"] {
        let text = format!("<policies><inbound>GUARD</inbound><{section}>SELECT</{section}></policies>");
        let errors = WORLD.load(&filled(&text)).unwrap_err().to_string();
        assert!(errors.contains("authentication-certificate> is "), "{section}: {errors}");
    }
    for (section, problem) in [("outbound", "move it to <inbound>"), ("on-error", "the caller would choose")]
    {
        let text = format!("<policies><inbound>SELECT</inbound><{section}>GUARD</{section}></policies>");
        let errors = WORLD.load(&filled(&text)).unwrap_err().to_string();
        assert!(errors.contains(problem), "{section}: {errors}");
    }
    // A status is always a literal.
    let computed = filled("GUARD").replace("'403'", "'@(200 + 203)'");
    assert!(WORLD.load(&computed).unwrap_err().to_string().contains("expressions are not supported"));
}

#[test]
fn guard_rejects_every_unproven_caller() {
    let rule = |condition: &str| rejecting(condition);
    let first = |when_before: &str| {
        format!(
            "<choose>{when_before}{}</choose>",
            when("CERT == null || !CERT.VerifyNoRevocation()", "REJECT")
        )
    };
    let guard = "CERT == null || !CERT.VerifyNoRevocation()";
    for text in [
        rule(guard),
        rule("null == CERT || !CERT.Verify()"),
        rule("!CERT.Verify() || CERT == null"),
        rule("(CERT == null) || (!(CERT.Verify()))"),
        rule("CERT == null || CERT.Thumbprint != PIN"),
        rule("PIN != CERT.Thumbprint || CERT == null"),
        rule("CERT?.Thumbprint != PIN"),
        rule("PIN != CERT?.Thumbprint"),
        rule("HEADER == \"z\" || CERT?.Thumbprint != PIN"),
        rule("CERT == null || CERT.Thumbprint != PIN && CERT.Thumbprint != \"A\""),
        rule("CERT?.Thumbprint != PIN && CERT?.Thumbprint != \"A\""),
        rule("CERT == null || !STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)"),
        rule("CERT == null || !STORE.Any(c => CERT.Thumbprint == c.Value.Thumbprint)"),
        rule("CERT == null || !STORE.Values.Any(c => c.Thumbprint == CERT.Thumbprint)"),
        rule("CERT == null || !STORE.ContainsKey(CERT.Thumbprint)"),
        rule(
            "CERT == null || CERT.NotAfter < DateTime.Now || CERT.Subject != \"CN=orders, O=Contoso\" || !CERT.Verify()",
        ),
        first(&when("HEADER == \"z\"", "REJECT")),
        first("<when condition='false'>REJECT</when>"),
        first("")
            .replace("</choose>", &format!("{}<otherwise>SET</otherwise></choose>", when(HEADER, "SET"))),
        first("").replace("'403'", "'599'"),
        validating("", &[]),
        validating("validate-not-after='false'", &["subject='CN=orders, O=Contoso'"]),
        validating(
            "validate-trust='false'",
            &["thumbprint='ORDERS-THUMBPRINT'", "subject='CN=a' thumbprint='FABRIKAM-THUMBPRINT'"],
        ),
        format!("<fragment>{}</fragment>", rule(guard)),
        format!("<policies><inbound>SET{}</inbound></policies>", rule(guard)),
        // Guards behind unproven rules.
        format!("{}{}", rule("HEADER == \"z\""), rule(guard)),
        format!("{}GUARD", validating("ignore-error='true'", &[])),
        format!("<choose>{}</choose>GUARD", when(HEADER, "SET")),
    ] {
        let document = WORLD.load(&filled(&text)).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert!(document.summary().proves_certificate && document.summary().is_anchored, "{text}");
        assert!(!lets_pass(&document), "{text}");
        let decision = evaluate(&document, &WORLD.certificate("orders"));
        assert!(decision.forward().is_some_and(|forward| forward.admits()), "{text}: {decision:?}");

        let end = ["</inbound>", "</fragment>"].into_iter().find(|end| text.contains(end));
        let selecting = match end {
            Some(end) => text.replace(end, &format!("SELECT{end}")),
            None => format!("{text}SELECT"),
        };
        let document = strict().load(&filled(&selecting)).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert!(!lets_pass(&document), "{text}");
        let decision = evaluate(&document, &WORLD.certificate("orders"));
        let identity = decision.forward().unwrap().forwarding().identity();
        assert!(
            matches!(identity, Some(ChosenIdentity::Id(id)) if **id == *"of-CN=orders, O=Contoso"),
            "{text}"
        );
    }
}

#[test]
fn branches_after_a_guard_are_guarded() {
    let guard = when("CERT == null || !CERT.VerifyNoRevocation()", "REJECT");
    for (text, is_error) in [
        (format!("<choose>{guard}<otherwise>SELECT</otherwise></choose>"), false),
        (format!("<choose>{guard}{}</choose>", when(HEADER, "SELECT")), false),
        (format!("GUARD<choose>{}</choose>", when(HEADER, "SELECT")), false),
        (format!("<choose>{}{guard}</choose>", when(HEADER, "SELECT")), true),
        (format!("<choose>{guard}</choose><choose>{}</choose>", when(HEADER, "SELECT")), false),
        (format!("<choose>{}</choose>GUARD", when(HEADER, "SELECT")), true),
        (format!("<choose>{}</choose>", when(HEADER, "GUARDSELECT")), true),
    ] {
        assert_eq!(WORLD.load(&filled(&text)).is_err(), is_error, "{text}");
    }
}

#[test]
fn error_shows_a_guard_that_can_be_pasted() {
    let select = filled(SELECT);
    for errors in [strict().load(&select), strict().load(&filled(&rejecting("CERT == null")))] {
        let errors = errors.unwrap_err().to_string();
        let start = errors.find("<choose>").unwrap_or_else(|| panic!("{errors}"));
        let end = errors.find("</choose>").unwrap() + "</choose>".len();
        let document = strict().load(&format!("{}{select}", &errors[start..end])).unwrap();
        assert!(document.summary().proves_certificate);
    }
}

#[test]
fn base_document_is_judged_where_it_runs() {
    let load = |base: &Document, text: &str| strict().base(base).load(&filled(text));
    let guarded = strict().load(&filled("GUARD")).unwrap();
    let open = strict().load(&filled("SET")).unwrap();
    let selecting = strict().load(&filled("GUARDSELECT")).unwrap();
    for (name, base, text, is_error) in [
        ("guard of the base", &guarded, "<base />SELECT", false),
        ("selection before the base", &guarded, "SELECT<base />", true),
        ("inherited inbound", &guarded, "<policies><outbound><base /></outbound></policies>", false),
        ("base does not run", &guarded, "<policies><inbound>SELECT</inbound></policies>", true),
        (
            "base only in outbound",
            &guarded,
            "<policies><inbound>SELECT</inbound><outbound><base /></outbound></policies>",
            true,
        ),
        ("changed base without a guard", &open, "<base />SELECT", true),
        ("guard after the base", &open, "<base />GUARDSELECT", false),
        ("base with both", &selecting, "<base />", false),
        ("base with both, twice", &selecting, "<base /><base />SELECT", false),
    ] {
        assert_eq!(load(base, text).is_err(), is_error, "{name}");
        if !is_error && !name.contains("after") {
            assert!(load(base, text).unwrap().summary().proves_certificate, "{name}");
        }
    }
}
