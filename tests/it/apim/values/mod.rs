//! Values of expressions, compared with those of C#.

mod certificates;

use http::Request;
use tower_mtls::{
    Shared,
    apim::{DeploymentCertificates, Document, RequestFacts},
    certificate::Presented,
};

use super::world::NOW;

fn request() -> Request<()> {
    Request::get("https://api.contoso.com:8443/orders/42?a=1&A=2&q=a%20b+c&bad=%zz")
        .header("x-one", "1")
        .header("x-two", "a")
        .header("x-two", "b")
        .body(())
        .unwrap()
}

fn variable(name: &str, code: &str) -> String {
    let code = if code.starts_with('{') { format!("@{code}") } else { format!("@({code})") };
    format!("<set-variable name=\"{name}\" value=\"{code}\" />")
}

/// The value of the variable that a document sets last, or its error or fault.
fn evaluated(text: &str, presented: &Presented, deployment: DeploymentCertificates) -> String {
    let document = match Document::builder().deployment(Shared::new(deployment)).load(text) {
        Ok(document) => document,
        Err(errors) => return format!("error: {}", errors.iter().next().unwrap().message()),
    };
    let request = request();
    let facts = RequestFacts::new(&request, presented).with_remote(Some([192, 0, 2, 1].into()));
    let explanation = document.explain(&facts, NOW);
    if let Some(response) = explanation.decision().response() {
        return match response.message() {
            message if message.contains("Object reference not set") => "NullReferenceException".into(),
            message => format!("fault: {message}"),
        };
    }
    let printed = explanation.to_string();
    let (_, value) = printed.rsplit_once("sets variable \"value\": ").unwrap();
    value.lines().next().unwrap_or_default().to_owned()
}

