//! `gateway check` and `gateway explain` with policy documents.

use std::{fs, path::Path, process::Command};

use super::world::*;
use crate::support::{Demo, check, gateway};

#[test]
fn check_reports_all_needs_of_a_document_at_once() {
    let demo = Demo::start();
    let broken = r#"<policies>
    <inbound>
        <rate-limit calls="10" renewal-period="60" />
        <choose>
            <when condition="@(context.Request.Certificate.Thumbprint == "aa06f56b258b7a0d4f2b05470939478651151984")" />
            <when condition="@(context.User.Id == "1")" />
        </choose>
        <authentication-certificate certificate-id="gone" />
        <authentication-certificate thumbprint="0000000000000000000000000000000000000000" />
    </inbound>
</policies>
"#;
    let config = write(&demo, &[("broken", broken), ("fine", EXPIRY)], "identity = \"orders\"");
    let (code, printed) = check(&config);
    assert_eq!(code, Some(1), "{printed}");
    for (line, column, word) in
        [(3, 9, "rate-limit"), (6, 40, "context.User"), (8, 37, "\"gone\""), (9, 37, "thumbprint 0000")]
    {
        let place = format!(
            ": routes[1].client_certificate.policy: \"broken.policy.xml\", line {line}, column {column}: "
        );
        let found = printed.lines().find(|found| found.contains(&place));
        assert!(found.is_some_and(|found| found.contains(word)), "{place}{word} in\n{printed}");
    }
    assert!(printed.contains(", line 5, column 32: a thumbprint is never equal to this"), "{printed}");
    let warning = ": warning: routes[2].client_certificate.policy: \"fine.policy.xml\", line ";
    assert!(printed.contains(warning) && printed.contains("a self-made certificate can pass"), "{printed}");
}

#[test]
fn route_without_an_identity_is_noted() {
    const CHOOSES: &str = r#"<authentication-certificate certificate-id="orders" />"#;
    const NOTE: &str = "chooses an identity: the upstream is called anonymously";
    let demo = Demo::start();
    for (document, route, is_noted) in
        [(CHAIN_TODAY, "", true), (CHAIN_TODAY, "identity = \"orders\"", false), (CHOOSES, "", false)]
    {
        let (code, printed) = check(&write(&demo, &[("d", document)], route));
        assert_eq!(code, Some(0), "{printed}");
        let place = ": note: routes[1].client_certificate.policy: neither the route nor \"d.policy.xml\" ";
        assert_eq!(printed.contains(&format!("{place}{NOTE}")), is_noted, "{route}\n{printed}");
    }
}

#[test]
fn elements_without_effect_are_reported() {
    let demo = Demo::start();
    for (case, document, expected) in [
        (
            "a document above",
            VALIDATE,
            ": note: routes[1].client_certificate.policy: \"d.policy.xml\", line 3, column 9: <base /> has no effect \
             here; copy the policies of the product and of all APIs\n",
        ),
        (
            "callers in the store",
            STORE,
            "only identities for backends (\"billing\", \"caller\", \"orders\"); add [store] and upload callers' certificates\n",
        ),
        ("nothing", CHAIN_TODAY, ""),
    ] {
        let (code, printed) = check(&write(&demo, &[("d", document)], "identity = \"orders\""));
        assert_eq!(code, Some(0), "{case}: {printed}");
        let reported = ["<base /> has no effect", "only identities for backends"];
        let reported = reported.iter().filter(|reported| printed.contains(**reported)).count();
        assert!(
            reported == usize::from(case != "nothing") && printed.contains(expected),
            "{case}: {printed}"
        );
    }
}

