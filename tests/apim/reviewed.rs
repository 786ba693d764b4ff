//! What a reviewer found, once and for all.

use http::Request;
use tower_mtls::apim::{DocumentDecision, FindingKind, RequestFacts};

use crate::world::{NOW, WORLD, evaluate, request};

fn admits(text: &str) -> bool {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    match evaluate(&document, &WORLD.certificate("lone")) {
        DocumentDecision::Forward(forward) => forward.admits(),
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
        // To be admitted is to have been judged. None of these refuses everyone else.
        assert!(!WORLD.load(&text).unwrap().summary().proves_certificate, "{text}");
    }
    assert!(WORLD.load(PROVEN).unwrap().summary().proves_certificate);
    // In on-error nobody is let in any more.
    let late = format!(
        "<policies><inbound /><on-error><choose>{}</choose></on-error></policies>",
        when(IS_ORDERS, &answer(403))
    );
    assert!(!WORLD.load(&late).unwrap().summary().proves_certificate);
}

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
        // A few digits of a thumbprint are found by trying.
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
fn callers_do_not_choose_through_the_document_above_either() {
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
        // The document above copies, this one chooses.
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
fn a_missing_time_span_is_zero() {
    let code = "context.Variables.GetValueOrDefault<TimeSpan>(\"left\") <= TimeSpan.FromDays(1)";
    let document = WORLD.load(&format!("<choose>{}</choose>", when(code, &answer(403)))).unwrap();
    assert!(evaluate(&document, &WORLD.certificate("orders")).response().is_some_and(|it| it.is_rejection()));
}

#[test]
fn a_comment_ends_with_its_line() {
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
fn shadow_sends_nothing_as_somebody_that_was_not_chosen() {
    for element in [
        "<authentication-certificate certificate-id='@((string)context.Variables[\"v\"])' />",
        "<set-backend-service base-url='@((string)context.Variables[\"v\"])' />",
    ] {
        for text in [element.to_owned(), format!("<choose><when condition='true'>{element}</when></choose>")]
        {
            let presented = WORLD.certificate("orders");
            let request = request();
            let facts = RequestFacts::new(&request, &presented);
            let outcome = WORLD.load(&text).unwrap().evaluate_shadow(&facts, NOW);
            assert_eq!(outcome.response().unwrap().status(), 500, "{text}");
        }
    }
}

#[test]
fn an_identity_is_printed_in_one_short_line() {
    let text = format!("<authentication-certificate certificate-id='@(\"a\\nb{}\")' />", "c".repeat(100));
    let outcome = evaluate(&WORLD.load(&text).unwrap(), &WORLD.certificate("orders"));
    let printed = outcome.forward().unwrap().forwarding().identity().unwrap().to_string();
    assert_eq!(printed, format!("the certificate with the id a\\nb{}", "c".repeat(61)));
}

#[test]
fn only_what_is_asked_of_the_callers_own_thumbprint_proves_it() {
    const CALLER: &str = "context.Request.Certificate";
    const STORE: &str = "context.Deployment.Certificates";
    for (code, proves) in [
        (format!("{CALLER}.Thumbprint != \"CA06F56B258B7A0D4F2B05470939478651151984\""), true),
        (format!("{CALLER}?.Thumbprint != \"CA06F56B258B7A0D4F2B05470939478651151984\""), true),
        (format!("!{STORE}.Any(c => c.Value.Thumbprint == {CALLER}.Thumbprint)"), true),
        (format!("!{STORE}.Keys.Contains({CALLER}.Thumbprint)"), true),
        (format!("!{STORE}.ContainsKey({CALLER}.Thumbprint)"), true),
        (format!("{STORE}.Values.FirstOrDefault(c => c.Thumbprint == {CALLER}.Thumbprint) == null"), true),
        // Every certificate has a thumbprint.
        (format!("{CALLER}.Thumbprint == null"), false),
        (format!("{CALLER}?.Thumbprint == null"), false),
        (format!("{CALLER}.Thumbprint == \"\""), false),
        (format!("string.IsNullOrEmpty({CALLER}.Thumbprint)"), false),
        // What the store holds says nothing of the caller.
        (format!("{CALLER} == null || !{STORE}.Any()"), false),
        (format!("{CALLER} == null || {STORE}.Count() == 0"), false),
        (format!("!{STORE}.Any(c => c.Value.Subject == {CALLER}.Subject)"), false),
        (
            format!(
                "{CALLER} == null || \
                 !{STORE}.Any(c => c.Value.Thumbprint == \"CA06F56B258B7A0D4F2B05470939478651151984\")"
            ),
            false,
        ),
        (
            format!("{CALLER} == null || !{STORE}.ContainsKey(\"CA06F56B258B7A0D4F2B05470939478651151984\")"),
            false,
        ),
    ] {
        let text = format!("<choose>{}</choose>", when(&code, &answer(403)));
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert_eq!(document.summary().proves_certificate, proves, "{code}");
    }
}

#[test]
fn no_header_that_tells_who_the_caller_is_may_be_read() {
    for name in [
        "X-SSL-Client-S-DN",
        "X_Client_Cert",
        "X-Forwarded-User",
        "REMOTE-USER",
        "X-MS-CLIENT-PRINCIPAL-NAME",
        "X-Auth-Request-Email",
        "X-Client-Verify",
    ] {
        let read = format!("context.Request.Headers.GetValueOrDefault(\"{name}\", \"\") != \"orders\"");
        let text = format!("<choose>{}</choose>", when(&read, &answer(403)));
        let errors = WORLD.load(&text).expect_err(name);
        assert!(errors.to_string().contains("proves nothing"), "{errors}");
    }
    let other = when("context.Request.Headers.GetValueOrDefault(\"X-Tenant\", \"\") != \"a\"", &answer(403));
    assert!(WORLD.load(&format!("<choose>{other}</choose>")).is_ok());
}

/// What an expression for a text is worth for a request.
fn worth(code: &str, request: &Request<()>, remote: Option<&str>) -> String {
    let text = format!("<set-header name='x'><value>@({code})</value></set-header>");
    let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{code}: {errors}"));
    let presented = WORLD.certificate("orders");
    let facts = RequestFacts::new(request, &presented).with_remote(remote.map(|it| it.parse().unwrap()));
    let outcome = document.evaluate(&facts, NOW);
    let forward = outcome.forward().unwrap_or_else(|| panic!("{code}: {outcome:?}"));
    crate::world::joined(forward.headers().unwrap(), "x").unwrap_or_default()
}

#[test]
fn a_caller_does_not_write_what_its_url_is() {
    for (uri, host, code, expected) in [
        // An absolute form over TLS, or the `:scheme` of HTTP/2.
        ("http://api.contoso.com/", "", "Url.Scheme", "https"),
        ("https://api.contoso.com/", "", "Url.Scheme", "https"),
        ("/", "api.contoso.com", "Url.Scheme", "https"),
        ("http://api.contoso.com/a?b", "", "Url.ToString()", "https://api.contoso.com/a?b"),
        ("http://api.contoso.com/", "", "Url.Port.ToString()", "443"),
        ("http://api.contoso.com:80/", "", "Url.Port.ToString()", "80"),
        // One host, however it is written.
        ("/", "ADMIN.contoso.com", "Url.Host", "admin.contoso.com"),
        ("/", "admin.contoso.com.", "Url.Host", "admin.contoso.com"),
        ("/", "Admin.Contoso.com.:443", "Url.Host", "admin.contoso.com"),
        ("/", "admin.contoso.com..", "Url.Host", "admin.contoso.com."),
        ("https://ADMIN.contoso.com./", "", "OriginalUrl.Host", "admin.contoso.com"),
        ("/", "[FE80::1]:8443", "Url.Host", "[fe80::1]"),
        ("/", "", "Url.Host", ""),
        ("/a", "ADMIN.contoso.com.:443", "Url.ToString()", "https://admin.contoso.com/a"),
        ("/a", "admin.contoso.com:8443", "Url.ToString()", "https://admin.contoso.com:8443/a"),
        ("/a", "user@admin.contoso.com", "Url.ToString()", "https://admin.contoso.com/a"),
        // The path stands as it was sent, and so do its encodings.
        ("/%61dmin/..;/A?q=%61", "h", "Url.Path", "/%61dmin/..;/A"),
        ("/%61dmin/..;/A?q=%61", "h", "Url.QueryString", "?q=%61"),
    ] {
        let mut request = Request::get(uri);
        if !host.is_empty() {
            request = request.header("host", host);
        }
        let found = worth(&format!("context.Request.{code}"), &request.body(()).unwrap(), None);
        assert_eq!(found, expected, "{uri} {host} {code}");
    }
}

#[test]
fn what_a_request_makes_grow_is_charged_before_it_is_made() {
    const A: &str = "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")";
    const B: &str = "context.Request.Headers.GetValueOrDefault(\"X-B\", \"\")";
    let copies = format!("new[] {{ {} }}.Length == 0", vec!["a"; 512].join(", "));
    for (code, length, stopped) in [
        // 32 KiB between each of 32,000 would be a gigabyte.
        (format!("@(string.Join({A}, {B}.Split(',')).Length == 0)"), 32_000, true),
        (format!("@(string.Join({A}, {B}.Split(',')).Length == 0)"), 50, false),
        (format!("@({B}.Split(',').Length == 0)"), 9_000, true),
        (
            format!("@({B}.Split(new[] {{','}}, StringSplitOptions.RemoveEmptyEntries).Length == 0)"),
            9_000,
            false,
        ),
        (format!("@({B}.Split(\",\").Length == 0)"), 9_000, true),
        (format!("@({B}.Split(\",\", StringSplitOptions.RemoveEmptyEntries).Length == 0)"), 9_000, false),
        // Copies of what was made of the request.
        (format!("@{{ var a = {A}; return {copies}; }}"), 4_000, true),
        (format!("@{{ var a = {A}; return {copies}; }}"), 200, false),
        (
            format!("@{{ var a = {A}.Split(','); return {}; }}", copies.replace("a,", "a[0],"))
                .replace("a }", "a[0] }"),
            4_000,
            true,
        ),
        (
            format!(
                "@({})",
                copies.replace("a,", "(string)context.Variables[\"v\"],").replace("a }", "\"\" }")
            ),
            4_000,
            true,
        ),
        (
            format!(
                "@({})",
                copies.replace("a,", "(string)context.Variables[\"v\"],").replace("a }", "\"\" }")
            ),
            200,
            false,
        ),
    ] {
        let text = format!(
            "<set-variable name='v' value='@({A})' /><choose><when condition=\"{code}\">{}</when></choose>",
            answer(403)
        );
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{code}: {errors}"));
        let request =
            Request::get("https://h/").header("x-a", "a".repeat(length)).header("x-b", ",".repeat(length));
        let (request, presented) = (request.body(()).unwrap(), WORLD.certificate("none"));
        let started = std::time::Instant::now();
        let outcome = document.evaluate(&RequestFacts::new(&request, &presented), NOW);
        let message = outcome.response().map(|answer| answer.message().to_owned());
        let is_stopped = message.as_ref().is_some_and(|message| message.contains("more steps or memory"));
        assert_eq!(is_stopped, stopped, "{length}: {message:?}: {code}");
        assert!(started.elapsed().as_millis() < 500, "{length}: {:?}: {code}", started.elapsed());
    }
}

#[test]
fn no_message_repeats_what_may_be_a_key() {
    // Base64 whose beginning may be told, and whose end may not.
    let key = format!("MIIK{}SECRET", "abcdEFGH1234".repeat(40));
    let attribute =
        |value: &str| format!("<authentication-certificate body='@({value})' password='hunter2' />");
    let when = |code: &str| format!("<choose><when condition='@({code})' /></choose>");
    for text in [
        // Errors in body, of every kind of token.
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
        let told = errors.iter().map(ToString::to_string).chain(errors.warnings().iter().map(ToString::to_string));
        for told in told {
            for secret in ["SECRET", "hunter2", &key[..64]] {
                assert!(!told.contains(secret), "{text}: {told}");
            }
        }
    }
}

#[test]
fn a_number_in_a_variable_keeps_its_type() {
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

#[test]
fn a_header_that_tells_where_from_is_warned_of() {
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
            let is_warned =
                document.warnings().iter().any(|it| it.message().contains("written by whoever sends"));
            assert_eq!(is_warned, is_claim, "{code}");
        }
    }
}

