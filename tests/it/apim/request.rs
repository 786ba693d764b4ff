//! Facts of a request in expressions.

use http::Request;
use tower_mtls::apim::RequestFacts;

use super::texts::*;
use super::world::{NOW, WORLD, request};

#[test]
fn headers_that_identify_the_caller_must_not_be_read() {
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

/// The value of a text expression for a request.
fn worth(code: &str, request: &Request<()>, remote: Option<&str>) -> String {
    let text = format!("<set-header name='x'><value>@({code})</value></set-header>");
    let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{code}: {errors}"));
    let presented = WORLD.certificate("orders");
    let facts = RequestFacts::new(request, &presented).with_remote(remote.map(|it| it.parse().unwrap()));
    let outcome = document.evaluate(&facts, NOW);
    let forward = outcome.forward().unwrap_or_else(|| panic!("{code}: {outcome:?}"));
    super::world::joined(forward.headers().unwrap(), "x").unwrap_or_default()
}

#[test]
fn url_is_not_chosen_by_the_caller() {
    for (uri, host, code, expected) in [
        // An absolute form over TLS, or `:scheme` in HTTP/2.
        ("http://api.contoso.com/", "", "Url.Scheme", "https"),
        ("https://api.contoso.com/", "", "Url.Scheme", "https"),
        ("/", "api.contoso.com", "Url.Scheme", "https"),
        ("http://api.contoso.com/a?b", "", "Url.ToString()", "https://api.contoso.com/a?b"),
        ("http://api.contoso.com/", "", "Url.Port.ToString()", "443"),
        ("http://api.contoso.com:80/", "", "Url.Port.ToString()", "80"),
        // One host in several spellings.
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
        // The path and its encoding are kept as sent.
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
fn values_that_grow_with_a_request_are_charged_before_allocation() {
    const A: &str = "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")";
    const B: &str = "context.Request.Headers.GetValueOrDefault(\"X-B\", \"\")";
    let copies = format!("new[] {{ {} }}.Length == 0", vec!["a"; 512].join(", "));
    for (code, length, stopped) in [
        // 32 KiB between each of 32,000 parts would be a gigabyte.
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
        // Copies of values derived from the request.
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
        let is_stopped = message.as_ref().is_some_and(|message| message.contains("limit on steps or memory"));
        assert_eq!(is_stopped, stopped, "{length}: {message:?}: {code}");
        assert!(started.elapsed().as_millis() < 500, "{length}: {:?}: {code}", started.elapsed());
    }
}

#[test]
fn address_has_one_form() {
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

#[test]
fn split_cookies_are_joined_to_one_field() {
    use super::world::NOW;
    use tower_mtls::apim::RequestFacts;
    let request = http::Request::get("/")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-list", "a")
        .header("x-list", "b")
        .body(())
        .unwrap();
    for (name, joined) in [("Cookie", "a=1; b=2"), ("X-List", "a,b")] {
        let text = format!(
            "<set-variable name='a' value='@(context.Request.Headers.GetValueOrDefault(\"{name}\", \"\"))' />"
        );
        let outcome = WORLD
            .load(&text)
            .unwrap()
            .evaluate(&RequestFacts::new(&request, &WORLD.certificate("none")), NOW);
        assert_eq!(outcome.forward().unwrap().variable("a"), Some(joined), "{name}");
    }
}
