//! Values of expressions, compared with those of C#.

use http::Request;

use super::{Base, Evaluation, Inputs, Scope, State, Value, compile};
use crate::{
    apim::{
        RequestFacts,
        deployment::{Deployment, DeploymentCertificates},
        error::{Findings, Position},
        expression::Fault,
        reader::Text,
    },
    certificate::{Certificate, Presented, Timestamp},
    pki::{Leaf, NOON},
    shared::Shared,
};

fn request() -> Request<()> {
    Request::get("https://api.contoso.com:8443/orders/42?a=1&A=2&q=a%20b+c&bad=%zz")
        .header("x-one", "1")
        .header("x-two", "a")
        .header("x-two", "b")
        .body(())
        .unwrap()
}

/// Formats the value of an expression, or its error or fault.
fn evaluated(code: &str, presented: &Presented, deployment: &dyn Deployment) -> String {
    let text = format!("@({code})");
    let text = if code.starts_with('{') { format!("@{code}") } else { text };
    let mut findings = Findings::default();
    let position = Position { line: 1, column: 1 };
    let mut source = Text::empty(position);
    source.value = text;
    let compiled = compile(&source, Base::Object.into(), Scope::default(), &mut findings);
    let Some(expression) = compiled else {
        return format!("error: {}", findings.into_result().unwrap_err().iter().next().unwrap().message());
    };
    let request = request();
    let facts = RequestFacts::new(&request, presented).with_remote(Some([192, 0, 2, 1].into()));
    let inputs = Inputs::new(facts, Timestamp::from_unix(NOON), None, Some(deployment));
    let mut state = State::default();
    let mut evaluation = Evaluation { inputs: &inputs, state: &mut state };
    match evaluation.value(&expression.root) {
        Ok(Value::Null) => "null".into(),
        Ok(Value::Bool(value)) => value.to_string(),
        Ok(Value::Int(value)) => value.to_string(),
        Ok(Value::Double(value)) => format!("{value:?}"),
        Ok(Value::Text(text)) => format!("{text:?}"),
        Ok(Value::Texts(texts)) => format!("{texts:?}"),
        Ok(Value::Bytes(bytes)) => format!("{bytes:?}"),
        Ok(Value::DateTime(ticks)) => super::format_date_time(ticks),
        Ok(other) => format!("{other:?}"),
        Err(Fault::NullReference) => "NullReferenceException".into(),
        Err(fault) => format!("fault: {}", fault.message()),
    }
}

