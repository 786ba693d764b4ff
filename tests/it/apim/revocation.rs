//! `Verify()` and `validate-revocation` with the revocation lists of the roots.

use tower_mtls::{
    Certificate, Shared, TrustAnchors,
    apim::{Document, DocumentDecision, RequestFacts},
    certificate::Presented,
    policy::{RejectionKind, Revocation, RevocationList, RevocationMode},
};

use super::world::{NOW, evaluate, request};
use crate::support::pki::{Authority, Issued, Leaf, NOON};

const DAY: i64 = 86_400;
const LISTED: u64 = 8;

const VERIFY: &str = "!context.Request.Certificate.Verify()";
const VERIFY_NO_REVOCATION: &str = "!context.Request.Certificate.VerifyNoRevocation()";
const VALIDATE: &str = "<validate-client-certificate />";
const VALIDATE_NO_REVOCATION: &str = "<validate-client-certificate validate-revocation='false' />";

/// A root, its intermediate, and two certificates of that.
struct World {
    root: Authority,
    issuing: Authority,
    good: Presented,
    listed: Presented,
}

impl World {
    fn new() -> Self {
        let root = Authority::root("Root CA");
        let issuing = root.intermediate("Issuing CA");
        let [good, listed] = [("good", 7), ("listed", LISTED)]
            .map(|(name, serial)| read(&issuing.issue(&Leaf::client(name).serial(serial))));
        Self { root, issuing, good, listed }
    }

    fn roots(&self) -> TrustAnchors {
        TrustAnchors::from_pem(self.root.pem()).unwrap()
    }

    /// With lists of both CAs; that of the intermediate has these serial numbers, and is valid until then.
    fn roots_with_lists(&self, mode: RevocationMode, serials: &[u64], until: i64) -> TrustAnchors {
        let lists = [
            self.root.crl(1, &[], (NOON - DAY, NOON + DAY)),
            self.issuing.crl(1, serials, (NOON - 2 * DAY, until)),
        ];
        let lists = lists.into_iter().flat_map(|list| RevocationList::read(list).unwrap());
        self.roots().with_revocation(Revocation::new(mode, lists))
    }
}

fn read(issued: &Issued) -> Presented {
    Certificate::from_der_chain(&issued.der, issued.chain.iter().map(Vec::as_slice)).unwrap().into()
}

fn rejecting(condition: &str) -> String {
    format!(
        "<choose><when condition=\"@(context.Request.Certificate == null || {condition})\"><return-response>\
         <set-status code=\"403\" /></return-response></when></choose>"
    )
}

fn load(trust: &TrustAnchors, text: &str) -> Document {
    Document::builder().trust(trust.clone()).load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"))
}

/// Status and reason code of the response; None for a request that is forwarded.
fn response(document: &Document, caller: &Presented) -> Option<(u16, Option<&'static str>)> {
    match evaluate(document, caller) {
        DocumentDecision::Respond(response) => Some((response.status().as_u16(), response.code())),
        _ => None,
    }
}

