//! The choice of an identity or a backend.

use super::texts::*;
use super::world::{WORLD, evaluate};

#[test]
fn callers_choose_neither_identity_nor_backend() {
    const NAME: &str = "context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false)";
    let set = |value: &str| format!("<set-variable name='v' value='@({value})' />");
    let read = "(string)context.Variables[\"v\"]";
    let read_or = "context.Variables.GetValueOrDefault<string>(\"v\", \"a\")";
    for (before, code, is_error, needs_proof) in [
        (String::new(), "context.Request.Method", true, false),
        (String::new(), "context.Request.IpAddress", true, false),
        (set("context.Request.Method"), read, true, false),
        (set("context.Request.Headers.GetValueOrDefault(\"a\", \"b\")"), read_or, true, false),
        (String::new(), NAME, false, true),
        (String::new(), "context.Request.Certificate.SerialNumber", false, true),
        (set(NAME), read, false, true),
        (set("\"b\""), read, false, false),
        (String::new(), "context.Request.Certificate.Thumbprint", false, false),
        (String::new(), "\"out-\" + context.Request.Certificate.Thumbprint.ToLower()", false, false),
        (set("context.Request.Certificate.Thumbprint"), read, false, false),
        // Part of a thumbprint can be found by trial.
        (String::new(), "context.Request.Certificate.Thumbprint.Substring(0, 2)", false, true),
        (String::new(), "context.Request.Certificate.Thumbprint[0].ToString()", false, true),
        (set("context.Request.Certificate.Thumbprint.Substring(36)"), read, false, true),
        (
            set("context.Request.Certificate.Thumbprint"),
            "((string)context.Variables[\"v\"]).Substring(36)",
            false,
            true,
        ),
    ] {
        for element in [
            format!("{before}<authentication-certificate certificate-id='@({code})' />"),
            format!("{before}<set-backend-service base-url='@(\"https://\" + {code})' />"),
        ] {
            for (text, is_error) in
                [(element.clone(), is_error || needs_proof), (format!("{PROVEN}{element}"), is_error)]
            {
                match WORLD.load(&text) {
                    Ok(_) => assert!(!is_error, "{text}"),
                    Err(errors) => {
                        assert!(is_error, "{text}: {errors}");
                        assert!(errors.to_string().contains("the caller would choose"), "{text}: {errors}");
                    }
                }
            }
        }
    }
}

#[test]
fn callers_do_not_choose_through_a_base_document() {
    const CHOOSE: &str =
        "<authentication-certificate certificate-id='@((string)context.Variables[\"v\"])' />";
    const COPY: &str = "<set-variable name='v' value='@((string)context.Variables[\"w\"])' />";
    let set = |name: &str, code: &str| format!("<set-variable name='{name}' value='@({code})' />");
    let copied = format!("{COPY}{CHOOSE}");
    let method = "context.Request.Method";
    let name = "context.Request.Certificate.Subject";
    for (above, below, is_error) in [
        (CHOOSE, set("v", method), true),
        (CHOOSE, set("v", name), true),
        (CHOOSE, set("v", "\"b\""), false),
        (CHOOSE, set("v", "context.Request.Certificate.Thumbprint"), false),
        (CHOOSE, set("v", "context.Request.Certificate.Thumbprint.Substring(36)"), true),
        (CHOOSE, set("v", &format!("{name} == \"CN=a\" ? \"a\" : \"b\"")), true),
        (CHOOSE, set("other", method), false),
        (&copied, set("w", method), true),
        (&copied, set("w", "\"b\""), false),
        // The base document copies, this one chooses.
        (COPY, format!("{}<base />{CHOOSE}", set("w", method)), true),
        (COPY, format!("{}<base />{CHOOSE}", set("w", "\"b\"")), false),
    ] {
        let above = WORLD.load(above).unwrap();
        let below = if below.contains("<base />") { below } else { format!("{below}<base />") };
        let loaded = WORLD.builder().base(&above).load(&below);
        match loaded {
            Ok(_) => assert!(!is_error, "{below}"),
            Err(errors) => {
                assert!(is_error, "{below}: {errors}");
                assert!(errors.to_string().contains("the caller would choose"), "{below}: {errors}");
            }
        }
    }
}

