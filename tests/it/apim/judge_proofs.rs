//! Proofs of a document, judged apart from its other elements.

use http::Request;
use tower_mtls::{
    Shared,
    apim::{DeploymentCertificates, Document, RequestFacts},
    policy::RejectionKind,
};

use super::world::{NOW, WORLD};

const REJECT: &str = "<return-response><set-status code='403' /></return-response>";

fn rejecting(condition: &str) -> String {
    let condition = condition.replace("CERT", "context.Request.Certificate").replace('"', "&quot;");
    format!("<choose><when condition=\"@({condition})\">{REJECT}</when></choose>")
}

fn inbound(elements: &str) -> Document {
    let builder = Document::builder()
        .trust(WORLD.trust.clone().without_revocation())
        .deployment(Shared::new(WORLD.deployment()));
    builder.load(&WORLD.fill(&format!("<policies><inbound>{elements}</inbound></policies>"))).unwrap()
}

#[test]
fn proofs_decide_without_the_other_elements_of_the_document() {
    let header = "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\") != \"a\"";
    let chain = "CERT == null || !CERT.VerifyNoRevocation()";
    let pin = "CERT?.Thumbprint != \"ORDERS-THUMBPRINT\"";
    let member =
        "CERT == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == CERT.Thumbprint)";
    let validation = "<validate-client-certificate validate-revocation='false' />";
    let pinning = "<validate-client-certificate validate-trust='false' validate-revocation='false'><identities>\
                   <identity thumbprint='ORDERS-THUMBPRINT' /></identities></validate-client-certificate>";
    use RejectionKind::{Document as Rejected, Expired, Missing, NotTrusted};
    // Document, caller, rejection.
    for (name, elements, caller, expected) in [
        ("chain", rejecting(chain), "orders", None),
        ("chain", rejecting(chain), "lone", Some(Rejected)),
        ("chain", rejecting(chain), "impostor", Some(Rejected)),
        ("chain", rejecting(chain), "expired", Some(Rejected)),
        ("chain", rejecting(chain), "none", Some(Rejected)),
        ("thumbprint", rejecting(pin), "orders", None),
        ("thumbprint", rejecting(pin), "billing", Some(Rejected)),
        ("membership", rejecting(member), "orders", None),
        ("membership", rejecting(member), "billing", Some(Rejected)),
        ("validation", validation.to_owned(), "orders", None),
        ("validation", validation.to_owned(), "expired", Some(Expired)),
        ("validation", validation.to_owned(), "impostor", Some(NotTrusted)),
        ("validation", validation.to_owned(), "none", Some(Missing)),
        ("validation of a thumbprint", pinning.to_owned(), "orders", None),
        ("validation of a thumbprint", pinning.to_owned(), "billing", Some(Rejected)),
        ("two guards", rejecting(pin) + &rejecting(chain), "orders", None),
        ("two guards", rejecting(pin) + &rejecting(chain), "billing", Some(Rejected)),
        // Headers of the request are not known any more.
        ("another operand", rejecting(&format!("{header} || {chain}")), "orders", None),
        ("another operand", rejecting(&format!("{header} || {chain}")), "lone", Some(Rejected)),
        ("another condition", rejecting(header) + &rejecting(chain), "orders", None),
        ("response of the document", rejecting(chain) + REJECT, "orders", None),
        ("variable", "<set-variable name='x' value='y' />".to_owned() + &rejecting(chain), "orders", None),
        ("no guard", "<set-variable name='x' value='y' />".to_owned(), "orders", Some(Rejected)),
        ("no guard", rejecting(header), "orders", Some(Rejected)),
    ] {
        let document = inbound(&elements);
        let judged = document.judge_proofs(&WORLD.certificate(caller), NOW);
        assert_eq!(judged.err().map(|rejection| rejection.kind()), expected, "{name}: {caller}");
    }
}

#[test]
fn proofs_of_the_base_document_are_judged() {
    let base = inbound(&rejecting("CERT == null || !CERT.VerifyNoRevocation()"));
    let text = "<policies><inbound><base /><set-variable name='x' value='y' /></inbound></policies>";
    let document =
        Document::builder().trust(WORLD.trust.clone().without_revocation()).base(&base).load(text).unwrap();
    for (caller, is_proven) in [("orders", true), ("lone", false)] {
        assert_eq!(document.judge_proofs(&WORLD.certificate(caller), NOW).is_ok(), is_proven, "{caller}");
    }
}

#[test]
fn membership_is_judged_by_the_current_deployment() {
    let deployment = Shared::new(WORLD.deployment());
    let text = rejecting(
        "CERT == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == CERT.Thumbprint)",
    );
    let document = Document::builder().deployment(deployment.clone()).load(&text).unwrap();
    let caller = WORLD.certificate("orders");
    let request = Request::new(());
    let is_admitted = || document.evaluate(&RequestFacts::new(&request, &caller), NOW).forward().is_some();
    assert!(document.judge_proofs(&caller, NOW).is_ok() && is_admitted());
    deployment.replace(DeploymentCertificates::new());
    assert!(document.judge_proofs(&caller, NOW).is_err() && !is_admitted());
}
