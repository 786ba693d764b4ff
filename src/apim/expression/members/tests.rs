//! Examples of members. Each line of `examples.txt` is an expression that is true for the request below.

use http::Request;

use super::{Row, TABLE};
use crate::{
    apim::{
        RequestFacts,
        deployment::DeploymentCertificates,
        expression::{
            Evaluation, Inputs, LastError, State, Type, Value, Variable,
            ast::SyntaxTree,
            check::{Checker, Scope},
            parser,
        },
        reader::Text,
        trust::DocumentTrust,
    },
    certificate::{Certificate, Presented, Timestamp},
    pki::{Leaf, NOON},
    policy::TrustAnchors,
    shared::Shared,
};

#[test]
fn every_member_has_an_example_that_is_true() {
    let leaf = Leaf::client("orders").serial(0xA1B2_C3D4).dns("orders.contoso.com");
    let issued = leaf.from(NOON - 86_400).until(NOON + 86_400).self_signed();
    let caller = Certificate::from_der(&issued.der).unwrap();
    let trust = DocumentTrust::new(TrustAnchors::from_der([&*issued.der]).unwrap());
    let deployment = Shared::new(DeploymentCertificates::new().with("orders", caller.clone(), true));
    let presented = Presented::from(caller);
    let request =
        Request::get("https://api.contoso.com:8443/orders?a=1&A=2").header("x-one", "1").body(()).unwrap();
    let facts = RequestFacts::new(&request, &presented).with_remote(Some([192, 0, 2, 1].into()));
    let inputs = Inputs::new(facts, Timestamp::from_unix(NOON), Some(&trust), Some(&deployment));
    let scope = Scope { has_trust: true, declares_revocation: true, has_error: true };
    let mut used: Vec<&'static Row> = Vec::new();
    for line in include_str!("examples.txt").lines() {
        let code = format!("@({line})");
        let Ok((SyntaxTree::Expression(expression), _)) = parser::parse(&code) else { panic!("{line}") };
        let mut checker = Checker::new(Text::default(), scope);
        let root = checker.expect(&expression, Type::BOOL);
        let root = root.unwrap_or_else(|_| panic!("{line}: {:?}", checker.findings));
        let value = Value::borrowed("CN=orders");
        let mut state = State::default();
        state.variables.push(Variable { name: "v", value, reads_certificate: false });
        state.last_error = Some(LastError { reason: "Expired", ..LastError::default() });
        let result = Evaluation { inputs: &inputs, state: &mut state }.condition(&root);
        assert_eq!(result, Ok(true), "{line}");
        used.extend(checker.rows);
    }
    let all = TABLE.iter().flat_map(|(receivers, rows)| rows.iter().map(move |row| (receivers, row)));
    let missing: Vec<_> =
        all.filter(|(_, row)| !used.iter().any(|known| std::ptr::eq(*known, *row))).collect();
    assert!(missing.is_empty(), "members without an example: {missing:?}");
}
