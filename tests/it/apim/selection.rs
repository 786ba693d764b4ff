//! Expressions for the identity and the URL towards backends.

use tower_mtls::apim::{ChosenIdentity, Document};

use super::texts::*;
use super::world::{WORLD, evaluate};

const WARNING: &str = "before its certificate is proven";

fn identity(value: &str) -> String {
    format!("<authentication-certificate certificate-id=\"@{value}\" />")
}

fn set(name: &str, value: &str) -> String {
    format!("<set-variable name='{name}' value=\"@({value})\" />")
}

/// Fills in the short forms of these tests.
fn full(text: &str) -> String {
    filled(text)
        .replace("HEADER", "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")")
        .replace("VARIABLES", "context.Variables")
}

fn possible(document: &Document) -> Vec<String> {
    let ids = document.summary().possible_certificates.iter();
    ids.map(|identity| match identity {
        ChosenIdentity::Id(id) => id.to_string(),
        other => other.to_string(),
    })
    .collect()
}

#[test]
fn finite_selection_is_listed_and_allowed() {
    let read = "VARIABLES.GetValueOrDefault<string>(\"v\", \"c\")";
    for (before, value, ids, warns) in [
        (String::new(), "(\"a\")", &["a"][..], false),
        (String::new(), "((string)null ?? \"a\")", &["a"], false),
        (String::new(), "(1 == 1 ? \"b\" : (string)\"a\")", &["a", "b"], false),
        (String::new(), "(HEADER == \"a\" ? \"a\" : \"b\")", &["a", "b"], true),
        (PROVEN.to_owned(), "(HEADER == \"a\" ? \"a\" : \"b\")", &["a", "b"], false),
        (String::new(), "(CERT?.Subject == \"CN=a\" ? \"a\" : \"b\")", &["a", "b"], true),
        (String::new(), "{ return \"a\"; }", &["a"], false),
        (String::new(), "{ if (HEADER == \"a\") { return \"a\"; } return \"b\"; }", &["a", "b"], true),
        (
            String::new(),
            "{ var x = \"a\"; if (HEADER == \"a\") { x = \"b\"; } else { x = HEADER == \"c\" ? \"c\" : x; } return x; }",
            &["a", "b", "c"],
            true,
        ),
        (String::new(), "((string)VARIABLES[\"v\"])", &[], false),
        (String::new(), &format!("({read})"), &["c"], false),
        ("<set-variable name='v' value='a' />".into(), &format!("({read})"), &["a", "c"], false),
        ("<set-variable name='other' value='a' />".into(), &format!("({read})"), &["c"], false),
        (
            set("v", "(string)VARIABLES[\"w\"]")
                + &set("w", "VARIABLES.GetValueOrDefault<string>(\"v\", \"a\")"),
            "((string)VARIABLES[\"v\"])",
            &["a"],
            false,
        ),
        (
            format!("<choose>{}</choose>", when("HEADER == \"a\"", &set("v", "\"a\""))),
            &format!("({read})"),
            &["a", "c"],
            true,
        ),
        (set("v", "HEADER == \"a\" ? \"a\" : \"b\""), "((string)VARIABLES[\"v\"])", &["a", "b"], true),
        // A later assignment counts too.
        (format!("{}{}", set("v", "\"a\""), PROVEN), "((string)VARIABLES[\"v\"])", &["a"], false),
    ] {
        let text = full(&format!("{before}{}", identity(value)));
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert_eq!(possible(&document), ids, "{text}");
        let is_warned = document.warnings().iter().any(|warning| warning.message().contains(WARNING));
        assert_eq!(is_warned, warns, "{text}");
    }
    let inside = format!("<choose>{}</choose>", when("HEADER == \"a\"", &identity("(\"a\")")));
    let document = WORLD.load(&full(&inside)).unwrap();
    assert!(document.warnings().iter().any(|warning| warning.message().contains(WARNING)));
    // Literals in a <choose> are not expressions.
    let literal = inside.replace("@(\"a\")", "a");
    assert_eq!(possible(&WORLD.load(&full(&literal)).unwrap()), Vec::<String>::new());
    for (condition, warns) in [("HEADER == \"a\"", false), ("CERT?.Subject == \"CN=a, O=Contoso\"", true)] {
        for (guard, warns) in [("", warns), (PROVEN, false)] {
            let text = full(&literal.replace("HEADER == \"a\"", condition));
            let document = WORLD.load(&full(&format!("{guard}{text}"))).unwrap();
            let warned = document.warnings().iter().any(|warning| warning.message().contains(WARNING));
            assert_eq!(warned, warns, "{guard}{text}");
        }
    }
}

