//! `validate-client-certificate`: attributes, claims and reason codes.

use tower_mtls::{
    Certificate, TrustAnchors,
    apim::Document,
    policy::{ChainRequirements, SignatureAlgorithm},
};

use super::world::{WORLD, evaluate, joined};
use crate::support::pki::{Issued, Leaf, NOON};

/// A document whose `on-error` returns `context.LastError` to the caller.
fn shown(validate: &str) -> String {
    let fields = ["Source", "Reason", "Message", "Scope", "Section", "Path", "PolicyId"];
    let headers: String = fields
        .iter()
        .map(|field| {
            format!(
                "<set-header name=\"ErrorX-{field}\"><value>@(context.LastError.{field})</value></set-header>"
            )
        })
        .collect();
    format!(
        "<policies><inbound><base />{validate}</inbound><backend><base /></backend><outbound><base /></outbound><on-error><base \
         />{headers}</on-error></policies>"
    )
}

fn code(document: &Document, caller: &str) -> Option<&'static str> {
    evaluate(document, &WORLD.certificate(caller)).response().map(|answer| answer.code().unwrap_or("no code"))
}

const NOT_FOUND: Option<&str> = Some("ClientCertificateNotFound");
const EARLY: Option<&str> = Some("ClientCertificateNotYetValid");
const EXPIRED: Option<&str> = Some("ClientCertificateExpired");
const NOT_TRUSTED: Option<&str> = Some("ClientCertificateNotTrusted");
const NOT_MATCHED: Option<&str> = Some("ClientCertificateIdentityNotMatched");

#[test]
fn attributes_have_their_effect_and_reason_code() {
    const OTHER: &str = "<identities><identity common-name=\"other\" /></identities>";
    for (attributes, children, caller, expected) in [
        ("", "", "none", NOT_FOUND),
        ("", "", "orders", None),
        ("", "", "expired", EXPIRED),
        ("", "", "early", EARLY),
        ("", "", "impostor", NOT_TRUSTED),
        ("", "", "lone", NOT_TRUSTED),
        ("validate-trust=\"false\"", "", "impostor", None),
        ("validate-trust=\"false\"", "", "expired", EXPIRED),
        ("validate-trust=\"false\" validate-not-after=\"false\"", "", "expired", None),
        ("validate-trust=\"false\" validate-not-after=\"false\"", "", "early", EARLY),
        ("validate-trust=\"false\" validate-not-before=\"false\"", "", "early", None),
        // Dates of the chain are judged with the chain.
        ("validate-not-after=\"false\"", "", "expired", NOT_TRUSTED),
        ("validate-not-before=\"false\"", "", "early", NOT_TRUSTED),
        ("validate-revocation=\"false\"", "", "orders", None),
        ("", OTHER, "orders", NOT_MATCHED),
        // Expiry is checked before trust, trust before identity.
        ("", OTHER, "impostor", NOT_TRUSTED),
        ("", OTHER, "expired", EXPIRED),
        ("", OTHER, "none", NOT_FOUND),
        ("validate-trust=\"false\"", OTHER, "impostor", NOT_MATCHED),
        ("ignore-error=\"true\"", OTHER, "impostor", None),
        ("ignore-error=\"true\"", "", "none", None),
    ] {
        let text =
            format!("<validate-client-certificate {attributes}>{children}</validate-client-certificate>");
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert_eq!(code(&document, caller), expected, "{caller}: {text}");
    }
}

#[test]
fn claims_are_compared() {
    for (claims, passes) in [
        ("thumbprint=\"ORDERS-THUMBPRINT\"", &["orders"][..]),
        ("serial-number=\"A1B2C3D4\"", &["orders"]),
        ("serial-number=\"00:a1:b2:c3:d4\"", &["orders"]),
        ("common-name=\"orders\"", &["orders"]),
        ("common-name=\"*.fabrikam.com\"", &["fabrikam"]),
        ("subject=\"CN=orders, O=Contoso\"", &["orders"]),
        ("subject=\"O=Contoso, CN=orders\"", &["orders"]),
        ("subject='C=US, ST=Illinois, L=Chicago, O=\"Fabrikam, Inc.\", CN=*.fabrikam.com'", &["fabrikam"]),
        ("dns-name=\"api.contoso.com\"", &["orders"]),
        ("dns-name=\"*.contoso.com\"", &[]),
        ("issuer-subject=\"CN=Partners Issuing CA, O=Contoso\"", &["orders", "billing"]),
        ("issuer-thumbprint=\"ISSUING-THUMBPRINT\"", &["orders", "billing"]),
        ("issuer-certificate-id=\"issuing-ca\"", &["orders", "billing"]),
        ("issuer-certificate-id=\"orders\"", &[]),
        ("issuer-certificate-id=\"not-there\"", &[]),
        // All claims of one identity must match.
        ("common-name=\"orders\" issuer-certificate-id=\"issuing-ca\"", &["orders"]),
        ("common-name=\"orders\" thumbprint=\"BILLING-THUMBPRINT\"", &[]),
        // At least one identity must match.
        ("common-name=\"orders\" /><identity common-name=\"billing\"", &["orders", "billing"]),
    ] {
        let text = WORLD.fill(&format!(
            "<validate-client-certificate><identities><identity {claims} /></identities></validate-client-certificate>"
        ));
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        for caller in ["orders", "billing", "fabrikam"] {
            let expected = if passes.contains(&caller) { None } else { NOT_MATCHED };
            assert_eq!(code(&document, caller), expected, "{caller}: {text}");
        }
    }
}

