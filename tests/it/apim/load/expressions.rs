//! Expressions: types, statements and bounds.

use super::errors;
use crate::apim::texts::*;
use crate::apim::world::{WORLD, evaluate};

#[test]
fn expressions_are_typed_at_load() {
    // Columns count from the start of the code, which is in line 2 behind this prefix.
    const BEFORE: usize = " <when condition=\"@(".len();
    let mut wrong = Vec::new();
    for (code, column, message) in [
        ("context.Request.Certificat == null", 17, "context.Request.Certificat is not supported"),
        ("context.User.Id == \"x\"", 9, "decide by context.Request.Certificate"),
        ("context.Response.StatusCode == 200", 9, "context.Response is not supported"),
        ("context.LastError.Reason == \"x\"", 9, "only supported in <on-error>"),
        ("certificate == null", 1, "certificate is not defined"),
        ("context.Request.Certificate", 1, "expected bool, found X509Certificate2"),
        ("context.Request.Headers", 1, "is not a value"),
        ("context.Request.Certificate.Thumbprint == 1", 1, "cannot be compared"),
        ("context.Request.Certificate.NotAfter < \"2026\"", 1, "cannot be ordered"),
        ("context.Request.Certificate.NotAfter == null", 1, "DateTime is never null"),
        ("context.Request.Certificate?.Verify()", 1, "expected bool, found bool?"),
        ("!context.Request.Certificate?.Verify()", 2, "bool?"),
        (
            "context.Request.Certificate.Extensions != null",
            29,
            "Extensions of a certificate is not supported",
        ),
        ("context.Request.Certificate == context.Request.Certificate", 1, "compare the Thumbprint of both"),
        (
            "context.Request.Certificate.SubjectName != context.Request.Certificate.IssuerName",
            1,
            "by reference in .NET",
        ),
        (
            "context.Deployment.Certificates.Any(c => c.Value.SubjectName == context.Request.Certificate.SubjectName)",
            42,
            "compare .Name",
        ),
        ("\"CN=a\".Equals(context.Request.Certificate.SubjectName)", 15, "compare .Name"),
        ("string.Equals(\"CN=a\", context.Request.Certificate.SubjectName)", 23, "compare .Name"),
        ("string.Equals(context.Request.Certificate.SubjectName, \"CN=a\")", 15, "compare .Name"),
        ("new[] {\"CN=a\"}.Contains(context.Request.Certificate.SubjectName)", 25, "compare .Name"),
        ("context.Request.Headers[\"X-ARR-ClientCert\"][0] == \"x\"", 25, "proves nothing"),
        ("context.Request.Headers[\"X-ARR-ClientCert-Subject\"][0] == \"x\"", 25, "proves nothing"),
        ("context.Request.Headers[\"X-Consumer-Username\"][0] == \"x\"", 25, "proves nothing"),
        (
            "context.Request.Headers.GetValueOrDefault(\"ssl-client-cert\", \"\") == \"x\"",
            43,
            "proves nothing",
        ),
        ("context.Request.Headers.ContainsKey(context.Request.Method)", 37, "must be a string literal"),
        ("new X509Certificate2(context.Request.Method) != null", 1, "possession of its key was not shown"),
        ("context.Variables[\"a\"] == \"b\"", 1, "cast it"),
        ("context.Request.Certificate.ToString() == \"x\"", 29, "use a property"),
        ("DateTime.Now.ToString() == \"x\"", 14, "takes one argument"),
        ("DateTime.Now.ToString(\"D\") == \"x\"", 23, "depends on a culture"),
        ("DateTime.Parse(\"06/01/2026\") < DateTime.Now", 16, "depends on a culture"),
        ("new DateTime(2026, 2, 30) < DateTime.Now", 1, "the date does not exist"),
        ("\"a\" + DateTime.Now == \"b\"", 7, "depends on a culture"),
        ("context.Deployment.Certificates.Where(c => true).Any()", 33, "is not supported"),
        (
            "context.Deployment.Certificates.FirstOrDefault(c => true).Key == \"x\"",
            33,
            "Values.FirstOrDefault",
        ),
        ("c => true", 1, "a lambda is only supported in"),
        ("context.Request.Certificate is null", 29, "'is' is not supported"),
        ("1 * 2 == 2", 3, "not supported"),
        ("context.Request.Certificate == ", 32, "expected a value"),
        ("(true", 7, "unterminated string literal, or a bracket"),
        ("true) || (true", 7, "an expression must be the whole attribute value"),
        ("\"a\\q\" == \"b\"", 4, "escape sequence \\q is not supported"),
        ("'ab' == 'c'", 4, "one character"),
        ("99999999999 == 1", 1, "number \"99999999999\" is not supported"),
        ("a.b(c => c.d) == #", 18, "not supported"),
        ("Regex.IsMatch(\"a\", \"b\")", 1, "Regex is not supported; use Contains, StartsWith"),
        ("Guid.Empty == null", 1, "Guid is not supported; let the backend generate the value"),
        ("Math.Abs(1) == 1", 1, "Math is not supported"),
        ("context.Api.Id == \"x\"", 9, "use a document per route"),
        ("context.Operation.Id == \"x\"", 9, "use a document per route"),
        ("new List<string>().Contains(\"a\")", 19, "lists cannot be filled later"),
        ("context.Request.Certificate.Subject.Length == null", 1, "int is never null"),
        ("\"a\".Equals(\"b\", 5)", 17, "expected a StringComparison"),
        ("StringComparison.Ordinal == StringComparison.Ordinal", 1, "is not a value"),
    ] {
        let text = condition(code);
        let errors = errors(&text);
        let error = errors.iter().next().unwrap();
        let place = (error.line(), error.column());
        if !error.message().contains(message) || place != (2, column + BEFORE) {
            wrong.push(format!(
                "{code}: {column}: {message}; found {}, {error}",
                place.1 as isize - BEFORE as isize
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn statements_and_arguments_are_checked_and_reported_once() {
    let block = |code: &str| format!("<set-variable name='a' value=\"@{{ {code} }}\" />");
    let mut wrong = Vec::new();
    for (code, expected) in [
        (
            "var a = context.User.Id; var b = context.Api.Id; return a + b + a.Length;",
            &["context.User", "context.Api"][..],
        ),
        // The type in a failed declaration is known.
        (
            "string a = context.User.Id; return a.Nope;",
            &["context.User", "string.Nope is not supported|Nope of string"],
        ),
        ("int a = \"1\"; a = nope; return a;", &["expected int", "nope is not"]),
        ("a = nope; return 1;", &["a is not declared", "nope is not"]),
        (
            "if (nope) { var b = nope2; } else { return nope3; } return 1;",
            &["nope is", "nope2 is", "nope3 is"],
        ),
        ("var a = nope; if (a == null) { return a.Length; } return a?.Length ?? 1;", &["nope is"]),
        (
            "foreach (var x in nope) { var y = 1; } var b = nope2; return b;",
            &["'foreach' is not supported; use Any", "nope2 is"],
        ),
        (
            "for (int i = 0; i < 3; i++) { nope(); } return context.User;",
            &["'for' is not supported; use Any", "context.User"],
        ),
        (
            "try { return nope; } catch (Exception e) { return 1; } finally { } var a = nope2; return a;",
            &["'try'", "nope2 is"],
        ),
        (
            "switch (1) { default: return 1; } return context.Api;",
            &["'switch' is not supported; use if", "context.Api"],
        ),
        ("var a = 1 var b = 2; return a + b + nope;", &["expected ';'", "nope is"]),
        (
            "var list = new List<string>(); list.Add(\"a\"); return list.Contains(nope);",
            &["lists cannot be filled later", "a call is not supported as a statement", "nope is"],
        ),
        (
            "if (1 ==) { return 1; } else { return 2; } return context.User;",
            &["expected a value", "context.User"],
        ),
        (
            "var c = new X509Certificate2(Convert.FromBase64String(nope)); return c.Foo;",
            &["possession of its key", "nope is"],
        ),
        (
            "return Nope.Call(nope2, context.User, x => x.Foo == nope3);",
            &["Nope is not", "nope2 is", "context.User", "nope3 is"],
        ),
        ("return context.User?.Call(nope) ?? nope2;", &["context.User", "nope is", "nope2 is"]),
        ("return $\"{nope} {nope2}\";", &["nope is", "nope2 is"]),
        ("return nope[nope2];", &["nope is", "nope2 is"]),
        (
            "return string.Concat(nope, nope2.Replace(nope3, nope4));",
            &["nope is", "nope2 is", "nope3 is", "nope4 is"],
        ),
    ] {
        let errors = errors(&block(code));
        let reported: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let fits = |(reported, expected): (&String, &&str)| {
            expected.split('|').any(|expected| reported.contains(expected))
        };
        if reported.len() != expected.len() || !reported.iter().zip(expected).all(fits) {
            wrong.push(format!("{code}: {expected:?}; found\n  {}", reported.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_inside_of_errors_are_found_in_time() {
    let calls = |levels: usize| format!("{}nope{}", "Nope.Call(".repeat(levels), ", nope2)".repeat(levels));
    for code in [calls(11), format!("Nope.Call({})", vec![calls(3); 63].join(", "))] {
        let started = std::time::Instant::now();
        let errors = errors(&condition(&code));
        assert!(errors.iter().len() > 20 && started.elapsed().as_secs() < 5, "{errors}");
    }
    let skipped = "foreach (x) { ".repeat(500) + &"}".repeat(500);
    assert!(errors(&format!("<set-variable name='a' value=\"@{{ {skipped} }}\" />")).iter().len() > 0);
}

#[test]
fn variables_built_from_variables_are_read_in_time() {
    let chain = |count: usize| -> String {
        let of = |i: usize| match i {
            0 => "<set-variable name='v0' value='a' />".to_owned(),
            _ => format!("<set-variable name='v{i}' value='@(context.Variables[\"v{}\"])' />", i - 1),
        };
        (0..count).map(of).collect()
    };
    let started = std::time::Instant::now();
    // Each of the last ones is built from all before it.
    let again = "<set-variable name='v255' value='@(context.Variables[\"v254\"])' />".repeat(1_000);
    assert!(WORLD.load(&(chain(256) + &again)).is_ok());
    let all: Vec<_> = (0..255).map(|i| format!("context.Variables[\"v{i}\"]")).collect();
    let of_all = format!("<set-variable name='v255' value='@($\"{{{}}}\")' />", all.join("}{"));
    assert!(WORLD.load(&(chain(255) + &of_all.repeat(10))).is_ok());
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    let errors = errors(&chain(257));
    assert!(errors.to_string().contains("more than 256 variables"), "{errors}");
}

#[test]
fn identities_that_an_expression_may_name_are_reported() {
    let reported = |text: &str| -> Vec<String> {
        let document = WORLD.load(text).unwrap();
        document.summary().possible_certificates.iter().map(ToString::to_string).collect()
    };
    let literal =
        "<set-variable name='a' value='orders' /><authentication-certificate certificate-id='orders' />";
    assert!(reported(literal).is_empty());
    let open = "<set-variable name='a' value='orders' />\
                <authentication-certificate certificate-id='@((string)context.Variables[\"a\"])' />";
    assert!(
        reported(open).contains(&"the certificate with the id orders".to_owned()),
        "{:?}",
        reported(open)
    );
    let joined = "<authentication-certificate thumbprint='@(context.Request.Certificate == null ? \
                  \"31CBB8262B6710B510178BC639C738F8B85B71E6\" : \"AAB8262B6710B510178BC639C738F8B85B71E6AA\")' />";
    assert_eq!(reported(joined).len(), 2, "{:?}", reported(joined));
}

#[test]
fn missing_time_span_is_zero() {
    let code = "context.Variables.GetValueOrDefault<TimeSpan>(\"left\") <= TimeSpan.FromDays(1)";
    let document = WORLD.load(&format!("<choose>{}</choose>", when(code, &answer(403)))).unwrap();
    assert!(evaluate(&document, &WORLD.certificate("orders")).response().is_some_and(|it| it.is_rejection()));
}

#[test]
fn number_in_a_variable_keeps_its_type() {
    let read = |ty: &str| format!("({ty})context.Variables[\"v\"] == 1");
    for (value, code, is_fault) in [
        ("@(1)", read("int"), false),
        ("@(1.0)", read("double"), false),
        ("@((double)1)", read("double"), false),
        ("@((double)1)", read("int"), true),
        ("@(true ? 1 : 2.5)", read("double"), false),
        ("@(true ? 1 : 2.5)", read("int"), true),
        ("@{ double a = 1; return a; }", read("double"), false),
        ("@{ double a = 1; return a; }", read("int"), true),
        ("@(1)", read("double"), true),
        ("@(1)", "context.Variables.GetValueOrDefault<double>(\"v\") == 1".into(), true),
    ] {
        let then = "<set-header name='x'><value>y</value></set-header>";
        let text = format!("<set-variable name='v' value='{value}' /><choose>{}</choose>", when(&code, then));
        let outcome = evaluate(&WORLD.load(&text).unwrap(), &WORLD.certificate("orders"));
        match outcome.response() {
            Some(answer) => {
                assert!(is_fault && answer.message().contains("Unable to cast"), "{text}: {outcome:?}")
            }
            None => {
                assert!(!is_fault && outcome.forward().unwrap().headers().is_some(), "{text}: {outcome:?}")
            }
        }
    }
}
