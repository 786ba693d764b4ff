//! Documents of typical uses, and their decisions.
//!
//! Each file begins with a comment that describes its use. `pass` forwards, followed by the admission of the certificate,
//! the identity, the base URL and the changed headers (nothing after `=`: removed or empty). A response is its status, its
//! reason phrase, its headers except those of JSON errors, and its body.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use tower_mtls::apim::{ChosenIdentity, Document, DocumentDecision};

use super::world::{WORLD, evaluate, joined};

const EXPECTED: &[(&str, &str, &str)] = &[
    ("any_certificate", "orders", "pass admitted"),
    ("any_certificate", "lone", "pass admitted"),
    ("any_certificate", "none", "403 Invalid client certificate"),
    ("expiry", "orders", "pass admitted"),
    ("expiry", "expired", "403 Invalid client certificate"),
    ("expiry", "early", "pass admitted"),
    ("expiry", "none", "403 Invalid client certificate"),
    ("validity_both_ends", "orders", "pass admitted"),
    ("validity_both_ends", "expired", "403 Invalid client certificate"),
    ("validity_both_ends", "early", "403 Invalid client certificate"),
    ("chain_only", "orders", "pass admitted"),
    ("chain_only", "billing", "pass admitted"),
    ("chain_only", "impostor", "403 Invalid client certificate"),
    ("chain_only", "lone", "403 Invalid client certificate"),
    ("chain_only", "expired", "403 Invalid client certificate"),
    ("thumbprint_pin", "orders", "pass admitted"),
    ("thumbprint_pin", "billing", "403 Invalid client certificate"),
    ("thumbprint_pin", "none", "403 Invalid client certificate"),
    ("rotation_two_thumbprints", "orders", "pass admitted"),
    ("rotation_two_thumbprints", "billing", "pass admitted"),
    ("rotation_two_thumbprints", "fabrikam", "403 Invalid client certificate"),
    ("rotation_with_cutover", "orders", "pass admitted"),
    ("rotation_with_cutover", "billing", "pass admitted"),
    ("rotation_with_cutover", "fabrikam", "403 Invalid client certificate"),
    ("rotation_after_cutover", "orders", "403 Invalid client certificate"),
    ("rotation_after_cutover", "billing", "pass admitted"),
    ("thumbprint_list", "orders", "pass admitted"),
    ("thumbprint_list", "fabrikam", "pass admitted"),
    ("thumbprint_list", "billing", "403 Invalid client certificate"),
    ("thumbprint_list_in_a_variable", "orders", "pass admitted"),
    ("thumbprint_list_in_a_variable", "billing", "pass admitted"),
    ("thumbprint_list_in_a_variable", "fabrikam", "403 Invalid client certificate"),
    ("lower_case_list", "orders", "pass admitted"),
    ("lower_case_list", "billing", "403 Invalid client certificate"),
    ("store", "orders", "pass admitted"),
    ("store", "fabrikam", "pass admitted"),
    ("store", "billing", "403 Invalid client certificate"),
    ("store", "none", "403 Invalid client certificate"),
    ("store_by_key", "orders", "pass admitted"),
    ("store_by_key", "billing", "403 Invalid client certificate"),
    ("store_and_dates", "orders", "pass admitted"),
    ("store_and_dates", "billing", "403 Invalid client certificate"),
    ("store_by_subject", "orders", "pass admitted"),
    ("store_by_subject", "impostor", "403 Invalid client certificate"),
    ("store_by_subject", "billing", "403 Invalid client certificate"),
    ("issuer_and_subject", "orders", "pass admitted"),
    ("issuer_and_subject", "billing", "403 Invalid client certificate"),
    ("issuer_and_subject", "impostor", "403 Invalid client certificate"),
    ("issuer_and_subject", "expired", "403 Invalid client certificate"),
    ("several_issuers", "orders", "pass admitted"),
    ("several_issuers", "fabrikam", "pass admitted"),
    ("several_issuers", "impostor", "403 Invalid client certificate"),
    ("subject_allow_list", "orders", "pass admitted"),
    ("subject_allow_list", "billing", "403 Invalid client certificate"),
    ("subject_with_quotes", "fabrikam", "pass admitted"),
    ("subject_with_quotes", "orders", "403 Invalid client certificate"),
    ("subject_with_quotes_verbatim", "fabrikam", "pass admitted"),
    ("subject_with_quotes_verbatim", "orders", "403 Invalid client certificate"),
    ("subject_contains", "orders", "pass admitted"),
    ("subject_contains", "billing", "pass admitted"),
    ("subject_contains", "fabrikam", "403 Invalid client certificate"),
    ("common_name_prefix", "orders", "pass admitted"),
    ("common_name_prefix", "billing", "403 Invalid client certificate"),
    ("common_name_any_case", "orders", "pass admitted"),
    ("common_name_any_case", "billing", "403 Invalid client certificate"),
    ("dns_name", "orders", "pass admitted"),
    ("dns_name", "billing", "403 Invalid client certificate"),
    ("serial_number", "orders", "pass admitted"),
    ("serial_number", "billing", "403 Invalid client certificate"),
    ("renew_soon_header", "orders", "pass admitted x-renew-soon="),
    ("renew_soon_header", "none", "403 Invalid client certificate"),
    ("days_left", "orders", "pass admitted"),
    ("days_left", "expired", "403 Invalid client certificate"),
    (
        "subject_to_the_backend",
        "orders",
        "pass admitted x-caller=CN=orders, O=Contoso x-caller-thumbprint=ORDERS-THUMBPRINT",
    ),
    ("subject_to_the_backend", "none", "403 Invalid client certificate"),
    ("whole_certificate_to_the_backend", "orders", "pass x-caller=MIIB"),
    ("whole_certificate_to_the_backend", "none", "pass x-caller="),
    ("forged_header_removed", "orders", "pass x-caller=CN=orders, O=Contoso"),
    ("forged_header_removed", "none", "pass x-caller="),
    ("caller_as_variable", "orders", "pass admitted x-caller=orders x-audit=caller=orders;method=GET"),
    ("caller_as_variable", "none", "403 Invalid client certificate"),
    ("organisation_out_of_the_subject", "orders", "pass x-caller=O=Contoso"),
    ("organisation_out_of_the_subject", "none", "pass x-caller=unknown"),
    ("identity_per_caller", "orders", "pass admitted id=ORDERS-THUMBPRINT"),
    ("identity_per_caller", "fabrikam", "pass admitted id=fabrikam"),
    ("identity_per_caller", "none", "403 Invalid client certificate"),
    ("identity_by_expression", "orders", "pass admitted id=out-orders"),
    ("identity_by_expression", "billing", "pass admitted id=out-billing"),
    ("routing_per_caller", "fabrikam", "pass admitted to=https://fabrikam.internal/api"),
    ("routing_per_caller", "orders", "pass admitted id=orders to=https://contoso.internal/api"),
    ("routing_per_caller", "billing", "403 Invalid client certificate"),
    ("routing_per_caller", "none", "403 Invalid client certificate"),
    ("routing_by_region", "orders", "pass to=https://eu.internal/"),
    ("routing_by_region", "none", "pass to=https://eu.internal/"),
    ("backend_per_caller", "fabrikam", "pass admitted id=fabrikam to=https://west.internal/ (west)"),
    ("backend_per_caller", "orders", "pass admitted to=https://east.internal/v2 (east)"),
    ("backend_per_caller", "none", "403 Invalid client certificate"),
    ("backend_with_own_identity", "orders", "pass id=orders to=https://west.internal/ (west)"),
    ("backend_with_own_identity", "none", "pass to=https://east.internal/v2 (east)"),
    ("writes_need_a_certificate", "orders", "pass"),
    ("writes_need_a_certificate", "none", "pass"),
    ("admin_path", "orders", "pass admitted"),
    ("admin_path", "billing", "403 Invalid client certificate"),
    ("admin_path", "none", "403 Invalid client certificate"),
    ("own_error_body", "orders", "pass admitted"),
    (
        "own_error_body",
        "none",
        r#"401 Unauthorized content-type=application/json {"error":"client certificate required"}"#,
    ),
    ("error_body_by_expression", "orders", "pass admitted"),
    ("error_body_by_expression", "none", "403 Forbidden refused: no certificate"),
    ("error_body_by_expression", "billing", "403 Forbidden refused: CN=billing, O=Contoso"),
    ("validate_all", "orders", "pass admitted"),
    ("validate_all", "none", "401 Client certificate missing"),
    ("validate_all", "expired", "401 Invalid client certificate"),
    ("validate_all", "impostor", "401 Invalid client certificate"),
    ("validate_identities", "orders", "pass admitted"),
    ("validate_identities", "fabrikam", "pass admitted"),
    ("validate_identities", "billing", "401 Invalid client certificate"),
    ("validate_dns_name", "orders", "pass admitted"),
    ("validate_dns_name", "impostor", "401 Invalid client certificate"),
    ("validate_dns_name", "billing", "401 Invalid client certificate"),
    ("validate_and_tell", "orders", "pass admitted"),
    (
        "validate_and_tell",
        "expired",
        "401 Invalid client certificate errorsource=validate-client-certificate errorreason=ClientCertificateExpired",
    ),
    ("validate_or_anonymous", "none", "pass x-view=public"),
    ("validate_or_anonymous", "orders", "pass admitted x-view=partner"),
    ("validate_or_anonymous", "impostor", "401 Invalid client certificate"),
    ("try_out", "orders", "pass admitted"),
    ("try_out", "impostor", "pass"),
    ("try_out", "none", "pass"),
    ("escaped_xml", "orders", "pass admitted"),
    ("escaped_xml", "none", "403 Invalid client certificate"),
    ("fragment", "orders", "pass admitted"),
    ("fragment", "none", "403 Invalid client certificate"),
    ("whole_document", "orders", "pass admitted id=orders to=https://orders.internal/v2"),
    ("whole_document", "fabrikam", "403 Invalid client certificate"),
    ("whole_document", "none", "403 Invalid client certificate"),
    ("block_with_early_returns", "orders", "pass admitted"),
    ("block_with_early_returns", "billing", "pass admitted"),
    ("block_with_early_returns", "fabrikam", "403 Invalid client certificate"),
    ("block_with_early_returns", "impostor", "403 Invalid client certificate"),
    ("block_with_early_returns", "none", "403 Invalid client certificate"),
    ("unguarded", "orders", "pass admitted"),
    ("unguarded", "none", "500 Internal server error"),
    ("environment_by_query", "orders", "pass admitted"),
    ("environment_by_query", "none", "403 Invalid client certificate"),
    ("deny_list", "orders", "pass admitted"),
    ("deny_list", "billing", "403 Invalid client certificate"),
];

