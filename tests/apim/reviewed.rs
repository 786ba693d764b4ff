//! What a reviewer found, once and for all.

use tower_mtls::apim::Outcome;

use crate::world::{WORLD, evaluate};

fn admits(text: &str) -> bool {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    match evaluate(&document, &WORLD.certificate("lone")) {
        Outcome::Forward(forward) => forward.admits(),
        other => panic!("{text}: {other:?}"),
    }
}

fn answer(code: u16) -> String {
    format!("<return-response><set-status code=\"{code}\" /></return-response>")
}

fn when(code: &str, inside: &str) -> String {
    format!("<when condition=\"@({code})\">{inside}</when>")
}

const IS_ORDERS: &str =
    "context.Request.Certificate.Thumbprint == \"CA06F56B258B7A0D4F2B05470939478651151984\"";
const PROVEN: &str = "<choose><when condition=\"@(context.Request.Certificate == null || \
                      !context.Request.Certificate.VerifyNoRevocation())\"><return-response>\
                      <set-status code=\"403\" /></return-response></when></choose>";

#[test]
fn only_a_condition_that_could_have_refused_admits() {
    let options = |code| when("context.Request.Method == \"OPTIONS\"", &answer(code));
    let orders = when(IS_ORDERS, "");
    for (text, admitted) in [
        // What stands before the condition refuses whatever it says.
        (format!("{}{orders}", options(403)), false),
        // An answer below 400 is none that refuses.
        (format!("{orders}{}", options(204)), false),
        (when(IS_ORDERS, &answer(200)), false),
        (format!("{orders}<otherwise><choose>{}</choose></otherwise>", options(302)), false),
        (when(IS_ORDERS, &answer(403)), true),
        (format!("{orders}{}", options(403)), true),
        (format!("{orders}<otherwise><choose>{}</choose></otherwise>", options(403)), true),
        (when(IS_ORDERS, "<validate-client-certificate ignore-error='true' />"), false),
        (when(IS_ORDERS, "<validate-client-certificate />"), true),
    ] {
        let text = format!("<choose>{text}</choose>");
        assert_eq!(admits(&text), admitted, "{text}");
        let document = WORLD.load(&text).unwrap();
        assert_eq!(document.proves_certificate(), admitted, "{text}");
    }
    assert!(WORLD.load(PROVEN).unwrap().proves_certificate());
    // In on-error nobody is let in any more.
    let late = format!(
        "<policies><inbound /><on-error><choose>{}</choose></on-error></policies>",
        when(IS_ORDERS, &answer(403))
    );
    assert!(!WORLD.load(&late).unwrap().proves_certificate());
}
