//! What a reviewer found, once and for all.

use http::Request;
use tower_mtls::apim::{Outcome, RequestFacts};

use crate::world::{NOW, WORLD, evaluate, request};

fn admits(text: &str) -> bool {
    let document = WORLD.load(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    match evaluate(&document, &WORLD.certificate("lone")) {
        Outcome::Forward(forward) => forward.admits(),
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
        let document = WORLD.load(&text).unwrap();
        assert_eq!(document.proves_certificate(), admitted, "{text}");
    }
    assert!(WORLD.load(PROVEN).unwrap().proves_certificate());
    // In on-error nobody is let in any more.
    let late = format!(
        "<policies><inbound /><on-error><choose>{}</choose></on-error></policies>",
        when(IS_ORDERS, &answer(403))
    );
    assert!(!WORLD.load(&late).unwrap().proves_certificate());
}

#[test]
fn callers_choose_neither_identity_nor_back_end() {
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
    assert!(evaluate(&document, &WORLD.certificate("orders")).answer().is_some_and(|it| it.refuses()));
}

#[test]
fn a_comment_ends_with_its_line() {
    for end in ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
        let code =
            format!("context.Request.Certificate == null // none{end} || context.Request.Method == \"GET\"");
        let document = WORLD.load(&format!("<choose>{}</choose>", when(&code, &answer(403)))).unwrap();
        let outcome = evaluate(&document, &WORLD.certificate("orders"));
        assert!(outcome.answer().is_some(), "{end:?}: {outcome:?}");
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
            assert_eq!(outcome.answer().unwrap().status(), 500, "{text}");
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
        assert_eq!(document.proves_certificate(), proves, "{code}");
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