#[test]
fn issuer_is_proven_by_its_signature_not_by_its_name() {
    let text = "<validate-client-certificate validate-trust=\"false\"><identities><identity \
                issuer-certificate-id=\"issuing-ca\" /></identities></validate-client-certificate>";
    let document = WORLD.load(text).unwrap();
    assert_eq!(code(&document, "orders"), None);
    assert_eq!(code(&document, "impostor"), NOT_MATCHED, "same issuer name, another key");
}

#[test]
fn failed_validation_is_401_and_on_error_reads_the_reason() {
    let text = shown("<set-variable name=\"x\" value=\"y\" /><validate-client-certificate id=\"mtls\" />");
    let document = WORLD.load(&text).unwrap();
    for (caller, message, reason, error) in [
        ("none", "Client certificate missing", "ClientCertificateNotFound", "Client certificate missing"),
        ("expired", "Invalid client certificate", "ClientCertificateExpired", "Certificate has expired."),
        (
            "impostor",
            "Invalid client certificate",
            "ClientCertificateNotTrusted",
            "A certificate chain could not be built to a trusted root authority.",
        ),
    ] {
        let outcome = evaluate(&document, &WORLD.certificate(caller));
        let answer = outcome.response().unwrap();
        assert_eq!(answer.status(), 401, "{caller}");
        assert_eq!(answer.reason_phrase(), None);
        assert_eq!(*answer.body(), format!(r#"{{"statusCode":401,"message":"{message}"}}"#));
        for (header, expected) in [
            ("content-type", "application/json"),
            ("errorx-source", "validate-client-certificate"),
            ("errorx-reason", reason),
            ("errorx-message", error),
            ("errorx-scope", "api"),
            ("errorx-section", "inbound"),
            ("errorx-path", "validate-client-certificate[1]"),
            ("errorx-policyid", "mtls"),
        ] {
            assert_eq!(joined(answer.headers(), header).as_deref(), Some(expected), "{caller}: {header}");
        }
    }
}

#[test]
fn on_error_can_replace_the_response() {
    let text = "<policies><inbound><validate-client-certificate /></inbound><backend><base \
                /></backend><on-error><choose><when condition=\"@(context.LastError.Reason == \
                \"ClientCertificateExpired\")\"><return-response><set-status code=\"403\" reason=\"Renew \
                it\" /><set-body>renew it</set-body></return-response></when><otherwise><set-status code=\"404\" \
                reason=\"Not Found\" /><set-body /><set-header name=\"content-type\" exists-action=\"delete\" \
                /></otherwise></choose></on-error></policies>";
    let document = WORLD.load(text).unwrap();
    let outcome = evaluate(&document, &WORLD.certificate("expired"));
    let answer = outcome.response().unwrap();
    assert_eq!((answer.status().as_u16(), answer.reason_phrase()), (403, Some("Renew it")));
    assert_eq!(*answer.body(), "renew it");
    let outcome = evaluate(&document, &WORLD.certificate("none"));
    let answer = outcome.response().unwrap();
    assert_eq!((answer.status().as_u16(), answer.reason_phrase()), (404, Some("Not Found")));
    assert!(answer.body().is_empty() && answer.headers().is_empty());
    assert_eq!(answer.code(), NOT_FOUND);
}

#[test]
fn failing_on_error_is_500() {
    let text = "<policies><inbound><validate-client-certificate /></inbound><backend><base /></backend><on-error><set-header \
                name=\"x-a\"><value>@(context.Request.Certificate.Subject)</value></set-header></on-error></policies>";
    let document = WORLD.load(text).unwrap();
    let outcome = evaluate(&document, &WORLD.certificate("none"));
    let answer = outcome.response().unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.code(), NOT_FOUND, "the first cause is reported");
}

#[test]
fn ignored_failure_admits_no_caller() {
    let document = WORLD.load("<validate-client-certificate ignore-error=\"true\" />").unwrap();
    for (caller, admits) in [("orders", true), ("impostor", false), ("none", false)] {
        let outcome = evaluate(&document, &WORLD.certificate(caller));
        assert_eq!(outcome.forward().unwrap().admits(), admits, "{caller}");
    }
}

#[test]
fn listed_self_signed_certificate_is_trusted_if_it_satisfies_the_requirements() {
    use rcgen::{ExtendedKeyUsagePurpose::ServerAuth, KeyUsagePurpose::KeyCertSign};
    // As `openssl req -x509` creates them.
    let lone = || Leaf::client("lone").usages(&[]).ca();
    let is_admitted = |trust: &TrustAnchors, caller: &Issued| {
        let document = Document::builder().trust(trust.clone().without_revocation());
        let document = document.load("<validate-client-certificate />").unwrap();
        let caller = Certificate::from_der(&caller.der).unwrap();
        evaluate(&document, &caller.into()).forward().is_some()
    };
    for (case, leaf, admits) in [
        ("a CA certificate", lone(), true),
        ("not a CA", Leaf::client("lone"), true),
        ("expired", lone().until(NOON - 1), false),
        ("for servers only", lone().usages(&[ServerAuth]), false),
        ("for signing certificates only", lone().key_usages(&[KeyCertSign]), false),
    ] {
        let listed = leaf.self_signed();
        let trust = TrustAnchors::from_der([listed.der.as_slice()]).unwrap();
        assert_eq!(is_admitted(&trust, &listed), admits, "{case}");
        assert!(!is_admitted(&trust, &leaf.self_signed()), "{case}: another key");
        let ed25519 = ChainRequirements::new().signature_algorithms([SignatureAlgorithm::Ed25519]);
        assert!(!is_admitted(&trust.with_requirements(ed25519), &listed), "{case}: ECDSA");
    }
}
