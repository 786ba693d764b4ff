//! Tests of the analysis.

use super::{Caller, run};
use crate::{
    apim::{Document, Revocation},
    pki::Authority,
    policy::TrustAnchors,
};

fn load(text: &str) -> Document {
    static TRUST: std::sync::LazyLock<TrustAnchors> = std::sync::LazyLock::new(|| {
        TrustAnchors::from_pem(Authority::root("Partners Root CA").pem()).unwrap()
    });
    let builder = Document::builder().trust(TRUST.clone()).revocation(Revocation::Off).allow_unanchored();
    builder.load(&filled(text)).unwrap_or_else(|errors| panic!("{text}: {errors}"))
}

fn filled(text: &str) -> String {
    text.replace("CERT", "context.Request.Certificate")
        .replace("STORE", "context.Deployment.Certificates")
        .replace("PIN", "\"CA06F56B258B7A0D4F2B05470939478651151984\"")
        .replace("HEADER", "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")")
        .replace("HAS-A", "context.Request.Headers.ContainsKey(\"X-A\")")
        .replace("403", "<return-response><set-status code='403' /></return-response>")
        .replace("302", "<return-response><set-status code='302' /></return-response>")
}

/// `refused`, `passes` or `may`.
fn verdict(document: &Document, caller: Caller) -> &'static str {
    let reach = run(&document.0.program.inbound, caller);
    match (reach.may_pass, reach.always_passes) {
        (false, _) => "refused",
        (true, true) => "passes",
        (true, false) => "may",
    }
}