#[test]
fn an_address_has_one_form() {
    for (remote, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::1", "::1"),
    ] {
        assert_eq!(worth("context.Request.IpAddress", &request(), Some(remote)), expected, "{remote}");
    }
}

const CHOOSE: &str = "<authentication-certificate certificate-id=\"@(context.Request.Certificate.GetNameInfo(\
                      X509NameType.SimpleName, false))\" />";

fn filled(code: &str) -> String {
    code.replace("CERT", "context.Request.Certificate")
        .replace("STORE", "context.Deployment.Certificates")
        .replace("PIN", "\"CA06F56B258B7A0D4F2B05470939478651151984\"")
}

fn refusing(code: &str) -> String {
    let code = if code.starts_with('{') { format!("@{code}") } else { format!("@({code})") };
    format!("<choose><when condition=\"{}\">{}</when></choose>", filled(&code), answer(403))
}

#[test]
fn to_mention_a_chain_or_a_thumbprint_proves_nothing() {
    let local = "{ var c = STORE.Values.FirstOrDefault(x => x.Subject == CERT.Subject); return c == null || c.Thumbprint \
                 == PIN; }";
    for code in [
        "CERT == null || CERT.Thumbprint.Length != 40",
        "CERT == null || CERT.Thumbprint != context.Request.Headers.GetValueOrDefault(\"X-Thumb\", \"\")",
        "CERT == null || CERT.Thumbprint != CERT.Thumbprint",
        "CERT == null || CERT.Thumbprint == PIN",
        "CERT == null || CERT.VerifyNoRevocation()",
        "CERT == null || CERT.VerifyNoRevocation() && false",
        "CERT == null || (context.Request.Headers.ContainsKey(\"X-Strict\") && !CERT.VerifyNoRevocation())",
        "CERT == null || !CERT.Thumbprint.EndsWith(\"94A6\", StringComparison.Ordinal)",
        local,
        "CERT == null || CERT.GetCertHashString().Trim() == \"\"",
        "CERT == null && CERT.Thumbprint != \"X\"",
        "CERT == null || (CERT.Issuer != \"CN=a\" && !CERT.Verify())",
    ] {
        for element in [CHOOSE, "<set-backend-service base-url='@(\"https://\" + CERT.Subject)' />"] {
            let text = format!("{}{}", refusing(code), filled(element));
            let errors = WORLD.load(&text).expect_err(&text).to_string();
            assert!(errors.contains("the caller would choose this"), "{text}: {errors}");
        }
    }
    for code in
        ["CERT == null || !CERT.Verify()", "CERT?.Thumbprint != PIN", "!STORE.ContainsKey(CERT.Thumbprint)"]
    {
        let text = format!("{}{CHOOSE}", refusing(code));
        assert!(WORLD.load(&text).is_ok(), "{text}");
    }
}

