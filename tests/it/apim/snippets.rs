//! The certificate checks of Microsoft's articles, as published in 2017 and as they are today.

use tower_mtls::apim::Format;

use super::world::{WORLD, evaluate};
use crate::support::pki::NOON;

const EXPIRY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.NotAfter < DateTime.Now)" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const NAMES: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Issuer != "trusted-issuer" || context.Request.Certificate.SubjectName != "expected-subject-name")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const THUMBPRINT: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "desired-thumbprint")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const STORE: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>

"#;

const NAMES_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Issuer != "trusted-issuer" || context.Request.Certificate.SubjectName.Name != "expected-subject-name")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const THUMBPRINT_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Thumbprint != "DESIRED-THUMBPRINT-IN-UPPER-CASE")" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const STORE_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.Verify()  || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint))" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

const CHAIN_TODAY: &str = r#"<choose>
    <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation())" >
        <return-response>
            <set-status code="403" reason="Invalid client certificate" />
        </return-response>
    </when>
</choose>
"#;

/// All snippets, with the names and thumbprints of these tests.
pub(crate) fn all() -> Vec<String> {
    [EXPIRY, NAMES, THUMBPRINT, STORE, NAMES_TODAY, THUMBPRINT_TODAY, STORE_TODAY, CHAIN_TODAY]
        .into_iter()
        .map(|snippet| WORLD.fill(&filled(snippet)))
        .collect()
}

fn filled(snippet: &str) -> String {
    snippet
        .replace("trusted-issuer", "CN=Partners Issuing CA, O=Contoso")
        .replace("expected-subject-name", "CN=orders, O=Contoso")
        .replace("desired-thumbprint", "ORDERS-THUMBPRINT")
        .replace("DESIRED-THUMBPRINT-IN-UPPER-CASE", "ORDERS-THUMBPRINT")
}

#[test]
fn snippets_answer_as_in_apim() {
    let everyone = ["orders", "billing", "expired", "early", "impostor", "fabrikam", "lone"];
    for (name, snippet, pass) in [
        ("expiry", EXPIRY, &["orders", "billing", "early", "impostor", "fabrikam", "lone"][..]),
        // Names alone prove nothing, in APIM as well.
        ("names", NAMES, &["orders", "expired", "early", "impostor"]),
        ("thumbprint", THUMBPRINT, &["orders"]),
        ("store", STORE, &["orders", "fabrikam"]),
        ("names today", NAMES_TODAY, &["orders"]),
        ("thumbprint today", THUMBPRINT_TODAY, &["orders"]),
        ("store today", STORE_TODAY, &["orders", "fabrikam"]),
        ("chain today", CHAIN_TODAY, &["orders", "billing", "fabrikam"]),
    ] {
        let text = WORLD.fill(&filled(snippet));
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        for caller in everyone.iter().chain(&["none"]) {
            let outcome = evaluate(&document, &WORLD.certificate(caller));
            if pass.contains(caller) {
                let forward = outcome.forward().unwrap_or_else(|| panic!("{name}: {caller} is refused"));
                assert!(forward.admits(), "{name}: {caller}");
                continue;
            }
            let answer = outcome.response().unwrap_or_else(|| panic!("{name}: {caller} passes"));
            assert_eq!(answer.status(), 403, "{name}: {caller}");
            assert_eq!(answer.reason_phrase(), Some("Invalid client certificate"), "{name}: {caller}");
            assert!(answer.body().is_empty() && answer.headers().is_empty(), "{name}: {caller}");
        }
    }
}

#[test]
fn snippets_decide_the_same_in_their_escaped_form() {
    for snippet in [EXPIRY, NAMES, THUMBPRINT, STORE, NAMES_TODAY, THUMBPRINT_TODAY, STORE_TODAY, CHAIN_TODAY]
    {
        let text = WORLD.fill(&filled(snippet));
        let (head, rest) = text.split_once("@(").unwrap();
        let (code, tail) = rest.split_once(")\" >").unwrap();
        let escaped = code.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        let escaped = format!("{head}@({escaped})\" >{tail}");
        let [raw, xml] = [Format::RawXml, Format::Xml].map(|format| {
            tower_mtls::apim::Document::builder()
                .format(format)
                .trust(WORLD.trust.clone().without_revocation())
                .allow_unanchored()
                .load(&escaped)
                .unwrap_or_else(|errors| panic!("{errors}: {escaped}"))
        });
        for caller in ["orders", "billing", "none"] {
            let presented = WORLD.certificate(caller);
            let [raw, xml] = [&raw, &xml].map(|document| evaluate(document, &presented).response().is_some());
            assert_eq!(raw, xml, "{caller}: {escaped}");
        }
    }
}

#[test]
fn last_second_of_a_certificate_is_valid() {
    use tower_mtls::{apim::RequestFacts, certificate::Timestamp};
    let document = WORLD.load(EXPIRY).unwrap();
    let presented = WORLD.certificate("expired");
    let request = super::world::request();
    for (seconds, passes) in [(-2, true), (-1, true), (0, false)] {
        let now = Timestamp::from_unix(NOON + seconds);
        let outcome = document.evaluate(&RequestFacts::new(&request, &presented), now);
        assert_eq!(outcome.forward().is_some(), passes, "{seconds}");
    }
}