fn check(rows: &[(&str, &str, &str)], document: impl Fn(&str) -> String) {
    let mut wrong = Vec::new();
    for (row, stranger, without_certificate) in rows {
        let document = load(&document(row));
        let found = (verdict(&document, Caller::Stranger), verdict(&document, Caller::WithoutCertificate));
        if found != (*stranger, *without_certificate) {
            wrong.push(format!(
                "{row}: expected {stranger}, {without_certificate}; found {}, {}",
                found.0, found.1
            ));
        }
        assert_eq!(document.summary().proves_certificate, found.0 == "refused", "{row}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn condition_proves_by_its_branch() {
    let rows = [
        // Rows that prove.
        ("CERT == null || CERT.Thumbprint != PIN", "refused", "refused"),
        ("CERT?.Thumbprint != PIN", "refused", "refused"),
        ("PIN != CERT?.Thumbprint", "refused", "refused"),
        ("CERT == null || !CERT.VerifyNoRevocation()", "refused", "refused"),
        ("CERT == null || !CERT.Verify() || CERT.Issuer != \"CN=a\"", "refused", "refused"),
        ("CERT == null || CERT.Verify() == false", "refused", "refused"),
        ("CERT?.Verify() != true", "refused", "refused"),
        ("!(CERT?.Verify() ?? false)", "refused", "refused"),
        ("!(CERT != null && CERT.Verify())", "refused", "refused"),
        ("CERT == null || (CERT.Verify() ? false : true)", "refused", "refused"),
        ("CERT == null || !(CERT.Thumbprint == PIN || CERT.Verify())", "refused", "refused"),
        ("CERT == null || !PIN.Equals(CERT.Thumbprint.ToUpper())", "refused", "refused"),
        (
            "CERT == null || !string.Equals(CERT.Thumbprint, PIN, StringComparison.OrdinalIgnoreCase)",
            "refused",
            "refused",
        ),
        ("CERT == null || !CERT.GetCertHashString().Equals(PIN)", "refused", "refused"),
        (
            "CERT == null || Convert.ToBase64String(CERT.GetCertHash()) != \"ygb1ayWLeg1PKwVHCTlHhlEVGYQ=\"",
            "refused",
            "refused",
        ),
        ("CERT == null || !new[] { PIN, \"A\" }.Contains(CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || !new[] { PIN, \"A\" }.Any(t => t == CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || new[] { PIN, \"A\" }.All(t => t != CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || !\"A;B\".Split(';').Any(t => t.Trim() == CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || \"A;B\".IndexOf(CERT.Thumbprint) < 0", "refused", "refused"),
        ("CERT == null || !(HAS-A ? \"A\" : \"B\").Contains(CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || !STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)", "refused", "refused"),
        (
            "CERT == null || !STORE.Any(c => c.Value.Subject == \"a\" && c.Value.Thumbprint == CERT.Thumbprint)",
            "refused",
            "refused",
        ),
        (
            "CERT == null || !STORE.Values.Any(c => c.Thumbprint == CERT.Thumbprint && c.NotAfter > DateTime.Now)",
            "refused",
            "refused",
        ),
        ("CERT == null || STORE.All(c => c.Key != CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || !STORE.ContainsKey(CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || !STORE.Keys.Contains(CERT.Thumbprint)", "refused", "refused"),
        ("CERT == null || STORE[CERT.Thumbprint] == null", "refused", "refused"),
        (
            "CERT == null || STORE.Values.FirstOrDefault(c => c.Thumbprint == CERT.Thumbprint) == null",
            "refused",
            "refused",
        ),
        (
            "CERT == null || STORE.Values.FirstOrDefault(c => c.Thumbprint == CERT.Thumbprint)?.Subject != \"CN=a\"",
            "refused",
            "refused",
        ),
        (
            "CERT == null || STORE.Values.FirstOrDefault(c => c.Subject == CERT.Subject)?.Thumbprint != CERT.Thumbprint",
            "refused",
            "refused",
        ),
        (
            "STORE.Values.First(c => c.Thumbprint == CERT.Thumbprint).Subject == \"CN=a\"",
            "refused",
            "refused",
        ),
        ("CERT.Thumbprint != PIN", "refused", "refused"),
        ("CERT == null || (HAS-A || !CERT.Verify())", "refused", "refused"),
        // Asked for, and proving nothing.
        ("CERT == null || CERT.Thumbprint.Length != 40", "passes", "refused"),
        ("CERT == null || CERT.Thumbprint != HEADER", "may", "refused"),
        ("CERT == null || CERT.Thumbprint != CERT.Thumbprint", "may", "refused"),
        ("CERT == null || CERT.Thumbprint == PIN", "passes", "refused"),
        ("CERT == null || CERT.VerifyNoRevocation()", "passes", "refused"),
        ("CERT == null || CERT.VerifyNoRevocation() && false", "passes", "refused"),
        ("CERT == null || (HAS-A && !CERT.VerifyNoRevocation())", "may", "refused"),
        ("CERT == null || !CERT.Thumbprint.EndsWith(\"94A6\", StringComparison.Ordinal)", "may", "refused"),
        (
            "CERT == null || !CERT.Thumbprint.StartsWith(PIN.Substring(0, 4), StringComparison.Ordinal)",
            "may",
            "refused",
        ),
        ("CERT == null || CERT.Thumbprint.Substring(36) != \"94A6\"", "may", "refused"),
        ("CERT == null || CERT.GetCertHashString().Trim() == \"\"", "passes", "refused"),
        ("CERT == null || string.IsNullOrEmpty(CERT.Thumbprint)", "passes", "refused"),
        ("CERT == null && CERT.Thumbprint != \"X\"", "passes", "refused"),
        ("CERT == null && !CERT.Verify()", "passes", "refused"),
        ("CERT != null && CERT.Thumbprint != PIN", "refused", "passes"),
        ("CERT == null || (CERT.Issuer != \"CN=a\" && !CERT.Verify())", "may", "refused"),
        ("CERT == null || (CERT.Thumbprint != PIN && CERT.Subject != \"CN=a\")", "may", "refused"),
        ("CERT == null || !(CERT.Verify() || CERT.Subject == \"CN=a\")", "may", "refused"),
        (
            "CERT == null || !(CERT.Thumbprint == PIN || DateTime.Now < DateTime.Parse(\"2026-01-01\"))",
            "may",
            "refused",
        ),
        ("CERT == null || !STORE.Any(c => c.Value.Subject == CERT.Subject)", "may", "refused"),
        ("CERT == null || !STORE.Any(c => c.Value.Thumbprint == PIN)", "may", "refused"),
        ("CERT == null || !STORE.Any(c => c.Value.Verify())", "may", "refused"),
        ("CERT == null || !STORE.ContainsKey(PIN)", "may", "refused"),
        ("CERT == null || !STORE.ContainsKey(HEADER)", "may", "refused"),
        ("CERT == null || STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)", "passes", "refused"),
        ("CERT == null || !STORE.Any(c => c.Value.Thumbprint != CERT.Thumbprint)", "may", "refused"),
        ("CERT == null || !new[] { CERT.Thumbprint, \"A\" }.Contains(PIN)", "may", "refused"),
        ("CERT == null || !new[] { PIN, HEADER }.Contains(CERT.Thumbprint)", "may", "refused"),
        ("CERT == null || !HEADER.Split(',').Any(t => t == CERT.Thumbprint)", "may", "refused"),
        ("CERT == null || !HEADER.Contains(CERT.Thumbprint)", "may", "refused"),
        ("CERT == null || CERT.Thumbprint != PIN.Replace(\"A\", HEADER)", "may", "refused"),
        (
            "CERT == null || CERT.Thumbprint != (HAS-A ? \"0\" : \"1\") + (HAS-A ? \"2\" : \"3\")",
            "may",
            "refused",
        ),
        ("CERT == null || CERT.Thumbprint != $\"{HEADER}\"", "may", "refused"),
        ("CERT == null || \"id-\" + CERT.Thumbprint != \"id-\" + PIN", "refused", "refused"),
        ("CERT == null || \"id-\" + CERT.Thumbprint != HEADER + PIN", "may", "refused"),
        ("CERT == null || CERT.Thumbprint + CERT.Subject != PIN", "may", "refused"),
        ("CERT == null", "passes", "refused"),
        ("HAS-A && CERT == null", "passes", "may"),
        ("CERT?.NotAfter < DateTime.Now", "may", "passes"),
        ("HAS-A", "may", "may"),
        ("false", "passes", "passes"),
        ("true", "refused", "refused"),
        // Values that are kept meanwhile.
        ("{ var c = CERT; if (c == null) return true; return !c.Verify(); }", "refused", "refused"),
        (
            "{ var c = CERT; if (c == null) { return true; } if (c.Verify()) { return false; } else { return true; } }",
            "refused",
            "refused",
        ),
        ("{ var ok = false; if (HAS-A) { ok = CERT.Verify(); } return !ok; }", "refused", "refused"),
        ("{ var ok = false; if (HAS-A) { ok = true; } return !ok; }", "may", "may"),
        ("{ var bad = CERT == null || !CERT.Verify(); return bad; }", "refused", "refused"),
        ("{ var bad = true; bad = CERT.Thumbprint == PIN; return bad; }", "passes", "refused"),
        ("{ var t = PIN; if (HAS-A) { t = \"B\"; } return CERT?.Thumbprint != t; }", "refused", "refused"),
        ("{ var t = PIN; if (HAS-A) { t = HEADER; } return CERT?.Thumbprint != t; }", "may", "refused"),
        ("{ var t = CERT?.Thumbprint; if (HAS-A) { t = PIN; } return t != PIN; }", "may", "may"),
        (
            "{ var c = STORE.Values.FirstOrDefault(x => x.Subject == CERT.Subject); return c == null || c.Thumbprint == PIN; }",
            "may",
            "refused",
        ),
        (
            "{ var c = STORE.Values.FirstOrDefault(x => x.Subject == CERT.Subject); return c == null || !c.Verify(); }",
            "may",
            "refused",
        ),
        ("{ if (HAS-A) { return false; } return CERT?.Thumbprint != PIN; }", "may", "may"),
    ];
    assert!(rows.len() >= 40);
    check(&rows, |code| {
        let code = if code.starts_with('{') { format!("@{code}") } else { format!("@({code})") };
        format!("<choose><when condition=\"{code}\">403</when></choose>")
    });
}

#[test]
fn document_proves_on_all_paths() {
    const VERIFIED: &str = "@(CERT != null && CERT.Verify())";
    let when = |code: &str, then: &str| format!("<when condition=\"@({code})\">{then}</when>");
    let choose = |whens: &str| format!("<choose>{whens}</choose>");
    let guard = choose(&when("CERT == null || !CERT.Verify()", "403"));
    let set = |value: &str| format!("<set-variable name='v' value=\"{value}\" />");
    let by_variable = choose(&when("!(bool)context.Variables[\"v\"]", "403"));
    let validate = "<validate-client-certificate validate-revocation='false' />";
    let identities = |claims: &str| {
        format!(
            "<validate-client-certificate validate-revocation='false' validate-trust='false'><identities>{claims}\
             </identities></validate-client-certificate>"
        )
    };
    let thumbprint = "<identity thumbprint='CA06F56B258B7A0D4F2B05470939478651151984' />";
    for (text, stranger, without_certificate) in [
        (set("a"), "passes", "passes"),
        (guard.clone(), "refused", "refused"),
        ("403".into(), "refused", "refused"),
        // Below 400 without_certificate is refused, and without_certificate comes to the backend.
        ("302".into(), "refused", "refused"),
        (choose(&when("HAS-A", &guard)), "may", "may"),
        (choose(&(when("HAS-A", &guard) + &format!("<otherwise>{guard}</otherwise>"))), "refused", "refused"),
        (
            choose(&(when("HAS-A", "403") + &when("CERT == null || !CERT.Verify()", "403"))),
            "refused",
            "refused",
        ),
        // The first branch lets through what the second one would refuse.
        (choose(&(when("HAS-A", "") + &when("CERT == null || !CERT.Verify()", "403"))), "may", "may"),
        (choose(&(when("CERT.Verify()", "") + "<otherwise>403</otherwise>")), "refused", "refused"),
        (choose(&(when("CERT?.Thumbprint == PIN", "") + "<otherwise>403</otherwise>")), "refused", "refused"),
        (
            choose(&(when("CERT == null", "") + &format!("<otherwise>{validate}</otherwise>"))),
            "refused",
            "passes",
        ),
        (set(VERIFIED) + &by_variable, "refused", "refused"),
        (set("@(HAS-A || CERT.Verify())") + &by_variable, "may", "may"),
        (set("@(false)") + &choose(&when("HAS-A", &set(VERIFIED))) + &by_variable, "refused", "refused"),
        (set("@(false)") + &choose(&when("HAS-A", &set("@(true)"))) + &by_variable, "may", "may"),
        (choose(&when("HAS-A", &set(VERIFIED))) + &by_variable, "refused", "refused"),
        (choose(&when("HAS-A", &set("@(true)"))) + &by_variable, "may", "may"),
        (by_variable.clone(), "refused", "refused"),
        (
            set(VERIFIED) + &choose(&when("!context.Variables.GetValueOrDefault<bool>(\"v\")", "403")),
            "refused",
            "refused",
        ),
        (
            set("@(CERT?.Verify() == true ? \"yes\" : \"no\")")
                + &choose(&when("(string)context.Variables[\"v\"] != \"yes\"", "403")),
            "refused",
            "refused",
        ),
        (
            set("@(CERT?.Verify() == true)")
                + &choose(&when("context.Variables[\"v\"].ToString() == \"False\"", "403")),
            "refused",
            "refused",
        ),
        (
            set("A, B")
                + &choose(&when(
                    "!((string)context.Variables[\"v\"]).Split(',').Any(t => t.Trim() == CERT.Thumbprint)",
                    "403",
                )),
            "refused",
            "refused",
        ),
        (
            set("@(HEADER)")
                + &choose(&when(
                    "!((string)context.Variables[\"v\"]).Split(',').Any(t => t.Trim() == CERT.Thumbprint)",
                    "403",
                )),
            "may",
            "refused",
        ),
        (
            set("@(CERT)") + &choose(&when("!((X509Certificate2)context.Variables[\"v\"]).Verify()", "403")),
            "refused",
            "refused",
        ),
        // Failing requests do not pass.
        ("<set-header name='a'><value>@(CERT.Subject)</value></set-header>".into(), "passes", "refused"),
        ("<set-variable name='a' value='@(STORE[CERT.Thumbprint].Subject)' />".into(), "refused", "refused"),
        (validate.into(), "refused", "refused"),
        (validate.replace("/>", "ignore-error='true' />"), "passes", "passes"),
        (identities(thumbprint), "refused", "refused"),
        (identities("<identity subject='CN=a' />"), "may", "refused"),
        (identities(&format!("{thumbprint}<identity subject='CN=a' />")), "may", "refused"),
        (identities("<identity subject='CN=a' issuer-certificate-id='a' />"), "refused", "refused"),
        (choose(&when("HAS-A", validate)), "may", "may"),
    ] {
        check(&[(&text, stranger, without_certificate)], ToOwned::to_owned);
    }
}

#[test]
fn base_document_runs_at_base_element() {
    let guard = "<choose><when condition=\"@(CERT?.Verify() != true)\">403</when></choose>";
    let above = load(guard);
    let flag =
        load("<choose><when condition='@((bool)context.Variables[\"v\"] != true)'>403</when></choose>");
    for (base, text, proves) in [
        (&above, "<base />", true),
        (&above, "<set-variable name='a' value='b' />", false),
        (&above, "<choose><when condition='true' /></choose><base />", true),
        (&flag, "<set-variable name='v' value='@(CERT.Verify())' /><base />", true),
        (&flag, "<set-variable name='v' value='@(true)' /><base />", false),
    ] {
        let trust = TrustAnchors::from_pem(Authority::root("a").pem()).unwrap();
        let builder =
            Document::builder().trust(trust).revocation(Revocation::Off).allow_unanchored().base(base);
        let document = builder.load(&filled(text)).unwrap();
        assert_eq!(document.summary().proves_certificate, proves, "{text}");
    }
}

#[test]
fn document_that_takes_too_long_proves_nothing() {
    const GUARD: &str = "<choose><when condition='@(CERT == null || !CERT.Verify())'>403</when></choose>";
    let mut above = load("<choose><when condition='@(HAS-A)' /></choose>");
    let load = |above: &Document, text: &str| {
        let trust = TrustAnchors::from_pem(Authority::root("a").pem()).unwrap();
        let builder =
            Document::builder().trust(trust).revocation(Revocation::Off).allow_unanchored().base(above);
        builder.load(&filled(text)).unwrap()
    };
    assert!(load(&above, &format!("<base />{GUARD}")).summary().proves_certificate);
    // Each runs the one above many times over.
    for _ in 0..5 {
        above = load(&above, &"<base />".repeat(40));
    }
    assert!(!load(&above, &format!("<base />{GUARD}")).summary().proves_certificate);
    assert!(load(&above, &format!("{GUARD}<base />")).summary().proves_certificate);
}