#[test]
fn conflicts_of_document_and_file_are_reported() {
    let demo = Demo::start();
    let good = fs::read_to_string(write(&demo, &[("d", CHAIN_TODAY)], "identity = \"orders\"")).unwrap();
    let upstream = format!("{}/api", upstreams(&demo)[0]);
    let plain = r#"<set-backend-service base-url="http://localhost:1" />"#;
    let identity = r#"<authentication-certificate certificate-id="orders" />"#;
    for (case, document, from, to, expected) in [
        (
            "revocation is not stated",
            CHAIN_TODAY,
            "revocation = \"off\"",
            "",
            "; write revocation = \"soft\" with crl = [\"FILE\"] or crl_url = [\"https://...\"], or revocation = \"off\", in \
             [trust.partners], or call VerifyNoRevocation() or write validate-revocation=\"false\" in the document",
        ),
        (
            "no trust",
            CHAIN_TODAY,
            "trust = \"partners\", ",
            "",
            "none are configured; write trust = \"partners\" beside policy\n",
        ),
        (
            "a timeout",
            "<policies><backend><forward-request timeout=\"60\" /></backend></policies>",
            "\"orders\"",
            "\"orders\"",
            "is not supported; remove it, and write first_byte_timeout in [routes.limits]",
        ),
        (
            "an identity that is not there",
            "<authentication-certificate certificate-id=\"order\" />",
            "\"orders\"",
            "\"orders\"",
            "id \"order\"; write the name of one of [identities] (billing, caller, orders), or add it there",
        ),
        (
            "concurrency",
            "<limit-concurrency key=\"a\" max-count=\"3\" />",
            "\"orders\"",
            "\"orders\"",
            "<limit-concurrency> is not supported here; write max_requests in [routes.limits]",
        ),
        (
            "a broken set of CAs does not hide what else is wrong",
            "<trace /><choose><when condition=\"@(context.Request.Certificate.Verify())\" /></choose>",
            "partners-ca.pem",
            "client.key",
            "<trace> is not supported here",
        ),
        (
            "another rule",
            CHAIN_TODAY,
            "policy =",
            "issuer = [\"CN=a\"], policy =",
            "client_certificate.issuer: has no effect beside policy",
        ),
        (
            "validity",
            CHAIN_TODAY,
            "policy =",
            "validity = true, policy =",
            "client_certificate.validity: has no effect beside policy",
        ),
        (
            "trust beside a document that asks for no chain",
            EXPIRY,
            "\"orders\"",
            "\"orders\"",
            "routes[1].client_certificate.trust: has no effect: \"d.policy.xml\" never requires a chain; remove trust, or call ",
        ),
        ("no file", CHAIN_TODAY, "d.policy.xml", "e.policy.xml", "policy: \"e.policy.xml\" cannot be read"),
        ("no XML", "<choose>", "\"orders\"", "\"orders\"", "\"d.policy.xml\", line 1, column"),
        (
            "an identity over http",
            plain,
            "\"orders\"",
            "\"orders\"",
            "the route's identity cannot be presented over http; write an https base-url",
        ),
        (
            "a name that nothing proves",
            EXPIRY,
            "identity = \"orders\"",
            "identity_by = { claim = \"common_name\", identities = { a = \"orders\" } }",
            "proves no certificate, so callers could choose any identity",
        ),
        (
            "an identity for an http upstream",
            identity,
            "identity = \"orders\"",
            "",
            "cannot be presented to an http upstream",
        ),
    ] {
        assert!(good.contains(from), "{case}");
        let mut text = good.replacen(from, to, 1);
        if case.ends_with("http upstream") {
            text = text.replace(&upstream, "http://localhost:1");
        }
        fs::write(demo.dir().join("d.policy.xml"), document).unwrap();
        fs::write(demo.dir().join("case.toml"), text).unwrap();
        let (code, printed) = check(&demo.dir().join("case.toml"));
        assert_eq!(code, Some(1), "{case}: {printed}");
        assert!(printed.contains(expected), "{case}: {expected} in\n{printed}");
        // Consequences of another error are not reported, and no remedy is printed twice.
        let needs_trust = printed.contains("needs trusted roots") == case.starts_with("no trust");
        assert!(needs_trust && printed.matches("revocation = \"off\"").count() < 2, "{case}: {printed}");
    }
}

#[test]
fn explain_shows_the_decision_of_a_document_for_a_certificate() {
    let demo = Demo::start();
    let unguarded = EXPIRY.replace("context.Request.Certificate == null || ", "");
    let address = EXPIRY
        .replace("context.Request.Certificate == null", "context.Request.IpAddress == \"192.0.2.1\"")
        .replace("403", "410");
    let documents =
        [("expiry", EXPIRY), ("routing", ROUTING), ("unguarded", &unguarded), ("address", &address)];
    let config = write(&demo, &documents, "identity = \"orders\"");
    let explain = |route: &str, certificate: &str, more: &[&str]| {
        let output = explaining(&config, route, &demo.dir(), certificate).args(more).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for (route, certificate, more, code, expected) in [
        (
            "/expiry",
            "client",
            &[][..],
            0,
            "forwarded; certificate admitted, unproven: the document also admits self-made",
        ),
        ("/routing", "client", &[], 0, "forwarded; certificate admitted"),
        (
            "/expiry",
            "expired",
            &[],
            2,
            "response: 403 Invalid client certificate by return-response on line 3",
        ),
        ("/expiry", "client", &["--at", "2050-01-01T00:00:00Z"], 2, "NotAfter"),
        ("/routing", "stranger", &[], 2, "response: 401 Who are you?"),
        (
            "/routing",
            "stranger",
            &[],
            2,
            "no valid chain: no root or presented certificate issued CA \"CN=Strangers CA,O=Elsewhere\"",
        ),
        ("/expiry", "", &[], 2, "true: context.Request.Certificate == null"),
        ("/unguarded", "", &[], 2, "response: 500 by when on line 2: ExpressionValueEvaluationFailure"),
        (
            "/routing",
            "client",
            &["--header", "X-Region: west"],
            0,
            "backend identity: the certificate with the id billing",
        ),
        ("/address", "client", &["--remote", "192.0.2.1"], 2, "response: 410"),
        ("/address", "client", &["--remote", "192.0.2.2"], 0, "(found: \"192.0.2.2\")"),
        ("/address", "client", &[], 0, "(found: null)"),
        (
            "/routing/42",
            "client",
            &[],
            0,
            "sets header x-client-cert-subject: \"CN=orders-client, O=Contoso\"",
        ),
    ] {
        let (exit, printed) = explain(route, certificate, more);
        assert_eq!(exit, Some(code), "{route} {certificate} {more:?}: {printed}");
        assert!(printed.contains(expected), "{route} {certificate} {more:?}: {printed}");
    }
}

fn explaining(config: &Path, route: &str, dir: &Path, certificate: &str) -> Command {
    let mut command = gateway();
    command.args(["explain", "--route", route, "--config"]).arg(config);
    match certificate {
        "" => command.arg("--no-certificate"),
        name => command.arg("--certificate").arg(dir.join(format!("{name}.pem"))),
    };
    command
}
