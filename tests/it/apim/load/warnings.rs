//! Warnings at load.

use tower_mtls::{
    Shared,
    apim::{DeploymentCertificates, Document, FindingKind},
};

use crate::apim::texts::*;
use crate::apim::world::WORLD;

#[test]
fn odd_documents_are_warned_of() {
    for (text, message) in [
        (
            condition(
                "context.Request.Certificate.Thumbprint != \"ca06f56b258b7a0d4f2b05470939478651151984\"",
            ),
            "upper-case",
        ),
        (
            condition("context.Request.Certificate.Subject != \"C=US, O=Contoso, CN=orders\""),
            "OpenSSL's order",
        ),
        (condition("context.Request.Certificate.Subject == \"CN=orders, ST=Illinois\""), "S=Illinois"),
        (condition("context.Request.Certificate?.Issuer != \"CN=a,O=b\""), ".NET prints CN=a, O=b"),
        (condition("context.Request.Certificate.SerialNumber != \"A1B2C3D4\""), "00A1B2C3D4"),
        (condition("!new [] { \"aa\" }.Contains(context.Request.Certificate.Thumbprint)"), "never equal"),
        (condition("context.Deployment.Certificates.ContainsKey(\"orders\")"), "keyed by thumbprint"),
        (condition("context.Deployment.Certificates[\"partner-client\"] == null"), "not by id"),
        (condition("context.Deployment.Certificates.Any(c => c.Key == \"partner\")"), "no entry has the key \"partner\""),
        (condition("context.Deployment.Certificates.ContainsKey(\"ca06f56b258b7a0d4f2b05470939478651151984\")"), "upper-case"),
        (
            condition("context.Request.Certificate.Thumbprint == \"CA:06:F5:6B:25:8B:7A:0D:4F:2B:05:47:09:39:47:86:51:15:19:84\""),
            "without separators; write CA06F56B258B7A0D4F2B05470939478651151984",
        ),
        (condition(&format!("context.Request.Certificate.Thumbprint != \"{}\"", "A1".repeat(32))), "print it with openssl x509 -noout -fingerprint -sha1"),
        (
            condition("context.Request.Certificate.Thumbprint != \"\u{200e}CA06F56B258B7A0D4F2B05470939478651151984\""),
            "the invisible character U+200E; write CA06F56B",
        ),
        (
            condition("context.Request.Certificate.Thumbprint.ToLower() != \"CA06F56B258B7A0D4F2B05470939478651151984\""),
            "in lower case is never equal to this; write ca06f56b",
        ),
        (condition("context.Request.Certificate.Subject.ToUpper() == \"CN=orders\""), "in upper case is never equal"),
        (condition("context.Request.Certificate.Thumbprint.StartsWith(\"ca06\")"), "consists of upper-case hex digits"),
        (condition("context.Request.Certificate.Thumbprint.ToLower().EndsWith(\"CA06\")"), "consists of lower-case hex digits"),
        (condition("context.Request.Certificate.SerialNumber.Contains(\"a1:b2\")"), "consists of upper-case hex digits"),
        (condition("context.Request.Certificate.Subject.Contains(\"CN=orders\")"), "such as CN=orders-x"),
        (
            condition("0 == 1").replace(
                "@(0 == 1)",
                "@{ var known = new[] { \"ca06\" }; return known.Contains(context.Request.Certificate.Thumbprint); }",
            ),
            "never equal to this",
        ),
        (
            condition("0 == 1").replace(
                "@(0 == 1)",
                "@{ var mine = context.Request.Certificate?.Thumbprint?.ToLower(); return mine == \"CA06\"; }",
            ),
            "in lower case is never equal to this; write ca06",
        ),
        (
            condition("new[] { \"ca06f56b258b7a0d4f2b05470939478651151984\" }.Any(t => t == context.Request.Certificate.Thumbprint)"),
            "upper-case",
        ),
        (
            condition("\"ca06f56b258b7a0d4f2b05470939478651151984,\".Split(',').Contains(context.Request.Certificate.Thumbprint)"),
            "upper-case",
        ),
        (condition("context.Request.Certificate.Subject != \"O = Contoso, CN = orders\""), ".NET prints CN=orders, O=Contoso"),
        (
            "<authentication-certificate certificate-id='orders' />\n<authentication-certificate certificate-id='orders' />".into(),
            "1:1: no effect: <authentication-certificate> on line 2 overrides it",
        ),
        (
            "<set-backend-service base-url='https://a' />\n<set-backend-service backend-id='east' />".into(),
            "1:1: no effect: <set-backend-service> on line 2 overrides it",
        ),
        ("<return-response />\n<base />".into(), "2:1: unreachable: <return-response> on line 1 ends the section"),
        ("<return-response><set-body>a</set-body><set-body>b</set-body></return-response>".into(), "the last one applies"),
        (
            condition("context.Request.Certificate == null").replace("403", "302"),
            "a status below 400 is not a rejection, and no certificate is admitted",
        ),
        (condition("context.Request.Certificate.Subject != \"CN=orders, O=Contoso\""), "not proven"),
        (condition("context.Request.Certificate == null"), "a self-made certificate can pass"),
        (condition("context.Request.Method == \"GET\""), "the caller's certificate is not read"),
        (condition("context.Request.Certificate.Subject.StartsWith(\"CN=a\")"), "StringComparison.Ordinal"),
        (condition("(string)context.Variables[\"never\"] == \"a\""), "variable \"never\" is never set"),
        (
            "<authentication-certificate certificate-id='later' />".into(),
            "no certificate has the id \"later\" at present",
        ),
        ("<validate-client-certificate ignore-error='true' />".into(), "all requests pass"),
        ("<validate-client-certificate validate-not-after='false' />".into(), "dates of the whole chain"),
        (
            "<validate-client-certificate validate-trust='false'><identities><identity common-name='a' \
             /></identities></validate-client-certificate>"
                .into(),
            "not proven",
        ),
        ("<policies><inbound /></policies>".into(), "<backend> is missing"),
        (
            "<set-variable name='a' value='@{ if (1 == 1) { return 1; } else { return 2; } var b = 2; return b; }' />".into(),
            "1:79: unreachable: all paths before it return",
        ),
        (
            condition("context.Request.Certificate.Thumbprint != \"A\""),
            "2:2: requests without a certificate fail with 500 at context.Request.Certificate.Thumbprint; compare \
             context.Request.Certificate with null first",
        ),
        (
            condition("context.Request.Method == \"POST\" && !context.Request.Certificate.VerifyNoRevocation()"),
            "fail with 500 at context.Request.Certificate.VerifyNoRevocation;",
        ),
        (
            "<choose><when condition='@(context.Request.Certificate.Subject == \"CN=a\")'><base /></when><otherwise>\
             <return-response><set-status code='403' /></return-response></otherwise></choose>"
                .replace("<base />", ""),
            "fail with 500 at context.Request.Certificate.Subject;",
        ),
        (
            "<set-header name='a'><value>@(context.Request.Certificate.Subject)</value></set-header>".into(),
            "fail with 500 at context.Request.Certificate.Subject",
        ),
    ] {
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let warnings: Vec<_> = document.warnings().iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains(message)), "{text}: {warnings:?}");
    }
    for quiet in [
        "context.Request.Certificate?.Thumbprint.Equals(\"CA06F56B258B7A0D4F2B05470939478651151984\", \
         StringComparison.InvariantCultureIgnoreCase) != true",
        "context.Request.Certificate?.Thumbprint?.Equals(\"CA06F56B258B7A0D4F2B05470939478651151984\", \
         StringComparison.InvariantCultureIgnoreCase) != true",
        "context.Request.Certificate?.Thumbprint.ToLower() != \"ca06f56b258b7a0d4f2b05470939478651151984\"",
        "context.Request.Certificate?.Thumbprint.StartsWith(\"CA06\") != true",
        "!new[] { \"CA06F56B258B7A0D4F2B05470939478651151984\" }.Any(t => t == context.Request.Certificate?.Thumbprint)",
        "context.Request.Certificate?.Thumbprint.Equals(\"ca06f56b258b7a0d4f2b05470939478651151984\", \
         StringComparison.OrdinalIgnoreCase) != true",
    ] {
        let document = WORLD.load(&condition(quiet)).unwrap();
        let odd = document.warnings().iter().find(|warning| warning.kind() != FindingKind::Unanchored);
        assert_eq!(odd, None, "{quiet}");
    }
    for guarded in [
        condition("context.Request.Certificate == null || context.Request.Certificate.Thumbprint != \"A\""),
        condition("context.Request.Certificate != null && context.Request.Certificate.Thumbprint != \"A\""),
        condition("context.Request.Certificate?.Thumbprint != \"A\""),
        condition("(context.Request.Certificate?.VerifyNoRevocation() ?? false) == false"),
        condition("context.Request.Certificate == null") + &condition("context.Request.Certificate.Subject != \"CN=a\""),
        "<validate-client-certificate />".to_owned() + &condition("context.Request.Certificate.Subject != \"CN=a\""),
        "<set-variable name='has' value='@(context.Request.Certificate != null)' />".to_owned()
            + &condition("context.Variables.GetValueOrDefault<bool>(\"has\") && context.Request.Certificate.Subject != \"CN=a\""),
        "<set-variable name='c' value='@(context.Request.Certificate?.Subject)' />".to_owned()
            + &condition("(string)context.Variables[\"c\"] != \"CN=a\""),
        condition("true").replace(
            "@(true)",
            "@{ var c = context.Request.Certificate; if (c == null) { return true; } return c.Subject != \"CN=a\"; }",
        ),
    ] {
        let document = WORLD.load(&guarded).unwrap();
        let alarm = document.warnings().iter().find(|warning| warning.message().contains("500"));
        assert_eq!(alarm, None, "{guarded}");
    }
    for sound in ["validate_all", "issuer_and_subject", "store", "whole_document", "rotation_two_thumbprints"]
    {
        let (_, text) = crate::apim::corpus::documents().into_iter().find(|(name, _)| name == sound).unwrap();
        assert_eq!(WORLD.load(&text).unwrap().warnings(), [], "{sound}");
    }
}

