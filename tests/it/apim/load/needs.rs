//! Needs of a document: trust, revocation, a base document and identities.

use tower_mtls::{
    apim::{Document, DocumentDecision},
    policy::{Revocation, RevocationMode},
};

use super::errors;
use crate::apim::texts::*;
use crate::apim::world::{WORLD, evaluate};
use crate::support::pki::Leaf;

/// Lists that are downloaded later.
fn no_lists() -> Revocation {
    Revocation::new(RevocationMode::Soft, [])
}

#[test]
fn trust_and_revocation_are_required_if_a_document_uses_them() {
    let verify = condition("!context.Request.Certificate.Verify()");
    let no_revocation = condition("!context.Request.Certificate.VerifyNoRevocation()");
    let validate = "<validate-client-certificate />";
    let untrusting = "<validate-client-certificate validate-trust='false' validate-revocation='false' />";
    let none = Document::builder().allow_unanchored();
    let alone = "<validate-client-certificate validate-trust='false' />";
    let trusting = |trust| Document::builder().allow_unanchored().trust(trust);
    let off = || trusting(WORLD.trust.clone().without_revocation());
    let with_lists = || trusting(WORLD.trust.clone().with_revocation(no_lists()));
    let trusting = || trusting(WORLD.trust.clone());
    for (builder, text, message) in [
        (none.clone(), verify.as_str(), Some("needs trusted roots")),
        (none.clone(), &no_revocation, Some("needs trusted roots")),
        (none.clone(), validate, Some("validate-trust needs trusted roots")),
        (none.clone(), alone, Some("needs a chain, and validate-trust is false")),
        (none, untrusting, None),
        (trusting(), &verify, Some("VerifyNoRevocation()")),
        (trusting(), &no_revocation, None),
        (trusting(), validate, Some("validate-revocation is true (the default)")),
        (trusting(), "<validate-client-certificate validate-revocation='false' />", None),
        (trusting(), alone, Some("write validate-trust=\"true\" or validate-revocation=\"false\"")),
        (off(), &verify, None),
        (off(), validate, None),
        (off(), alone, None),
        (with_lists(), &verify, None),
        (with_lists(), &no_revocation, None),
        (with_lists(), validate, None),
        (with_lists(), alone, Some("needs a chain, and validate-trust is false")),
    ] {
        match (builder.load(text), message) {
            (Ok(_), None) => {}
            (Err(errors), Some(message)) => assert!(errors.to_string().contains(message), "{text}: {errors}"),
            (loaded, _) => panic!("{text}: {loaded:?}"),
        }
    }
}

#[test]
fn document_reports_its_need_for_trust_and_base() {
    let trusting =
        condition("context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation()");
    let issuer = "<validate-client-certificate validate-trust='false'><identities><identity \
                  issuer-thumbprint='CA06F56B258B7A0D4F2B05470939478651151984' /></identities></validate-client-certificate>";
    for (text, asks) in [
        (trusting.as_str(), true),
        ("<validate-client-certificate />", true),
        ("<validate-client-certificate validate-trust='false' />", false),
        (issuer, true),
        ("<base />", false),
    ] {
        assert_eq!(WORLD.load(text).unwrap().summary().uses_trust, asks, "{text}");
    }
    let whole = "<policies>\n<inbound>\n <base />\n</inbound><outbound><base /></outbound></policies>";
    let above = WORLD.load("<base />").unwrap();
    let unresolved_base =
        |document: &Document| document.summary().unresolved_base.map(|at| (at.line, at.column));
    assert_eq!(unresolved_base(&above), Some((1, 1)));
    assert_eq!(unresolved_base(&WORLD.load(whole).unwrap()), Some((3, 2)));
    assert_eq!(unresolved_base(&WORLD.builder().base(&above).load(whole).unwrap()), None);
    assert_eq!(
        unresolved_base(&WORLD.load("<policies><outbound><base /></outbound></policies>").unwrap()),
        None
    );
}

#[test]
fn base_runs_the_document_above() {
    let global = Document::builder()
        .scope(tower_mtls::apim::DocumentScope::Global)
        .allow_unanchored()
        .load(&condition("context.Request.Certificate == null"))
        .unwrap();
    let load = |text: &str| Document::builder().allow_unanchored().base(&global).load(text).unwrap();
    let is_refused = |document: &Document| {
        matches!(evaluate(document, &WORLD.certificate("none")), DocumentDecision::Respond(_))
    };
    for (inbound, refused) in [
        ("<inbound><base /></inbound>", true),
        // An omitted section is inherited; one written without `<base />` is not.
        ("", true),
        ("<inbound></inbound>", false),
    ] {
        let document = load(&format!("<policies>{inbound}<backend><base /></backend></policies>"));
        assert_eq!(is_refused(&document), refused, "{inbound}");
        let warned = document.warnings().iter().any(|warning| warning.message().contains("do not run"));
        assert_eq!(warned, !refused, "{inbound}");
    }
    assert!(is_refused(&load("<base /><set-variable name='a' value='b' />")));
    for (code, needs_revocation) in [("VerifyNoRevocation", false), ("Verify", true)] {
        let above = format!("context.Request.Certificate == null || !context.Request.Certificate.{code}()");
        let above = WORLD.load(&condition(&above)).unwrap();
        let untrusting = Document::builder().base(&above).load("<base />").unwrap_err();
        assert!(untrusting.to_string().contains("trusted roots"), "{untrusting}");
        let trusting = Document::builder().trust(WORLD.trust.clone()).base(&above).load("<base />");
        assert_eq!(trusting.is_err(), needs_revocation, "{code}");
        let listing = WORLD.trust.clone().with_revocation(no_lists());
        assert!(Document::builder().trust(listing).base(&above).load("<base />").is_ok(), "{code}");
    }
    let alone = WORLD.load("<validate-client-certificate validate-trust='false' />").unwrap();
    let below = |trust| Document::builder().allow_unanchored().trust(trust).base(&alone).load("<base />");
    assert!(below(WORLD.trust.clone().without_revocation()).is_ok());
    let errors = below(WORLD.trust.clone().with_revocation(no_lists())).unwrap_err().to_string();
    assert!(errors.contains("the base document checks revocation without a chain"), "{errors}");
}

#[cfg(feature = "identity")]
#[test]
fn embedded_identity_is_read_at_load() {
    use tower_mtls::apim::ChosenIdentity;
    let issued = Leaf::client("embedded").self_signed();
    let base64 = pem::encode_config(
        &pem::Pem::new("X", issued.pfx("secret")),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    );
    let base64: String = base64.lines().filter(|line| !line.starts_with("---")).collect();
    let text = |password: &str| {
        format!(
            "<authentication-certificate body=\"@(Convert.FromBase64String(\"{base64}\"))\" password=\"{password}\" />"
        )
    };
    let document = WORLD.load(&text("secret")).unwrap();
    let refused = WORLD.builder().only_referenced_identities().load(&text("secret")).unwrap_err();
    assert!(
        refused.to_string().starts_with("1:29: body: private keys in documents are not allowed"),
        "{refused}"
    );
    let outcome = evaluate(&document, &WORLD.certificate("none"));
    let Some(ChosenIdentity::Embedded(identity)) = outcome.forward().unwrap().forwarding().identity() else {
        panic!("no identity");
    };
    assert_eq!(identity.certificate().der(), issued.der);
    let wrong = errors(&text("guess"));
    assert!(wrong.to_string().contains("password"), "{wrong}");
    assert!(!wrong.to_string().contains("guess"), "{wrong}");
}