pub(crate) fn documents() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/apim/documents");
    let mut documents: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, WORLD.fill(&std::fs::read_to_string(path).unwrap()))
        })
        .collect();
    documents.sort();
    documents
}

pub(crate) fn decision(outcome: &DocumentDecision) -> String {
    let mut decision = String::new();
    match outcome {
        DocumentDecision::Respond(answer) => {
            write!(decision, "{}", answer.status().as_u16()).unwrap();
            if let Some(reason) = answer.reason_phrase() {
                write!(decision, " {reason}").unwrap();
            }
            let body = String::from_utf8(answer.body().to_vec()).unwrap();
            // {"statusCode":401,"message":"..."}
            let message =
                body.strip_prefix(&format!("{{\"statusCode\":{},\"message\":\"", answer.status().as_u16()));
            if let Some(message) = message {
                write!(decision, " {}", message.trim_end_matches("\"}")).unwrap();
            }
            for (name, value) in answer.headers() {
                if message.is_none() || name != "content-type" {
                    write!(decision, " {name}={}", value.to_str().unwrap()).unwrap();
                }
            }
            if message.is_none() && !body.is_empty() {
                write!(decision, " {body}").unwrap();
            }
        }
        DocumentDecision::Forward(forward) => {
            decision.push_str("pass");
            decision.push_str(if forward.admits() { " admitted" } else { "" });
            match forward.forwarding().identity() {
                Some(ChosenIdentity::Id(id)) => write!(decision, " id={id}").unwrap(),
                Some(ChosenIdentity::Thumbprint(thumbprint)) => write!(decision, " id={thumbprint}").unwrap(),
                _ => {}
            }
            if let Some(url) = forward.forwarding().base_url() {
                write!(decision, " to={url}").unwrap();
            }
            if let Some(id) = forward.forwarding().backend() {
                write!(decision, " ({id})").unwrap();
            }
            for (name, _) in forward.forwarding().header_changes() {
                let value = joined(forward.headers().unwrap(), name.as_str()).unwrap_or_default();
                write!(decision, " {name}={value}").unwrap();
            }
        }
        _ => panic!("another reason"),
    }
    decision
}