#[test]
fn a_choice_is_proved_on_every_way_to_it() {
    let strict = |inside: &str| when("context.Request.Headers.ContainsKey(\"X-Strict\")", inside);
    let verified = |inside: &str| when("context.Request.Certificate.VerifyNoRevocation()", inside);
    let guard = refusing("CERT == null || !CERT.VerifyNoRevocation()");
    let choose = |inside: &str| format!("<choose>{inside}</choose>");
    for (text, is_error) in [
        // Demanded only of those who ask for it.
        (choose(&strict(&guard)) + CHOOSE, true),
        (choose(&strict(&(guard.clone() + CHOOSE))), false),
        (choose(&(strict(&guard) + &format!("<otherwise>{CHOOSE}</otherwise>"))), true),
        (choose(&(strict(CHOOSE) + &format!("<otherwise>{guard}</otherwise>"))), true),
        // Others may pass, who choose nothing.
        (choose(&verified(CHOOSE)), false),
        (choose(&(verified("") + &format!("<otherwise>{CHOOSE}</otherwise>"))), true),
        (choose(&(verified("") + &format!("<otherwise>{}</otherwise>", answer(403)))) + CHOOSE, false),
        (choose(&(verified("") + &format!("<otherwise>{}</otherwise>", answer(302)))) + CHOOSE, false),
        // What is refused later chooses nothing either.
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

const NOBODY: &str = "requests without a certificate pass";

/// Whether callers without a certificate pass for certain, and whether a self-made one may be admitted.
fn warned(text: &str) -> [bool; 2] {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    let nobody = document.warnings().iter().any(|it| it.message().starts_with(NOBODY));
    let stranger = document.warnings().iter().any(|it| it.kind() == FindingKind::Unanchored);
    assert_eq!(stranger, !document.summary().is_anchored, "{text}");
    [nobody, stranger]
}

#[test]
fn who_passes_is_warned_of() {
    for (code, nobody, stranger) in [
        ("CERT != null && CERT.Thumbprint != PIN", true, false),
        ("CERT?.NotAfter < DateTime.Now", true, true),
        ("CERT?.Subject == \"CN=a\"", true, true),
        ("CERT == null || CERT.Thumbprint == PIN", false, true),
        ("CERT == null || CERT.Thumbprint.Length != 40", false, true),
        ("CERT == null || CERT.VerifyNoRevocation()", false, true),
        ("CERT == null && CERT.Thumbprint != PIN", false, true),
        ("CERT == null && !CERT.Verify()", false, true),
        ("CERT != null && CERT.Verify()", true, true),
        ("CERT == null || CERT.Thumbprint.Substring(36) != \"94A6\"", false, true),
        ("context.Request.Method != \"GET\" && CERT == null", false, true),
        ("CERT == null", false, true),
        ("CERT == null || CERT.Issuer != \"CN=a\"", false, true),
        // None.
        ("CERT == null || !CERT.Verify()", false, false),
        ("CERT?.Thumbprint != PIN", false, false),
        // A GET passes, and nothing is admitted.
        ("context.Request.Method == \"PUT\" && CERT?.Thumbprint != PIN", false, false),
    ] {
        assert_eq!(warned(&refusing(code)), [nobody, stranger], "{code}");
    }
    // Whoever has none is let in on purpose.
    let public = when(
        "context.Request.Certificate == null",
        "<set-header name='x'><value>public</value></set-header>",
    );
    let text = format!("<choose>{public}<otherwise><validate-client-certificate /></otherwise></choose>");
    assert_eq!(warned(&text), [false, false]);
    // The place is that of the condition that lets them off.
    let text = format!("\n\n{}", refusing("CERT != null && CERT.Thumbprint != PIN"));
    let document = WORLD.load(&text).unwrap();
    let warning = document.warnings().iter().find(|it| it.message().starts_with(NOBODY)).unwrap();
    assert_eq!((warning.line(), warning.column()), (3, 9));
}

#[test]
fn no_document_of_the_described_uses_is_warned_of_by_mistake() {
    let (mut nobody, mut stranger) = (Vec::new(), Vec::new());
    for (name, text) in crate::corpus::documents() {
        let [passes_nobody, passes_stranger] = warned(&text);
        nobody.extend(passes_nobody.then(|| name.clone()));
        stranger.extend(passes_stranger.then_some(name));
    }
    assert_eq!(nobody, Vec::<String>::new());
    assert_eq!(stranger, UNPROVEN);
    let snippets: Vec<_> = crate::snippets::all().iter().map(|snippet| warned(snippet)).collect();
    let [expiry, names, others @ ..] = snippets.as_slice() else { panic!("{snippets:?}") };
    assert_eq!([expiry, names], [&[false, true]; 2]);
    assert!(others.iter().all(|warned| *warned == [false, false]), "{snippets:?}");
}

/// Documents of the described uses that admit self-made certificates.
const UNPROVEN: [&str; 7] = [
    "any_certificate",
    "days_left",
    "environment_by_query",
    "escaped_xml",
    "expiry",
    "validity_both_ends",
    "writes_need_a_certificate",
];

#[test]
fn shadow_sends_nobody_as_somebody_that_a_refused_request_did_not_get() {
    let certificate = "context.Request.Certificate";
    let choose = |inside: &str| format!("<choose>{inside}</choose>");
    let a = "<authentication-certificate certificate-id='a' />";
    let b = "<set-backend-service base-url='https://b' />";
    let otherwise = |inside: &str| format!("<otherwise>{inside}</otherwise>");
    let is_nobody = |inside: &str| when(&format!("{certificate} == null"), inside);
    let is_a = |inside: &str| when(&format!("{certificate}.Subject == \"CN=a\""), inside);
    let set = format!("<set-variable name='v' value='@({certificate}.Thumbprint)' />");
    let by_variable = "<authentication-certificate certificate-id='@(context.Variables.GetValueOrDefault<string>(\"v\", \"admin\"))' />";
    let guard = refusing("CERT == null || !CERT.VerifyNoRevocation()");
    let validate = "<validate-client-certificate />";
    for (text, caller, expected) in [
        // It is not known what would have been chosen.
        (
            choose(&(is_a(a) + &otherwise("<authentication-certificate certificate-id='public' />"))),
            "none",
            "500",
        ),
        (choose(&(is_a(b) + &otherwise("<set-backend-service base-url='https://c' />"))), "none", "500"),
        (format!("{set}{by_variable}"), "none", "500"),
        (choose(&is_a("<set-header name='x'><value>y</value></set-header>")) + a, "none", "500"),
        // Whoever passes gets a choice that whoever is refused does not.
        (choose(&(is_nobody(&answer(403)) + &otherwise(a))), "none", "403"),
        (choose(&(is_nobody(&answer(403)) + &otherwise(b))), "none", "403"),
        (a.to_owned() + &choose(&(is_nobody(&answer(403)) + &otherwise(&format!("{a}{b}")))), "none", "403"),
        (choose(&(is_nobody(&(answer(403) + a)) + &otherwise(&format!("{a}{b}")))), "none", "403"),
        (choose(&(is_nobody(&choose(&is_nobody(&answer(403)))) + &otherwise(a))), "none", "403"),
        // What a certificate says that nothing has proved.
        (format!("{guard}{CHOOSE}"), "lone", "403"),
        (format!("{CHOOSE}{guard}"), "lone", "403"),
        (format!("{CHOOSE}{validate}"), "lone", "401"),
        (format!("{CHOOSE}{guard}"), "orders", "passes"),
        // A header or an answer that fails decides nothing: what the caller wrote there is gone.
        (
            format!("<set-header name='x'><value>@({certificate}.Subject)</value></set-header>{a}"),
            "none",
            "passes",
        ),
        (
            choose(&is_nobody(&format!(
                "<return-response><set-body>@({certificate}.Subject)</set-body></return-response>{a}"
            ))),
            "none",
            "passes",
        ),
        (
            choose(
                &(is_nobody(&format!(
                    "<return-response><set-body>@({certificate}.Subject)</set-body></return-response>"
                )) + &otherwise(a)),
            ),
            "none",
            "500",
        ),
        // The rest goes on, with what the document chooses for everyone.
        (format!("{guard}{a}{b}"), "lone", "passes"),
        (format!("{guard}{a}{b}"), "none", "passes"),
        (format!("{validate}{a}"), "none", "passes"),
        (choose(&(is_nobody(&(answer(403) + a)) + &otherwise(a))), "none", "passes"),
        (choose(&(is_nobody(&answer(403)) + &otherwise(""))) + a, "none", "passes"),
        (choose(&(is_nobody("") + &otherwise(a))), "none", "passes"),
        (choose(&is_a("<set-header name='x'><value>y</value></set-header>")), "none", "passes"),
        (
            format!(
                "<policies><inbound>{a}</inbound><backend><base /></backend><outbound>{set}</outbound></policies>"
            ),
            "none",
            "passes",
        ),
    ] {
        let presented = WORLD.certificate(caller);
        let request = request();
        let facts = RequestFacts::new(&request, &presented);
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let outcome = document.evaluate_shadow(&facts, NOW);
        let found =
            outcome.response().map_or_else(|| "passes".into(), |answer| answer.status().as_u16().to_string());
        assert_eq!(found, expected, "{text}: {outcome:?}");
    }
}

#[test]
fn what_a_guard_of_texts_and_numbers_proves_is_what_it_refuses() {
    let chosen = "<authentication-certificate \
                  certificate-id='@(context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false))' />";
    let refuses = "<return-response><set-status code=\"403\" /></return-response>";
    for guard in [
        // A space is not empty.
        format!(
            "<set-variable name='sep' value=' ' /><choose><when condition='@(string.IsNullOrEmpty((string)context.Variables[\"sep\"]))'>{refuses}</when></choose>"
        ),
        // What is null stays null as another number.
        format!(
            "<choose><when condition='@{{Nullable&lt;double> n = context.Request.Headers.GetValueOrDefault(\"X-A\", null)?.Length; return n == null;}}'><set-variable name='x' value='y' /></when><otherwise>{refuses}</otherwise></choose>"
        ),
    ] {
        let errors = WORLD.load(&format!("{guard}{chosen}")).unwrap_err().to_string();
        assert!(errors.contains("the caller would choose"), "{guard}: {errors}");
        assert!(!WORLD.load(&guard).unwrap().summary().proves_certificate, "{guard}");
    }
}

#[test]
fn a_part_of_a_thumbprint_chooses_nothing() {
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
fn a_document_above_that_decides_by_variables_runs_once() {
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
