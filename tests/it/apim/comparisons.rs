//! Comparisons of strings by .NET's rules for case, cultures and positions.

use tower_mtls::apim::{Document, RequestFacts};

use super::world::{NOW, WORLD, request};

/// The value of a condition, or its fault.
fn evaluated(code: &str) -> String {
    let text = format!("<set-variable name='value' value='@({code})' />");
    let document = Document::builder().load(&text).unwrap_or_else(|errors| panic!("{code}: {errors}"));
    let request = request();
    let presented = WORLD.certificate("none");
    let explanation = document.explain(&RequestFacts::new(&request, &presented), NOW);
    match explanation.decision().response() {
        Some(response) => response.message().to_owned(),
        None => {
            let printed = explanation.to_string();
            let (_, value) = printed.rsplit_once("sets variable \"value\": ").unwrap();
            value.lines().next().unwrap_or_default().to_owned()
        }
    }
}

#[test]
fn non_ascii_letters_never_equal_ascii_letters() {
    for (one, other, case, expected) in [
        ("CN=Orders", "cn=ORDERS", "OrdinalIgnoreCase", "true"),
        ("MÜLLER", "müller", "OrdinalIgnoreCase", "true"),
        ("ı", "I", "OrdinalIgnoreCase", "false"),
        ("\u{17f}", "S", "OrdinalIgnoreCase", "false"),
        ("\u{212a}", "K", "OrdinalIgnoreCase", "false"),
        ("ß", "SS", "OrdinalIgnoreCase", "false"),
        // Cultures ignore this character.
        ("a\u{200b}", "a", "CurrentCultureIgnoreCase", "depends on a culture"),
        ("Co-op", "co-OP", "CurrentCultureIgnoreCase", "true"),
    ] {
        let found = evaluated(&format!("string.Equals(\"{one}\", \"{other}\", StringComparison.{case})"));
        assert!(found.contains(expected), "{one} {other}: {found}");
    }
}

#[test]
fn positions_count_utf_16_units() {
    const RANGE: &str = "Index and length must refer";
    for (code, expected) in [
        ("\"a\u{1f600}b\".Length", "4"),
        ("\"a\u{1f600}b\".Substring(3)", "\"b\""),
        // Half a character.
        ("\"a\u{1f600}b\".Substring(2)", RANGE),
        ("\"a\u{1f600}b\".Substring(5)", RANGE),
        ("\"abc\".Substring(1, 3)", RANGE),
        ("\"abc\".Substring(3)", "\"\""),
        ("\"a\u{1f600}b\"[1]", "outside the bounds"),
        ("\"a\u{1f600}b\"[3].ToString()", "\"b\""),
        ("\"ä\u{1f600}B\".IndexOf(\"b\", StringComparison.OrdinalIgnoreCase)", "3"),
    ] {
        let found = evaluated(code);
        assert!(found.contains(expected), "{code}: {found}");
    }
}

#[test]
fn prefixes_and_suffixes_compare_case_insensitively() {
    for (text, with, starts, ends) in [
        ("CN=a", "cn=", true, false),
        ("CN=a", "A", false, true),
        ("x", "", true, true),
        ("", "x", false, false),
    ] {
        for (method, expected) in [("StartsWith", starts), ("EndsWith", ends)] {
            let code = format!("\"{text}\".{method}(\"{with}\", StringComparison.OrdinalIgnoreCase)");
            assert_eq!(evaluated(&code), expected.to_string(), "{code}");
        }
    }
    assert_eq!(evaluated("\"CN=Orders\".IndexOf(\"orders\", StringComparison.OrdinalIgnoreCase)"), "3");
}