#[test]
fn values_of_a_finite_selection_are_valid() {
    let by_header = |one: &str, other: &str| format!("@(HEADER == \"a\" ? \"{one}\" : \"{other}\")");
    let thumbprint = "CA06F56B258B7A0D4F2B05470939478651151984";
    for (element, attribute, valid, invalid) in [
        ("authentication-certificate", "certificate-id", "a", ""),
        ("authentication-certificate", "thumbprint", thumbprint, "a"),
        ("set-backend-service", "base-url", "https://a.internal/v2", "ftp://a"),
    ] {
        for (value, is_error) in [(by_header(valid, valid), false), (by_header(valid, invalid), true)] {
            let loaded = WORLD.load(&full(&format!("<{element} {attribute}=\"{value}\" />")));
            let errors = loaded.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert_eq!(errors.contains(&format!("invalid {attribute}")), is_error, "{value}: {loaded:?}");
        }
    }
    let errors = WORLD.load(&full("<set-backend-service backend-id=\"@(\"east\")\" />")).unwrap_err();
    assert!(errors.to_string().contains("expressions are not supported"), "{errors}");
}

#[test]
fn selection_that_is_not_finite_reads_only_a_proven_certificate() {
    const HEADERS: &str = "the caller would choose the";
    const SELF_MADE: &str = "the caller would choose this value with a self-made certificate";
    const OTHER: &str = "may read only context.Request.Certificate and literals";
    const LITERAL: &str = "the value is not one of several literals";
    let variable = "(string)VARIABLES[\"v\"]";
    let by = |condition: &str, value: &str| format!("<choose>{}</choose>", when(condition, &set("v", value)));
    for (before, code, problem, if_proven) in [
        (String::new(), "context.Request.Method", HEADERS, HEADERS),
        (String::new(), "context.Request.IpAddress", HEADERS, HEADERS),
        (String::new(), "context.Request.Url.Path", HEADERS, HEADERS),
        (String::new(), "HEADER", HEADERS, HEADERS),
        (String::new(), "HEADER ?? \"a\"", HEADERS, HEADERS),
        (String::new(), "VARIABLES.GetValueOrDefault<string>(\"v\", HEADER)", HEADERS, HEADERS),
        (set("v", "HEADER"), variable, HEADERS, HEADERS),
        (set("v", "HEADER") + &set("v", "\"a\""), variable, HEADERS, HEADERS),
        (set("w", "HEADER") + &set("v", "(string)VARIABLES[\"w\"]"), variable, HEADERS, HEADERS),
        (by("HEADER == \"a\"", "CERT.Subject"), variable, HEADERS, HEADERS),
        (set("v", "HEADER"), "(string)VARIABLES[(string)\"v\"]", HEADERS, HEADERS),
        (set("v", "HEADER"), "VARIABLES.GetValueOrDefault<string>((string)\"v\", \"a\")", HEADERS, HEADERS),
        (
            set("h", "HEADER") + &set("v", "\"a\"") + &by("(string)VARIABLES[\"h\"] == \"a\"", "\"b\""),
            "\"of-\" + (string)VARIABLES[\"v\"]",
            HEADERS,
            HEADERS,
        ),
        (
            format!("<choose>{}</choose>", when("HEADER == \"a\"", &by("true", "\"b\""))),
            "\"of-\" + (string)VARIABLES[\"v\"]",
            HEADERS,
            HEADERS,
        ),
        (
            "<set-header name='X-A'><value>@(CERT?.Subject)</value></set-header>".into(),
            "HEADER",
            HEADERS,
            HEADERS,
        ),
        (String::new(), "CERT.Subject", SELF_MADE, ""),
        (String::new(), "CERT.Thumbprint", SELF_MADE, ""),
        (String::new(), "CERT.Thumbprint.Substring(0, 2)", SELF_MADE, ""),
        (String::new(), "CERT.Subject.Contains(\"CN=a\") ? CERT.Subject : \"b\"", SELF_MADE, ""),
        (
            String::new(),
            "CERT.Subject.Replace(\"CN=\", \"\").Equals(\"a\", StringComparison.Ordinal) ? CERT.Subject : \"b\"",
            SELF_MADE,
            "",
        ),
        (set("v", "CERT?.Subject"), variable, SELF_MADE, ""),
        (by("CERT?.Issuer == \"CN=a\"", "CERT.Subject"), variable, SELF_MADE, ""),
        (String::new(), "DateTime.Now.ToString(\"yyyy\")", OTHER, OTHER),
        (String::new(), "STORE.Values.First(c => c.Subject == CERT.Subject).Thumbprint", OTHER, OTHER),
        (String::new(), "\"a\" + \"b\"", LITERAL, ""),
        (set("v", "\"a\""), "\"out-\" + (string)VARIABLES[\"v\"]", LITERAL, ""),
    ] {
        for element in ["authentication-certificate certificate-id", "set-backend-service base-url"] {
            for (guard, problem) in [("", problem), (PROVEN, if_proven)] {
                let text = full(&format!("{guard}{before}<{element}=\"@({code})\" />"));
                let errors = WORLD.load(&text).err().map(|errors| errors.to_string()).unwrap_or_default();
                assert_eq!(errors.is_empty(), problem.is_empty(), "{text}: {errors}");
                assert!(errors.contains(problem), "{text}: {errors}");
            }
        }
    }
}