fn check(rows: &[(&str, &str)], presented: &Presented) {
    let deployment = match presented {
        Presented::Certificate(certificate) => {
            DeploymentCertificates::new().with("caller", certificate.clone(), true)
        }
        _ => DeploymentCertificates::new(),
    };
    let deployment = Shared::new(deployment);
    let wrong: Vec<_> = rows
        .iter()
        .map(|(code, expected)| (code, expected, evaluated(code, presented, &deployment)))
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
            (r#"(double)2147483647 + 1"#, "2147483648.0"),
            (r#"(double)2147483647 - -1"#, "2147483648.0"),
            (r#"(true ? 2147483647 : 1.5) + 1"#, "2147483648.0"),
            (r#"-(double)1"#, "-1.0"),
            (r#"{ double a = 2147483647; return a + 1; }"#, "2147483648.0"),
            (r#"{ double a = 1.5; a = 2147483647; return a + 1; }"#, "2147483648.0"),
            (r#"context.Variables.GetValueOrDefault<double>("x", 2147483647) + 1"#, "2147483648.0"),
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
fn certificate_members_match_dotnet() {
    let issued = Leaf::client("orders")
        .serial(0xA1B2_C3D4)
        .dns("first.contoso.com")
        .dns("second.contoso.com")
        .from(NOON - 86_400)
        .until(NOON + 86_400)
        .self_signed();
    let certificate = Certificate::from_der(&issued.der).unwrap();
    let sha1 = certificate.sha1_thumbprint().to_string();
    let rows = [
        ("context.Request.Certificate.Subject", "\"CN=orders, O=Contoso\""),
        ("context.Request.Certificate.SubjectName.Name", "\"CN=orders, O=Contoso\""),
        ("context.Request.Certificate.SubjectName == context.Request.Certificate.Issuer", "true"),
        ("context.Request.Certificate.IssuerName.Name", "\"CN=orders, O=Contoso\""),
        ("context.Request.Certificate.SerialNumber", "\"00A1B2C3D4\""),
        ("context.Request.Certificate.GetSerialNumberString()", "\"00A1B2C3D4\""),
        ("context.Request.Certificate.GetSerialNumber()", "[212, 195, 178, 161, 0]"),
        ("context.Request.Certificate.Thumbprint", &format!("{sha1:?}")),
        ("context.Request.Certificate.GetCertHashString()", &format!("{sha1:?}")),
        (
            "context.Request.Certificate.Thumbprint == context.Request.Certificate.Thumbprint.ToLower()",
            "false",
        ),
        ("context.Request.Certificate.GetCertHash() == null", "false"),
        ("context.Request.Certificate.NotAfter", "2026-01-02 00:00:00Z"),
        ("context.Request.Certificate.NotBefore", "2025-12-31 00:00:00Z"),
        ("DateTime.Now", "2026-01-01 00:00:00Z"),
        ("context.Request.Certificate.NotAfter < DateTime.Now", "false"),
        ("(context.Request.Certificate.NotAfter - DateTime.Now).TotalDays", "1.0"),
        ("(context.Request.Certificate.NotAfter - DateTime.UtcNow).Days == 1", "true"),
        ("context.Request.Certificate.NotAfter.Subtract(DateTime.Now) > TimeSpan.FromHours(23)", "true"),
        ("context.Request.Certificate.NotAfter.AddDays(-1.5) < DateTime.Now", "true"),
        ("context.Request.Certificate.NotAfter.ToString(\"yyyy-MM-dd\")", "\"2026-01-02\""),
        ("context.Request.Certificate.NotAfter.Year", "2026"),
        ("DateTime.Now.AddYears(9000)", "un-representable DateTime"),
        ("context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false)", "\"orders\""),
        ("context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, true)", "\"orders\""),
        ("context.Request.Certificate.GetNameInfo(X509NameType.DnsName, false)", "\"first.contoso.com\""),
        (
            "context.Request.Certificate.GetNameInfo(X509NameType.DnsFromAlternativeName, false)",
            "\"first.contoso.com\"",
        ),
        ("context.Request.Certificate.HasPrivateKey", "false"),
        ("context.Request.Certificate.Version", "3"),
        ("context.Request.Certificate.SignatureAlgorithm.FriendlyName", "\"sha256ECDSA\""),
        ("context.Request.Certificate.SignatureAlgorithm.Value", "\"1.2.840.10045.4.3.2\""),
        ("context.Request.Certificate.GetRawCertDataString().Substring(0, 4)", "\"3082\""),
        ("context.Request.Certificate.Export(X509ContentType.Cert) == null", "false"),
        (
            "context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)",
            "true",
        ),
        ("context.Deployment.Certificates.Any(c => c.Key == context.Request.Certificate.Thumbprint)", "true"),
        (
            "context.Deployment.Certificates.Values.Any(c => context.Request.Certificate.Thumbprint == c.Thumbprint && c.HasPrivateKey)",
            "true",
        ),
        (
            "context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint.ToLower())",
            "false",
        ),
        (
            "context.Deployment.Certificates.Any(c => c.Value.Thumbprint != context.Request.Certificate.Thumbprint)",
            "false",
        ),
        ("context.Deployment.Certificates.Keys.Contains(context.Request.Certificate.Thumbprint)", "true"),
        (
            "context.Deployment.Certificates.ContainsKey(context.Request.Certificate.Thumbprint.ToLower())",
            "false",
        ),
        (
            "context.Deployment.Certificates[context.Request.Certificate.Thumbprint].Subject",
            "\"CN=orders, O=Contoso\"",
        ),
        (
            "context.Deployment.Certificates.First(c => c.Value.Subject.Contains(\"orders\")).Value.SerialNumber",
            "\"00A1B2C3D4\"",
        ),
        (
            "context.Deployment.Certificates.Values.FirstOrDefault(c => c.Subject == \"x\")?.Thumbprint",
            "null",
        ),
    ];
    check(&rows, &certificate.into());
}

#[test]
fn certificate_without_dns_names_uses_its_common_name() {
    let issued = Leaf::client("orders").self_signed();
    check(
        &[
            ("context.Request.Certificate.GetNameInfo(X509NameType.DnsName, false)", "\"orders\""),
            ("context.Request.Certificate.GetNameInfo(X509NameType.DnsFromAlternativeName, false)", "\"\""),
        ],
        &Certificate::from_der(&issued.der).unwrap().into(),
    );
    let unnamed = Leaf::client("orders").subject(&[]).self_signed();
    check(
        &[
            ("context.Request.Certificate.Subject", "\"\""),
            ("context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false)", "no common name"),
        ],
        &Certificate::from_der(&unnamed.der).unwrap().into(),
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
fn any_by_thumbprint_compiles_to_a_lookup() {
    for (code, is_look_up) in [
        ("c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint", true),
        ("c => context.Request.Certificate.Thumbprint == c.Value.Thumbprint", true),
        ("c => c.Key == context.Request.Certificate.Thumbprint", true),
        ("c => c.Key == \"A\" && c.Value.Subject == \"b\"", true),
        ("c => c.Key == (string)context.Variables[\"a\"]", true),
        ("c => c.Value.Thumbprint == c.Key", false),
        ("c => c.Value.Subject == \"b\" && c.Key == \"A\"", false),
        ("c => c.Value.Thumbprint != \"A\"", false),
    ] {
        let value = format!("@(context.Deployment.Certificates.Any({code}))");
        let mut source = Text::empty(Position { line: 1, column: 1 });
        source.value = value;
        let mut findings = Findings::default();
        let compiled = compile(&source, super::Type::BOOL, Scope::default(), &mut findings).unwrap();
        let super::Kind::Select(select) = &compiled.root.kind else { panic!("{code}") };
        assert_eq!(select.key.is_some(), is_look_up, "{code}");
    }
}