#[test]
fn comparisons_that_are_never_true_are_reported() {
    const SHA1: &str = "CA06F56B258B7A0D4F2B05470939478651151984";
    for (member, literal, message) in [
        ("Thumbprint", SHA1, None),
        ("Thumbprint", &SHA1.to_lowercase(), Some("upper-case")),
        ("Thumbprint", "CA:06", Some("found 4")),
        ("Thumbprint", "desired-thumbprint", Some("40 hex digits")),
        ("Thumbprint", &SHA1.repeat(2)[..64], Some("SHA-256")),
        ("SerialNumber", "00A1B2C3D4", None),
        ("SerialNumber", "A1B2C3D4", Some("00A1B2C3D4")),
        ("SerialNumber", "01B2", None),
        ("SerialNumber", "a1b2c3d4", Some("upper-case")),
        ("SerialNumber", "0012", Some("begin with 00")),
        ("SerialNumber", "A1:B2", Some("separators")),
        ("SerialNumber", "A1B", Some("even")),
        ("Subject", "CN=orders, O=Contoso", None),
        ("Subject", r#"CN=*.contoso.com, O="Contoso, Inc.", S=Illinois, C=US"#, None),
        ("Subject", "CN=orders,O=Contoso", Some("prints CN=orders, O=Contoso")),
        ("Subject", "CN=orders, ST=Illinois", Some("prints CN=orders, S=Illinois")),
        ("Subject", "C=US, O=Contoso, CN=orders", Some("OpenSSL's order")),
        ("Subject", "O = Contoso, CN = orders", Some("prints CN=orders, O=Contoso")),
        ("Thumbprint", "\u{200e}CA06", Some("U+200E; write CA06")),
        ("Subject", r"CN=orders, O=Contoso\, Inc.", Some(r#"O="Contoso, Inc.""#)),
        ("Subject", "/C=US/CN=orders", Some("not a distinguished name; write CN=orders, O=Contoso")),
        ("Subject", "expected-subject-name", Some("not a distinguished name")),
    ] {
        let escaped = literal.replace('\\', "\\\\").replace('"', "\\\"");
        let text = condition(&format!("context.Request.Certificate?.{member} != \"{escaped}\""));
        let document = WORLD.load(&text).unwrap();
        let mut warnings = document.warnings().iter().map(|warning| (warning.kind(), warning.message()));
        let found = warnings.find(|(kind, _)| *kind != FindingKind::Unanchored).map(|(_, found)| found);
        let is_expected = match message {
            None => found.is_none(),
            Some(message) => found.is_some_and(|found| found.contains(message)),
        };
        assert!(is_expected, "{literal}: {found:?}");
    }
}

#[test]
fn caller_lookups_in_a_store_without_callers_are_warned_of() {
    let store = condition(
        "context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == \
         context.Request.Certificate.Thumbprint)",
    );
    let key = condition(
        "!context.Deployment.Certificates.ContainsKey(context.Request.Certificate?.Thumbprint ?? \"\")",
    );
    let other = condition("context.Request.Certificate == null || context.Deployment.Certificates.Count > 3");
    let none = DeploymentCertificates::new;
    let ours = || none().with("orders", WORLD.orders.clone(), true);
    for (text, deployed, reported) in [
        (&store, none(), Some("which is empty; add the callers' certificates")),
        (&store, ours(), Some("only identities for backends (\"orders\")")),
        (&store, ours().with("caller", WORLD.billing.clone(), false), None),
        (&key, none(), Some("which is empty")),
        (&other, none(), None),
    ] {
        let builder = Document::builder().allow_unanchored().deployment(Shared::new(deployed));
        let document = builder.load(text).unwrap();
        let warned = document.warnings().iter().find(|warning| warning.kind() == FindingKind::Callers);
        match reported {
            Some(reported) => assert!(warned.unwrap().to_string().contains(reported), "{text}: {warned:?}"),
            None => assert_eq!(warned, None, "{text}"),
        }
    }
}

#[test]
fn warnings_accompany_errors_except_those_that_an_error_may_explain() {
    let text = "<validate-jwt />\n<choose>\n\
                <when condition=\"@(context.Request.Certificate.Thumbprint == \"aa06f56b258b7a0d4f2b05470939478651151984\")\" />\n\
                </choose>";
    let errors = WORLD.load(text).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.line()).collect::<Vec<_>>(), [1], "{errors}");
    let warnings: Vec<_> = errors.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("3:") && warnings[0].contains("upper-case"), "{warnings:?}");
}

#[test]
fn header_with_the_address_of_the_caller_is_warned_of() {
    for (name, is_claim) in [
        ("X-Forwarded-For", true),
        ("x_forwarded_host", true),
        ("X-Real-IP", true),
        ("Forwarded", true),
        ("True-Client-IP", true),
        ("X-Original-URL", true),
        ("X-Rewrite-URL", true),
        ("CF-Connecting-IP", true),
        ("X-Tenant", false),
        ("Host", false),
    ] {
        for code in [
            format!("context.Request.Headers.GetValueOrDefault(\"{name}\", \"\") != \"10.0.0.1\""),
            format!("context.Request.Headers[\"{name}\"].Contains(\"10.0.0.1\")"),
            format!("!context.Request.Headers.ContainsKey(\"{name}\")"),
        ] {
            let document = WORLD.load(&format!("<choose>{}</choose>", when(&code, &answer(403)))).unwrap();
            let is_warned = document
                .warnings()
                .iter()
                .any(|it| it.message().contains("does not prove an address or host"));
            assert_eq!(is_warned, is_claim, "{code}");
        }
    }
}