fn check(rows: &[(&str, &str)], presented: &Presented) {
    let deployment = match presented {
        Presented::Certificate(certificate) => {
            DeploymentCertificates::new().with("caller", certificate.clone(), true)
        }
        _ => DeploymentCertificates::new(),
    };
    let wrong: Vec<_> = rows
        .iter()
        .map(|(code, expected)| {
            (code, expected, evaluated(&variable("value", code), presented, deployment.clone()))
        })
        .filter(|(_, expected, found)| {
            !found.contains(**expected)
                || (found.len() > expected.len()
                    && !found.starts_with("error")
                    && !found.starts_with("fault"))
        })
        .map(|(code, expected, found)| format!("{code}: expected {expected}, found {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn string_methods_match_dotnet() {
    check(
        &[
            (r#""a" + 1 + true + null + 'c'"#, r#""a1Truec""#),
            (r#"1 + 2 + "a""#, r#""3a""#),
            (r#"$"a{1 + 1}b{{}}{"c"}""#, r#""a2b{}c""#),
            (r#"string.Format("{0};{1};{0}", "a", 2)"#, r#""a;2;a""#),
            (r#"string.Concat("a", "b")"#, r#""ab""#),
            (r#"string.Join("-", new[] {"a", "b"})"#, r#""a-b""#),
            (r#"@"a\""b""#, r#""a\\\"b""#),
            (r#""\u00e9\t\\\"""#, r#""é\t\\\"""#),
            (r#""CN=a".StartsWith("cn=")"#, "false"),
            (r#""CN=a".StartsWith("cn=", StringComparison.OrdinalIgnoreCase)"#, "true"),
            (r#""é".StartsWith("e")"#, "depends on a culture"),
            (r#""abc".EndsWith("bc", System.StringComparison.Ordinal)"#, "true"),
            (r#""abc".Contains("B", StringComparison.OrdinalIgnoreCase)"#, "true"),
            (r#""abc".Contains('b')"#, "true"),
            (r#""abcabc".IndexOf("c", StringComparison.Ordinal)"#, "2"),
            (r#""abcabc".LastIndexOf('c')"#, "5"),
            (r#""abc".IndexOf("x", StringComparison.Ordinal)"#, "-1"),
            (r#""abc".Substring(1)"#, r#""bc""#),
            (r#""abc".Substring(1, 1)"#, r#""b""#),
            (r#""abc".Substring(4)"#, "Index and length must refer"),
            (r#""a,b,,c".Split(',').Length"#, "4"),
            (r#""a,b,,c".Split(new[] {','}, StringSplitOptions.RemoveEmptyEntries).Length"#, "3"),
            (r#""a, b".Split(", ")[1]"#, r#""b""#),
            (r#""a;b|c".Split(';', '|').Last()"#, r#""c""#),
            (r#""a".Split(',')[1]"#, "Index was outside"),
            (r#""a b a".Replace("a", "x").Replace(' ', '_')"#, r#""x_b_x""#),
            (r#""  a ".Trim()"#, r#""a""#),
            (r#""/a/".TrimEnd('/')"#, r#""/a""#),
            (r#""aBc".ToUpper() + "aBc".ToLowerInvariant()"#, r#""ABCabc""#),
            (r#""aé".Length"#, "2"),
            (r#""abc"[1].ToString()"#, r#""b""#),
            (r#"string.IsNullOrEmpty(null)"#, "true"),
            (r#"string.IsNullOrWhiteSpace(" \t")"#, "true"),
            (r#"string.Equals(null, null)"#, "true"),
            (r#"string.Equals("a", "A", StringComparison.InvariantCultureIgnoreCase)"#, "true"),
            (r#""a".Equals(null)"#, "false"),
            (r#"new string[] {"a", "b"}.Contains("b")"#, "true"),
            (r#"new List<string> {"a", "b"}.Any(x => x.Length > 1)"#, "false"),
            (r#"new [] {"a", "b"}.All(x => x.Length == 1)"#, "true"),
            (r#"new [] {"a"}.FirstOrDefault()"#, r#""a""#),
            (r#"int.Parse("42") + Convert.ToInt32("-1")"#, "41"),
            (r#"int.Parse("x")"#, "Input string was not in a correct format"),
            (r#"2147483647 + 1"#, "-2147483648"),
            (r#"1 < 1.5"#, "true"),
            ("int.Parse(\" \\t\\v\\f\\r\\n5 \")", "5"),
            ("int.Parse(\"\u{a0}5\")", "Input string was not in a correct format"),
            ("int.Parse(\"\\u20285\")", "Input string was not in a correct format"),
            (r#"Convert.ToBase64String(Convert.FromBase64String("Zm9v"))"#, r#""Zm9v""#),
        ],
        &Presented::Nothing,
    );
}

#[test]
fn null_semantics_match_dotnet() {
    check(
        &[
            ("context.Request.Certificate == null", "true"),
            ("context.Request.Certificate.Thumbprint", "NullReferenceException"),
            ("context.Request.Certificate?.Thumbprint", "null"),
            ("context.Request.Certificate?.Subject.Trim().Length", "null"),
            ("context.Request.Certificate?.Thumbprint == null", "true"),
            ("context.Request.Certificate?.Thumbprint != \"A\"", "true"),
            ("context.Request.Certificate?.Thumbprint ?? \"none\"", "\"none\""),
            // Ordering comparisons with null are false in both directions.
            ("context.Request.Certificate?.NotAfter < DateTime.Now", "false"),
            ("context.Request.Certificate?.NotAfter >= DateTime.Now", "false"),
            ("context.Request.Certificate?.HasPrivateKey == true", "false"),
            ("context.Request.Certificate?.HasPrivateKey != true", "true"),
            ("context.Request.Certificate?.HasPrivateKey ?? true", "true"),
            ("context.Request.Certificate == null || context.Request.Certificate.Subject == \"x\"", "true"),
            ("context.Request.Certificate != null && context.Request.Certificate.Subject == \"x\"", "false"),
            ("context.Request.Certificate == null ? 1 : 2", "1"),
            ("(string)context.Variables[\"x\"]", "The given key was not present"),
            ("context.Variables.GetValueOrDefault<string>(\"x\")", "null"),
            ("context.Variables.GetValueOrDefault<bool>(\"x\")", "false"),
            ("context.Variables.GetValueOrDefault(\"x\", 7)", "7"),
            ("context.Variables.ContainsKey(\"x\")", "false"),
            (
                "context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)",
                "false",
            ),
            (
                "context.Deployment.Certificates.ContainsKey(context.Request.Certificate?.Thumbprint)",
                "NullReferenceException",
            ),
            ("context.Deployment.Certificates.Count", "0"),
            ("context.Deployment.Certificates.Values.FirstOrDefault(c => true) == null", "true"),
            ("context.Deployment.Certificates[\"A\"] == null", "The given key was not present"),
        ],
        &Presented::Nothing,
    );
}

#[test]
fn request_members_match_the_request_head() {
    check(
        &[
            ("context.Request.Method", "\"GET\""),
            ("context.Request.IpAddress", "\"192.0.2.1\""),
            ("context.Request.Url.Path", "\"/orders/42\""),
            ("context.Request.OriginalUrl.Host", "\"api.contoso.com\""),
            ("context.Request.Url.Port", "8443"),
            ("context.Request.Url.Scheme", "\"https\""),
            ("context.Request.Url.QueryString", "\"?a=1&A=2&q=a%20b+c&bad=%zz\""),
            ("context.Request.Url.Query.GetValueOrDefault(\"a\", \"\")", "\"1,2\""),
            ("context.Request.Url.Query[\"q\"].First()", "\"a b c\""),
            ("context.Request.Url.Query.GetValueOrDefault(\"bad\")", "invalid percent-encoding"),
            ("context.Request.Url.Query.ContainsKey(\"x\")", "false"),
            ("context.Request.Headers[\"X-One\"].First()", "\"1\""),
            ("context.Request.Headers.GetValueOrDefault(\"X-Two\", \"\")", "\"a,b\""),
            ("context.Request.Headers[\"X-Two\"].Contains(\"b\")", "true"),
            ("context.Request.Headers[\"X-Three\"][0]", "The given key was not present"),
            ("context.Request.Headers.GetValueOrDefault(\"X-Three\", \"d\")", "\"d\""),
            ("context.Request.Headers.ContainsKey(\"X-One\")", "true"),
        ],
        &Presented::Nothing,
    );
}

#[test]
fn blocks_run_as_in_csharp() {
    check(
        &[
            ("{ return 1; }", "1"),
            ("{ var a = 1; if (a > 1) { return \"x\"; } else if (a == 1) { a = a + 1; } return a; }", "2"),
            ("{ string a = null; a = \"b\"; return a + a; }", "\"bb\""),
            ("{ if (true) return 1; }", "error: not all paths"),
            ("{ var a = null; return 1; }", "error: the type of null"),
            ("{ int a = \"b\"; return 1; }", "error: expected int"),
            ("{ b = 1; return 1; }", "error: b is not declared"),
            ("{ var a = 1; var a = 2; return 1; }", "error: a is already declared"),
            ("{ if (true) { var a = 1; } return a; }", "error: a is not defined"),
            ("{ foreach (var a in new[] {\"b\"}) { } return 1; }", "error: 'foreach' is not supported"),
        ],
        &Presented::Nothing,
    );
}

#[test]
fn doubles_are_not_converted_to_int() {
    for (code, expected) in [
        ("(double)2147483647 + 1", "2147483648.0"),
        ("(double)2147483647 - -1", "2147483648.0"),
        ("(true ? 2147483647 : 1.5) + 1", "2147483648.0"),
        ("-(double)1", "-1.0"),
        ("{ double a = 2147483647; return a + 1; }", "2147483648.0"),
        ("{ double a = 1.5; a = 2147483647; return a + 1; }", "2147483648.0"),
        ("context.Variables.GetValueOrDefault<double>(\"x\", 2147483647) + 1", "2147483648.0"),
    ] {
        // The cast fails unless the variable is a double.
        let is_equal = variable("value", &format!("(double)context.Variables[\"a\"] == {expected}"));
        let text = variable("a", code) + &is_equal;
        assert_eq!(evaluated(&text, &Presented::Nothing, DeploymentCertificates::new()), "true", "{code}");
    }
}

#[test]
fn dates_match_dotnet() {
    check(
        &[
            ("DateTime.Parse(\"0001-01-01\")", "0001-01-01 00:00:00Z"),
            ("DateTime.Parse(\"1970-01-01\")", "1970-01-01 00:00:00Z"),
            ("DateTime.Parse(\"2000-02-29T12:34:56Z\")", "2000-02-29 12:34:56Z"),
            ("DateTime.Parse(\"9999-12-31 23:59\")", "9999-12-31 23:59:00Z"),
            ("DateTime.Parse(\"9999-12-31T23:59:59\").ToString(\"yyyy-MM-dd\")", "\"9999-12-31\""),
            (
                "(DateTime.Parse(\"1970-01-01\") - DateTime.Parse(\"0001-01-01\")).TotalSeconds == 62135596800.0",
                "true",
            ),
            (
                "(DateTime.Parse(\"2000-02-29T12:34:56Z\") - DateTime.Parse(\"1970-01-01\")).TotalSeconds == 951827696.0",
                "true",
            ),
            (
                "(DateTime.Parse(\"9999-12-31T23:59:59\") - DateTime.Parse(\"0001-01-01\")).TotalSeconds == 315537897599.0",
                "true",
            ),
            ("DateTime.Parse(\"\")", "error: the format of this date depends on a culture"),
            ("DateTime.Parse(\"2026\")", "error: the format of this date depends on a culture"),
            ("DateTime.Parse(\"2026-13-01\")", "error: the format of this date depends on a culture"),
            ("DateTime.Parse(\"2025-02-29\")", "error: the format of this date depends on a culture"),
            ("DateTime.Parse(\"06/01/2026\")", "error: the format of this date depends on a culture"),
            (
                "DateTime.Parse(\"2026-06-01T25:00:00\")",
                "error: the format of this date depends on a culture",
            ),
            ("DateTime.Parse(\"2026-6-1\")", "error: the format of this date depends on a culture"),
            ("DateTime.Parse(\"2026-06-01Z\")", "error: the format of this date depends on a culture"),
            // The last day of a shorter month.
            ("DateTime.Parse(\"2026-01-31T10:00:00\").AddMonths(1)", "2026-02-28 10:00:00Z"),
            ("DateTime.Parse(\"2026-01-31T10:00:00\").AddMonths(-11)", "2025-02-28 10:00:00Z"),
            ("DateTime.Parse(\"2026-01-31T10:00:00\").AddMonths(108000)", "un-representable DateTime"),
            ("DateTime.Parse(\"2026-01-31\").AddMonths(-2147483647)", "un-representable DateTime"),
            // Formats that do not depend on a culture.
            ("DateTime.Parse(\"2026-01-02T03:04:05\").ToString(\"o\")", "\"2026-01-02T03:04:05.0000000\""),
            ("DateTime.Parse(\"2026-01-02T03:04:05\").ToString(\"s\")", "\"2026-01-02T03:04:05\""),
            (
                "DateTime.Parse(\"2026-01-02T03:04:05\").ToString(\"yyyy-MM-dd HH:mm:ss\")",
                "\"2026-01-02 03:04:05\"",
            ),
            ("DateTime.Now.ToString(\"d\")", "error: the format depends on a culture"),
            ("DateTime.Now.ToString(\"MMM\")", "error: the format depends on a culture"),
            ("DateTime.Now.ToString(\"\")", "error: the format depends on a culture"),
        ],
        &Presented::Nothing,
    );
}