#[test]
fn documents_decide_as_expected() {
    let documents = documents();
    assert!(documents.len() >= 40);
    let mut seen = BTreeSet::new();
    let mut wrong = String::new();
    for (name, caller, expected) in EXPECTED {
        let (_, text) = documents.iter().find(|(known, _)| known == name).unwrap();
        let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let found = decision(&evaluate(&document, &WORLD.certificate(caller)));
        let expected = WORLD.fill(expected);
        if found != expected {
            writeln!(wrong, "{name}, {caller}: expected {expected}, found {found}").unwrap();
        }
        seen.insert(*name);
    }
    assert!(wrong.is_empty(), "{wrong}");
    let files: BTreeSet<_> = documents.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(seen, files, "every file has expectations");
}

#[test]
fn documents_can_be_explained() {
    for (name, text) in documents() {
        let document: Document = WORLD.load(&text).unwrap();
        for caller in ["orders", "impostor", "none"] {
            let presented = WORLD.certificate(caller);
            let request = super::world::request();
            let facts = tower_mtls::apim::RequestFacts::new(&request, &presented);
            let explanation = document.explain(&facts, super::world::NOW);
            assert_eq!(
                decision(explanation.decision()),
                decision(&evaluate(&document, &presented)),
                "{name}: {caller}"
            );
            assert!(explanation.to_string().lines().count() >= 1, "{name}");
        }
    }
}

#[test]
fn callers_without_a_certificate_get_500_exactly_where_a_warning_says_so() {
    for (name, text) in documents() {
        let document: Document = WORLD.load(&text).unwrap();
        let warned = document.warnings().iter().any(|warning| warning.message().contains("fail with 500"));
        let outcome = evaluate(&document, &WORLD.certificate("none"));
        let fails = outcome
            .response()
            .is_some_and(|answer| answer.code() == Some("ExpressionValueEvaluationFailure"));
        assert_eq!(warned, fails, "{name}: {:?}", document.warnings());
    }
}