#[test]
fn selection_of_the_base_document_is_judged_with_the_variables_of_this_one() {
    let select = identity("((string)VARIABLES[\"v\"])");
    let copied = format!("{}{select}", set("v", "(string)VARIABLES[\"w\"]"));
    let copy = set("v", "(string)VARIABLES[\"w\"]");
    let defaulted = format!("{}{}", identity("(VARIABLES.GetValueOrDefault(\"v\", \"a\"))"), &copy);
    let subject = "CERT?.Subject";
    for (base, text, problem) in [
        (&select, set("v", "context.Request.Method"), "base document: the caller would choose the identity"),
        (&select, set("v", subject), "base document: certificate-id: the caller would choose this value"),
        (&select, PROVEN.to_owned() + &set("v", subject), ""),
        (&select, set("v", "\"b\""), ""),
        (&select, set("v", "CERT?.Subject == \"CN=a\" ? \"a\" : \"b\""), ""),
        (&select, set("other", "context.Request.Method"), ""),
        (&select, set("v", "\"\""), "base document: invalid certificate-id"),
        (&copied, set("w", "context.Request.Method"), "base document: the caller would choose the identity"),
        (&copied, set("w", "\"b\""), ""),
        // The base document copies, this one chooses.
        (&copy, format!("{}<base />{select}", set("w", "HEADER")), "1:"),
        (&copy, format!("{}<base />{select}", set("w", "\"b\"")), ""),
        // Its second run would read what the first has set.
        (
            &defaulted,
            format!("{}<base /><base />", set("w", "HEADER")),
            "base document: the caller would choose",
        ),
        (&defaulted, format!("{}<base /><base />", set("w", "\"b\"")), ""),
    ] {
        let base = WORLD.load(&full(base)).unwrap();
        let text = if text.contains("<base />") { text } else { format!("{text}<base />") };
        let loaded = WORLD.builder().base(&base).load(&full(&text));
        let errors = loaded.err().map(|errors| errors.to_string()).unwrap_or_default();
        assert_eq!(errors.is_empty(), problem.is_empty(), "{text}: {errors}");
        assert!(errors.contains(problem), "{text}: {errors}");
    }
}

#[test]
fn costly_selections_are_judged_in_time() {
    let locals = "if (HEADER == \"a\") { a = a; } ".repeat(100);
    let block = full(&format!("{{ var a = \"a\"; {locals} return a; }}"));
    let mut text = format!("<set-variable name='v0' value=\"@{block}\" />");
    for number in 1..250 {
        text += &set(&format!("v{number}"), &format!("(string)context.Variables[\"v{}\"]", number - 1));
    }
    let select = identity("((string)context.Variables[\"v249\"])");
    text += &select.repeat((250 * 1024 - text.len()) / select.len());
    let start = std::time::Instant::now();
    let document = WORLD.load(&text).unwrap();
    let took = start.elapsed();
    assert!(possible(&document).iter().all(|id| id == "a"));
    assert!(took.as_secs() < 20, "{took:?}");
}

#[test]
fn identity_is_printed_in_one_short_line() {
    let text = format!("<authentication-certificate certificate-id='@(\"a\\nb{}\")' />", "c".repeat(100));
    let outcome = evaluate(&WORLD.load(&text).unwrap(), &WORLD.certificate("orders"));
    let printed = outcome.forward().unwrap().forwarding().identity().unwrap().to_string();
    assert_eq!(printed, format!("the certificate with the id a\\nb{}", "c".repeat(61)));
}
