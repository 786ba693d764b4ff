//! The text of a document: positions, entities, comments and size.

use tower_mtls::apim::{Document, Format};

use super::errors;
use crate::apim::texts::*;
use crate::apim::world::{WORLD, evaluate};

#[test]
fn positions_are_those_of_the_source_text() {
    let mut wrong = Vec::new();
    for (text, line, column) in [
        // Behind quotes and brackets that the reader rewrites.
        ("<choose><when condition=\"@(\"<&>\" == \"é\" && nope)\" /></choose>", 1, 44),
        ("<choose>\r\n<when condition=\"@(true &&\r\n\tnope)\" /></choose>", 3, 2),
        ("<choose><when condition='@(true &amp;&amp; nope)' /></choose>", 1, 44),
        ("<choose><when condition='@(&quot;&lt;&quot; == nope)' /></choose>", 1, 48),
        ("\u{feff}<?xml version=\"1.0\"?>\n<choose><when condition='@(nope)' /></choose>", 2, 28),
        ("<set-header name='a'><value>\n  @(\"<\" + nope)</value></set-header>", 2, 11),
        ("<set-header name='a'><value><![CDATA[@(\"<\" + nope)]]></value></set-header>", 1, 46),
    ] {
        let errors = errors(text);
        let error = errors.iter().next().unwrap();
        if !error.message().contains("nope is not defined")
            || (error.line(), error.column()) != (line, column)
        {
            wrong.push(format!("{text}: {line}:{column}; found {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ambiguous_text_is_an_error() {
    let text = "<choose><when condition=\"@(\"a &amp; b\" == \"c\")\" /></choose>";
    assert!(errors(text).to_string().contains("ambiguous entity"));
    // As XML there is only one.
    let text = "<choose><when condition='@(\"a &amp; b\" == \"c\")'><return-response /></when></choose>";
    assert!(Document::builder().format(Format::Xml).load(text).is_ok());
    let raw = condition("\"<\" == \">\"");
    assert!(Document::builder().format(Format::Xml).load(&raw).is_err());
}

#[test]
fn entities_mean_the_same_in_both_forms() {
    let when = |code: &str| {
        format!(
            "<choose><when condition=\"@{code}\"><return-response><set-status code='403' /></return-response></when></choose>"
        )
    };
    let outcome = |format: Format, text: &str| {
        let document = Document::builder().format(format).load(text).ok()?;
        Some(evaluate(&document, &WORLD.certificate("lone")).response().is_some())
    };
    for (code, refused) in [
        // A comment ends at its line end, written as an entity or not.
        ("(false // &#10; || true\n )", true),
        ("(false // &#xA; || true )", true),
        ("(false // &#13; || true )", true),
        ("(false // &#x2028; || true )", true),
        ("(false // &#0000000000010; || true )", true),
        ("(false // &quot; &#10; || true )", true),
        ("(false // ( &amp; ' &lt; &#10; || true )", true),
        ("(false /* &#42;/ || true /* */ )", true),
        ("(false /* &#x2A;&#x2F; || true /* */ )", true),
        ("(false /* *&#47; || true /* ' ) */ )", true),
        ("(false /*/ || true /* */ )", false),
        ("(false /**/ || true)", true),
        ("{&#xA; // only ours&#xA; return true; }", true),
        ("{&#xA; // it's (not&#xA; return true; }", true),
        // Character literals, and entities of any length.
        ("(&quot;a(b&quot;.Split(&apos;(&apos;).Length == 2)", true),
        ("(&quot;a)b&quot;.Split(&#39;)&#39;).Length == 2)", true),
        ("(&quot;a'b&quot;.Split(&apos;\\&apos;&apos;).Length == 2)", true),
        ("(&quot;&#0000000000108;one&quot; == &quot;lone&quot;)", true),
        ("(&#000000000000000000000000000000000034;a&quot; == &quot;a&quot;)", true),
        // All literals of C#, and code of entities.
        ("(@&quot;a\\&quot;.Length == 2)", true),
        ("(@&quot;&quot;&quot;)&quot;.Length == 2)", true),
        ("($&quot;{&quot;)}&quot;}b&quot; == &quot;)}b&quot;)", true),
        ("(&#40;true) &#x26;&amp; !false&#41;", true),
        ("(false &#47;* ) *&#47; || true)", true),
    ] {
        let text = when(code);
        assert_eq!(outcome(Format::Xml, &text), Some(refused), "{text}");
        assert_eq!(outcome(Format::RawXml, &text), Some(refused), "{text}");
    }
    // A literal with raw quotes and an entity inside is ambiguous.
    for code in ["('&#0000000000108;' == 'l')", "('&apos;' == 'l')", "(&apos;' == 'l')"] {
        assert!(errors(&when(code)).to_string().contains("ambiguous entity"), "{code}");
    }
    let text = "<choose><when condition='@(\"&#0000000000108;one\" == \"lone\")' /></choose>";
    assert!(errors(text).to_string().contains("ambiguous entity"));
    // Text that only looks like an entity is literal.
    for code in ["(\"&\" + \"&#;\" + \"&a b;\" == \"a\")", "(true && !false)", "(\"&amp\" == \"a\")"] {
        assert!(Document::parse(&when(code)).is_ok(), "{code}");
    }
}

#[test]
fn costly_documents_are_refused() {
    let deep = |levels: usize| format!("{}{}", "<choose>".repeat(levels), "</choose>".repeat(levels));
    for (text, message) in [
        (deep(100_000), "longer than"),
        (deep(10_000), "nested"),
        (condition(&"(".repeat(10_000)), "nested"),
        (condition(&format!("{}true", "!".repeat(10_000))), "nested"),
        (condition(&format!("true{}", " ? true : true".repeat(1_000))), "nested"),
        (condition(&format!("true{}", " || true".repeat(1_000))), "more than 512"),
        (condition(&format!("\"a\"{} == \"b\"", ".Trim()".repeat(1_000))), "nested"),
        (condition(&format!("{}true", "(bool)".repeat(1_000))), "nested"),
        (condition(&format!("\"{}\" == \"b\"", "a".repeat(20_000))), "longer than"),
        ("<base />".repeat(25_000), ""),
        (format!("<a {}/>", "b='' ".repeat(50_000)), "more than 64 attributes"),
        (
            format!("<base {}/>", (0..65).map(|i| format!("a{i}='' ")).collect::<String>()),
            "more than 64 attributes",
        ),
        (format!("<set-header name='{}' />", "a".repeat(70_000)), ""),
        (format!("<base a='@({}", "/* ".repeat(30_000)), "unterminated comment"),
        (format!("<base a='@({}", "&#0".repeat(30_000)), "unterminated expression"),
        (format!("<base a='@(&{}", "0".repeat(100_000)), "unterminated expression"),
        (format!("<base a='@(\"{}", "\\\"".repeat(50_000)), "unterminated string literal"),
        (format!("<base a='@({}", "$\"{".repeat(60_000)), "nested interpolated"),
    ] {
        let started = std::time::Instant::now();
        let errors = errors(&text);
        assert!(errors.to_string().contains(message), "{message}: {}", errors.iter().next().unwrap());
        assert!(started.elapsed().as_secs() < 5, "{message}");
    }
}

#[test]
fn long_line_of_many_elements_is_read_in_time() {
    let started = std::time::Instant::now();
    let text = "<set-variable name='a' value='b' />".repeat(7_000);
    assert!(WORLD.load(&text).is_ok());
    let text = format!("<choose>{}</choose>", "<when condition='true' />".repeat(9_000));
    assert!(WORLD.load(&text).is_ok());
    for (unit, count) in [("{", 250_000), ("{{a", 80_000), ("a", 250_000), ("{{a}", 60_000), ("}", 250_000)] {
        let text = format!("<set-variable name='a' value='{}{}' />", "{{", unit.repeat(count));
        assert!(WORLD.load(&text).is_ok(), "{unit}");
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn comment_ends_with_its_line() {
    for end in ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
        let code =
            format!("context.Request.Certificate == null // none{end} || context.Request.Method == \"GET\"");
        let document = WORLD.load(&format!("<choose>{}</choose>", when(&code, &answer(403)))).unwrap();
        let outcome = evaluate(&document, &WORLD.certificate("orders"));
        assert!(outcome.response().is_some(), "{end:?}: {outcome:?}");
        let open = format!("<choose>{}</choose>", when(&format!("\"a{end}b\" == \"c\""), ""));
        assert!(WORLD.load(&open).is_err(), "{end:?}");
    }
}

#[test]
fn messages_never_repeat_a_possible_key() {
    // Base64 whose beginning can be printed, but not its end.
    let key = format!("MIIK{}SECRET", "abcdEFGH1234".repeat(40));
    let attribute =
        |value: &str| format!("<authentication-certificate body='@({value})' password='hunter2' />");
    let when = |code: &str| format!("<choose><when condition='@({code})' /></choose>");
    for text in [
        // Errors in `body`, for every kind of token.
        attribute(&format!("Convert.FromBase64String \"{key}\"")),
        attribute(&format!("Convert.FromBase64String({key})")),
        attribute(&format!("Convert.FromBase64String(\"MIIK\" \"{key}\")")),
        attribute(&format!("Convert.FromBase64String(\"{key}")),
        attribute(&format!("Convert.FromBase64String(1{key})")),
        attribute(&format!("Convert.{key}(\"a\")")),
        attribute("Convert.FromBase64String(SECRET)"),
        attribute("Convert.FromBase64String(\"a\" \"SECRET\")"),
        attribute("Convert.FromBase64String(\"SECRET!\")"),
        format!("<authentication-certificate body='{key}' password='hunter2' />"),
        format!("<authentication-certificate body='{key}' password='hunter2' passwort='hunter2' />"),
        "<authentication-certificate body='@(Convert.FromBase64String(\"MIIK\"))' password='@(\"hunter2\")' />".into(),
        "<authentication-certificate body='@(Convert.FromBase64String(\"MIIK\"))' password='hunter2' />".into(),
        // The same in the wrong place.
        format!("<authentication-certificate thumbprint='{key}' />"),
        format!("<authentication-certificate certificate-id='a' {key}='b' />"),
        format!("<validate-client-certificate ignore-error='{key}' />"),
        format!("<set-header name='{key} a' exists-action='{key}'><value>b</value></set-header>"),
        format!("<set-header name='a' exists-action='{key}'><value>b</value></set-header>"),
        format!("<return-response><set-status code='{key}' /></return-response>"),
        format!("<set-backend-service backend-id='{key}' />"),
        format!("<{key} />"),
        format!("<{key}>"),
        format!("<base />{key}"),
        when(&format!("\"a\" \"{key}\"")),
        when(&format!("\"a\" $\"{key}\"")),
        when(&format!("\"a\" {key}")),
        when(&format!("{key} == 1")),
        when(&format!("1{key} == 1")),
        when(&format!("context.{key} == 1")),
        when(&format!("context.Request.Certificate.{key} == 1")),
        when(&format!("\"a\".{key}()")),
        when(&format!("({key})\"a\" == \"b\"")),
    ] {
        let errors = WORLD.load(&text).expect_err(&text);
        let reported = errors.iter().map(ToString::to_string).chain(errors.warnings().iter().map(ToString::to_string));
        for reported in reported {
            for secret in ["SECRET", "hunter2", &key[..64]] {
                assert!(!reported.contains(secret), "{text}: {reported}");
            }
        }
    }
}
