//! What `gateway demo` prints: `curl` lines to paste.

use std::fmt::Write;
use std::path::Path;

/// One call: the status to expect, why, the HTTP version, the stem of the caller's certificate, the path.
type Call = (u16, &'static str, Http, Option<&'static str>, &'static str);

/// Which HTTP version `curl` is told to speak.
#[derive(Clone, Copy, Debug)]
enum Http {
    One,
    Two,
}

/// The calls that are let in.
const LET_IN: [Call; 5] = [
    (200, "the upstream saw CN=orders-gateway", Http::One, Some("client"), "/orders"),
    (200, "the same over HTTP/2", Http::Two, Some("client"), "/orders"),
    (200, "the same upstream saw CN=billing-gateway", Http::One, Some("client"), "/billing"),
    (200, "the same over HTTP/2", Http::Two, Some("client"), "/billing"),
    (200, "this route needs no certificate", Http::One, None, "/open"),
];

/// The calls that are refused.
const REFUSED: [Call; 6] = [
    (403, "no certificate", Http::One, None, "/orders"),
    (403, "a certificate that has expired", Http::One, Some("expired"), "/orders"),
    (403, "a certificate from a CA that is not trusted", Http::One, Some("stranger"), "/orders"),
    (403, "a CA that bears the trusted CA's very name", Http::One, Some("impostor"), "/orders"),
    (403, "the same over HTTP/2, which has no reason phrases", Http::Two, Some("impostor"), "/orders"),
    (404, "no such route", Http::One, Some("client"), "/elsewhere"),
];

/// The tour of a demo in `dir` that listens on `port`, and on `management_port` for what concerns itself.
///
/// Every `curl` line works as pasted from the directory in which the demo was started, and the line above it
/// begins with the status to expect: `# 200: ...`.
pub(crate) fn text(dir: &Path, port: u16, management_port: u16) -> String {
    let mut text = format!(
        "A mutual-TLS gateway is listening on https://localhost:{port}. It stands before two upstreams\n\
         that demand a client certificate, decides who may call, and calls them under each route's\n\
         own identity.\n\
         Its configuration and a throw-away PKI are in {}. Paste these into another terminal:\n\
         \n\
         Let in. The answer is JSON from the upstream: look at its \"client_certificate\".\n",
        dir.display()
    );
    for call in LET_IN {
        push_call(&mut text, dir, port, call);
    }
    let token = dir.join("management.token");
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\nThe portal is at https://localhost:{management_port}/ for browsers, with the token in {}.\n\
         The gateway itself, on the management listener:\n",
        token.display()
    );
    push_management(&mut text, dir, management_port);
    text.push_str("\nRefused, on HTTP/1.1 with the reason phrase \"Invalid client certificate\":\n");
    for call in REFUSED {
        push_call(&mut text, dir, port, call);
    }
    text
}

/// A comment with what to expect, and the `curl` line.
fn push_call(text: &mut String, dir: &Path, port: u16, (status, why, http, certificate, path): Call) {
    let http = match http {
        Http::One => "--http1.1",
        Http::Two => "--http2",
    };
    let file = |name: &str| relative(&dir.join(name).to_string_lossy());
    let mut line = format!("curl -sS -i {http} --cacert {}", quoted(&file("ca.pem")));
    if let Some(stem) = certificate {
        let certificate = file(&format!("{stem}.pem"));
        let key = file(&format!("{stem}.key"));
        // Writing to a string does not fail.
        let _ = write!(line, " --cert {} --key {}", quoted(&escaped(&certificate)), quoted(&key));
    }
    let _ = write!(text, "\n# {status}: {why}\n{line} https://localhost:{port}{path}\n");
}

/// What the management listener is asked; the shell reads the token, which is not printed.
fn push_management(text: &mut String, dir: &Path, port: u16) {
    let file = |name: &str| quoted(&relative(&dir.join(name).to_string_lossy()));
    let curl = format!("curl -sS -i --cacert {}", file("ca.pem"));
    let token = format!("-H \"Authorization: Bearer $(cat {})\"", file("management.token"));
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\n# 200: it lives\n{curl} https://localhost:{port}/healthz\n\
         \n# 200: what it counted, for whoever has the token\n{curl} {token} https://localhost:{port}/metrics\n\
         \n# 401: without the token\n{curl} https://localhost:{port}/metrics\n"
    );
}

/// A path that begins with a dash would be an option to `curl`.
fn relative(path: &str) -> String {
    if path.starts_with('-') { format!("./{path}") } else { path.to_owned() }
}

/// What follows a colon in `--cert` is a password to `curl`, unless a backslash stands before it.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(':', "\\:")
}

/// One word to the shell, whatever it holds.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::text;

    #[test]
    fn a_line_of_the_tour_can_be_pasted() {
        let tour = text(Path::new("gateway-demo"), 8443, 9443);
        assert!(tour.contains(
            "\ncurl -sS -i --cacert gateway-demo/ca.pem -H \"Authorization: Bearer \
             $(cat gateway-demo/management.token)\" https://localhost:9443/metrics\n"
        ));
        assert!(tour.contains(
            "# 200: the upstream saw CN=orders-gateway\n\
             curl -sS -i --http1.1 --cacert gateway-demo/ca.pem --cert gateway-demo/client.pem \
             --key gateway-demo/client.key https://localhost:8443/orders\n"
        ));
    }

    #[test]
    fn every_line_of_curl_follows_a_status() {
        let tour = text(Path::new("gateway-demo"), 8443, 9443);
        let lines: Vec<&str> = tour.lines().collect();
        let mut calls = 0;
        for pair in lines.windows(2) {
            if pair[1].starts_with("curl ") {
                let status = pair[0].strip_prefix("# ").unwrap().split(':').next().unwrap();
                assert!(["200", "401", "403", "404"].contains(&status), "{}", pair[0]);
                calls += 1;
            }
        }
        assert_eq!(calls, 14);
    }

    #[test]
    fn an_unusual_folder_is_quoted_for_shell_and_curl() {
        for (case, dir, expected) in [
            ("a space", "my demo", "--cert 'my demo/client.pem' --key 'my demo/client.key'"),
            ("a quote", "it's", "--cert 'it'\\''s/client.pem' --key 'it'\\''s/client.key'"),
            ("a colon", "a:b", "--cert 'a\\:b/client.pem' --key a:b/client.key"),
            ("a dollar sign", "$HOME", "--cert '$HOME/client.pem' --key '$HOME/client.key'"),
            ("a tilde", "~", "--cert '~/client.pem' --key '~/client.key'"),
            ("a dash in front", "-k", "--cert ./-k/client.pem --key ./-k/client.key"),
            ("an absolute path", "/srv/demo", "--cert /srv/demo/client.pem --key /srv/demo/client.key"),
        ] {
            assert!(text(Path::new(dir), 8443, 9443).contains(expected), "{case}");
        }
    }
}