#[test]
fn identity_is_printed_in_one_short_line() {
    let text = format!("<authentication-certificate certificate-id='@(\"a\\nb{}\")' />", "c".repeat(100));
    let outcome = evaluate(&WORLD.load(&text).unwrap(), &WORLD.certificate("orders"));
    let printed = outcome.forward().unwrap().forwarding().identity().unwrap().to_string();
    assert_eq!(printed, format!("the certificate with the id a\\nb{}", "c".repeat(61)));
}

#[test]
fn choice_must_be_proven_on_each_path_to_it() {
    let strict = |inside: &str| when("context.Request.Headers.ContainsKey(\"X-Strict\")", inside);
    let verified = |inside: &str| when("context.Request.Certificate.VerifyNoRevocation()", inside);
    let guard = refusing("CERT == null || !CERT.VerifyNoRevocation()");
    let choose = |inside: &str| format!("<choose>{inside}</choose>");
    for (text, is_error) in [
        // Demanded only of requests with the header.
        (choose(&strict(&guard)) + CHOOSE, true),
        (choose(&strict(&(guard.clone() + CHOOSE))), false),
        (choose(&(strict(&guard) + &format!("<otherwise>{CHOOSE}</otherwise>"))), true),
        (choose(&(strict(CHOOSE) + &format!("<otherwise>{guard}</otherwise>"))), true),
        // Others can pass, but choose nothing.
        (choose(&verified(CHOOSE)), false),
        (choose(&(verified("") + &format!("<otherwise>{CHOOSE}</otherwise>"))), true),
        (choose(&(verified("") + &format!("<otherwise>{}</otherwise>", answer(403)))) + CHOOSE, false),
        (choose(&(verified("") + &format!("<otherwise>{}</otherwise>", answer(302)))) + CHOOSE, false),
        // A request that is refused later chooses nothing either.
        (format!("{CHOOSE}{guard}"), false),
        (format!("{CHOOSE}{}", choose(&strict(&guard))), true),
    ] {
        match WORLD.load(&text) {
            Ok(_) => assert!(!is_error, "{text}"),
            Err(errors) => {
                assert!(is_error, "{text}: {errors}");
                assert!(errors.to_string().contains("the caller would choose this"), "{text}: {errors}");
            }
        }
    }
}

#[test]
fn part_of_a_thumbprint_chooses_nothing() {
    let certificate = "context.Request.Certificate";
    for (code, is_refused) in [
        (
            format!(
                "{certificate}.Thumbprint.StartsWith(\"A\", StringComparison.Ordinal) ? \"orders\" : \"fabrikam\""
            ),
            true,
        ),
        (format!("{certificate}.Thumbprint.Substring(0, 1) == \"A\" ? \"orders\" : \"fabrikam\""), true),
        (format!("{certificate}.Thumbprint == \"{0}\" ? \"orders\" : \"fabrikam\"", "A".repeat(40)), false),
        (
            format!(
                "\"{0},{1}\".Split(',').Contains({certificate}.Thumbprint) ? \"orders\" : \"fabrikam\"",
                "A".repeat(40),
                "B".repeat(40)
            ),
            false,
        ),
    ] {
        let loaded = WORLD.load(&format!("<authentication-certificate certificate-id=\"@({code})\" />"));
        assert_eq!(loaded.is_err(), is_refused, "{code}: {:?}", loaded.err());
    }
}

#[test]
fn base_document_that_decides_by_variables_runs_once() {
    let above = WORLD
        .load(
            "<authentication-certificate certificate-id='@(context.Variables.GetValueOrDefault(\"id\", \"orders\"))' />\
             <set-variable name='id' value='@(context.Variables.GetValueOrDefault(\"x\", \"orders\"))' />",
        )
        .unwrap();
    let set = "<set-variable name='x' value='@(context.Request.Headers.GetValueOrDefault(\"X-As\", \"orders\"))' />";
    let load = |text: &str| WORLD.builder().base(&above).load(text);
    let errors = load(&format!("{set}<base /><base />")).unwrap_err().to_string();
    assert!(errors.contains("second <base />"), "{errors}");
    assert!(load(&format!("{set}<base />")).is_ok());
}