#[test]
fn revocation_lists_decide_only_where_revocation_is_checked() {
    let world = World::new();
    let (soon, overdue) = (NOON + DAY, NOON - DAY);
    use RejectionKind::{Document as Rejected, RevocationUnknown, Revoked};
    use RevocationMode::{Soft, Strict};
    for (case, trust, caller, expected) in [
        ("soft, good", world.roots_with_lists(Soft, &[LISTED], soon), &world.good, None),
        ("soft, listed", world.roots_with_lists(Soft, &[LISTED], soon), &world.listed, Some(Revoked)),
        ("soft, overdue", world.roots_with_lists(Soft, &[LISTED], overdue), &world.good, None),
        (
            "soft, listed, overdue",
            world.roots_with_lists(Soft, &[LISTED], overdue),
            &world.listed,
            Some(Revoked),
        ),
        ("strict, good", world.roots_with_lists(Strict, &[LISTED], soon), &world.good, None),
        ("strict, listed", world.roots_with_lists(Strict, &[LISTED], soon), &world.listed, Some(Revoked)),
        (
            "strict, overdue",
            world.roots_with_lists(Strict, &[], overdue),
            &world.good,
            Some(RevocationUnknown),
        ),
        ("off", world.roots_with_lists(Strict, &[LISTED], soon).without_revocation(), &world.listed, None),
    ] {
        let code = match expected {
            Some(Revoked) => "ClientCertificateRevoked",
            _ => "ClientCertificateRevocationUnknown",
        };
        // The certificate keeps the verdicts of all of them; the second round is decided by these.
        for round in 1..=2 {
            let case = format!("{case}, round {round}");
            for text in [&rejecting(VERIFY_NO_REVOCATION), VALIDATE_NO_REVOCATION] {
                let document = load(&trust, text);
                assert_eq!(response(&document, caller), None, "{case}: {text}");
                assert!(document.judge_proofs(caller, NOW).is_ok(), "{case}: {text}");
            }
            let verify = load(&trust, &rejecting(VERIFY));
            assert_eq!(response(&verify, caller), expected.map(|_| (403, None)), "{case}");
            let judged = verify.judge_proofs(caller, NOW).err().map(|rejection| rejection.kind());
            assert_eq!(judged, expected.map(|_| Rejected), "{case}");
            let validate = load(&trust, VALIDATE);
            assert_eq!(response(&validate, caller), expected.map(|_| (401, Some(code))), "{case}");
            let judged = validate.judge_proofs(caller, NOW).err().map(|rejection| rejection.kind());
            assert_eq!(judged, expected, "{case}");
        }
    }
}

#[test]
fn rejection_of_a_revoked_certificate_names_the_reason() {
    let world = World::new();
    let texts = [
        rejecting(VERIFY),
        VALIDATE.to_owned(),
        // The document does not check revocation: its lists are not the reason.
        rejecting(&format!("{VERIFY_NO_REVOCATION} || context.Request.Certificate.Subject != \"CN=a\"")),
    ];
    let revoked = world.roots_with_lists(RevocationMode::Soft, &[LISTED], NOON + DAY);
    let unknown = world.roots_with_lists(RevocationMode::Strict, &[], NOON - DAY);
    for (trust, caller, line, chain, message) in [
        (
            &revoked,
            &world.listed,
            "no valid chain: the client certificate is revoked",
            "a certificate of the chain is revoked",
            "The certificate is revoked.",
        ),
        (
            &unknown,
            &world.good,
            "no valid chain: the revocation status of the client certificate is unknown: ",
            "the revocation status of a certificate of the chain is unknown",
            "The revocation function was unable to check revocation for the certificate.",
        ),
    ] {
        for (index, text) in texts.iter().enumerate() {
            let document = load(trust, text);
            let explained = document.explain(&RequestFacts::new(&request(), caller), NOW).to_string();
            assert_eq!(explained.contains(line), index < 2, "{text}: {explained}");
            let decision = evaluate(&document, caller);
            let response = decision.response().unwrap();
            assert_eq!(response.chain_failure(), (index < 2).then_some(chain), "{text}");
            if index == 1 {
                assert_eq!(response.message(), message);
                assert_eq!(response.body(), r#"{"statusCode":401,"message":"Invalid client certificate"}"#);
            }
        }
    }
}

#[test]
fn list_of_a_replaced_document_decides_about_the_next_request() {
    let world = World::new();
    let roots = |serials: &[u64]| world.roots_with_lists(RevocationMode::Strict, serials, NOON + DAY);
    for text in [rejecting(VERIFY), VALIDATE.to_owned()] {
        let document = Shared::new(load(&roots(&[]), &text));
        assert_eq!(response(&document.current(), &world.listed), None);
        document.replace(load(&roots(&[LISTED]), &text));
        assert!(response(&document.current(), &world.listed).is_some(), "{text}");
        document.replace(load(&roots(&[]), &text));
        assert_eq!(response(&document.current(), &world.listed), None);
    }
}
